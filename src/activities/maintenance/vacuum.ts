import type { TaskResult, TaskStep } from '../../contracts/activities.ts';
import { databaseErrorCode } from '../../db/errors.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { readDatabaseBytes, readTableSizes, vacuumTable } from '../../db/queries/maintenance.ts';
import { currentProgress } from '../progress.ts';
import type { MaintenanceDeps } from './deps.ts';

/** A table that somebody holds for longer is left for next week and named in the result. */
const LOCK_TIMEOUT_MS = 60_000;
const LOCK_NOT_AVAILABLE = '55P03';

type TableReport = { table: string; bytesBefore: number; bytesAfter: number; seconds: number };

/** `VACUUM (ANALYZE)` of every table of our schemas, each by itself, with its size before and after. */
export async function vacuumDatabase(deps: MaintenanceDeps, step: TaskStep): Promise<TaskResult> {
  const { sql } = deps.db;
  const progress = currentProgress();
  await sql.begin((tx) => assertCurrentAttempt(tx, step.fence));
  const before = await readTableSizes(sql);
  const databaseBytesBefore = await readDatabaseBytes(sql);
  const seconds = new Map<string, number>();
  const skipped: string[] = [];
  for (const [index, { table }] of before.entries()) {
    progress.report('vacuum', index, before.length);
    const startedAt = performance.now();
    try {
      await progress.during(`vacuum ${table}`, vacuumTable(sql, table, LOCK_TIMEOUT_MS));
    } catch (error) {
      if (databaseErrorCode(error) !== LOCK_NOT_AVAILABLE) throw error;
      skipped.push(table);
      deps.logger?.warn('table is locked, not vacuumed', { table });
    }
    seconds.set(table, Math.round(performance.now() - startedAt) / 1000);
  }
  const after = new Map((await readTableSizes(sql)).map(({ table, bytes }) => [table, bytes]));
  const tables: TableReport[] = before.map(({ table, bytes }) => ({
    table,
    bytesBefore: bytes,
    bytesAfter: after.get(table) ?? 0,
    seconds: seconds.get(table) ?? 0,
  }));
  return {
    tables,
    vacuumed: before.length - skipped.length,
    skipped,
    databaseBytesBefore,
    databaseBytesAfter: await readDatabaseBytes(sql),
  };
}
