import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip } from 'node:zlib';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { currentFile } from '../activities/planning/config-source.ts';
import { createArtifactStore } from '../artifacts/store.ts';
import { documentOf } from '../contracts/schemas/config-document.ts';
import type { Sql } from '../db/client.ts';
import { CURRENT_FILE, currentConfigHash } from '../db/queries/configs.ts';
import {
  appliedMigrations,
  copyOut,
  countRows,
  listTransferTables,
  nameOf,
  readSequences,
} from '../db/transfer.ts';
import { openRuntime } from './attach.ts';
import { BACKUP_FORMAT, type BackupManifest, hashFile } from './backup-format.ts';
import { currentVersion, dataFolderAt } from './data-folder.ts';
import type { Runtime } from './embedded.ts';
import { exists, writeFileWhole } from './files.ts';
import { withDatabase } from './with-database.ts';

const run = promisify(execFile);

export type BackupOptions = {
  dataDir: string | undefined;
  /** Folder to create. */
  target: string;
  onNote?: (text: string) => void;
};
export type BackupReport = { target: string; tables: number; rows: number; files: number; bytes: number };

/**
 * Saves an instance, running or not, into a new folder that appears when it is complete. Throws when the
 * folder exists or a part cannot be read.
 */
export async function backup(options: BackupOptions): Promise<BackupReport> {
  const target = resolve(options.target);
  if (await exists(target)) throw new Error(`${target} exists already: a backup makes its own folder`);
  const partial = `${target}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await mkdir(partial, { mode: 0o700 });
  const runtime = await openRuntime({
    command: 'backup',
    only: 'database',
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
  try {
    options.onNote?.('saving the Temporal database');
    await saveTemporal(runtime, partial);
    options.onNote?.('saving the tables');
    const database = await saveDatabase(runtime, partial);
    options.onNote?.('saving the artifacts');
    await saveArtifacts(runtime.artifactUrl, join(partial, 'artifacts'));
    await saveSettings({ runtime, partial });
    const report = await writeManifest(partial, database);
    await rename(partial, target);
    return { target, ...report };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    await runtime.stop();
  }
}

/** A consistent copy of the SQLite file, from a running server too: Python's sqlite3 has SQLite's backup call. */
async function saveTemporal(runtime: Runtime, partial: string): Promise<void> {
  const { temporalDatabase } = dataFolderAt(runtime.dataDir);
  if (!runtime.embedded.temporal || !(await exists(temporalDatabase))) return;
  const target = join(partial, 'temporal', basename(temporalDatabase));
  await mkdir(dirname(target));
  const script = [
    'import sqlite3, sys',
    'source, target = (sqlite3.connect(path, timeout=60) for path in sys.argv[1:3])',
    'source.backup(target)',
    'target.execute("pragma journal_mode=delete")',
    'target.close()',
    'source.close()',
  ].join('\n');
  await run(venvPython(), ['-c', script, temporalDatabase, target]);
}

type SavedDatabase = Pick<BackupManifest, 'tables' | 'sequences' | 'migrations'>;

/** Every table as of one instant. */
async function saveDatabase(runtime: Runtime, partial: string): Promise<SavedDatabase> {
  const folder = join(partial, 'database');
  await mkdir(folder);
  return withDatabase(runtime.urls.owner, (sql) =>
    sql.begin('isolation level repeatable read read only', async (tx) => {
      const tables: BackupManifest['tables'] = [];
      for (const table of await listTransferTables(tx)) {
        const file = `database/${nameOf(table)}.copy.gz`;
        const rows = await countRows(tx, table);
        await pipeline(
          await copyOut(tx, table),
          createGzip({ level: 1 }),
          createWriteStream(join(partial, file)),
        );
        tables.push({ schema: table.schema, table: table.table, columns: table.columns, rows, file });
      }
      return { tables, sequences: await readSequences(tx), migrations: await appliedMigrations(tx) };
    }),
  );
}

async function saveArtifacts(url: string, folder: string): Promise<void> {
  const store = createArtifactStore(url);
  await mkdir(folder);
  for (const { key } of await store.list('')) {
    const bytes = await store.getNamed(key);
    // A temporary object may be cleaned up while we read; what the rows refer to is not.
    if (bytes !== null) await writeFileWhole(join(folder, ...key.split('/')), bytes);
  }
}

async function saveSettings({ runtime, partial }: { runtime: Runtime; partial: string }): Promise<void> {
  const folder = dataFolderAt(runtime.dataDir);
  await copyFile(folder.secrets, join(partial, 'secrets.json'));
  await chmod(join(partial, 'secrets.json'), 0o600);
  const target = join(partial, 'config', 'scheduler_config.json');
  await mkdir(join(partial, 'config'));
  const inForce = await withDatabase(runtime.urls.owner, findAppliedDocument);
  if (inForce !== null) await writeFileWhole(target, `${JSON.stringify(inForce, null, 2)}\n`);
  // Nothing was applied here yet: the next start takes over the file of the project.
  else await copyFile(join(projectRoot, 'config', 'scheduler_config.json'), target);
}

/** The configuration that runs use now, as a file; null where none was ever applied. */
async function findAppliedDocument(sql: Sql): Promise<Record<string, unknown> | null> {
  return (await currentConfigHash(sql, CURRENT_FILE)) === null ? null : documentOf(await currentFile(sql));
}

async function writeManifest(
  partial: string,
  database: SavedDatabase,
): Promise<Omit<BackupReport, 'target'>> {
  const files: BackupManifest['files'] = [];
  for (const path of await filesUnder(partial)) {
    const { size } = await stat(path);
    files.push({
      path: relative(partial, path).split(sep).join('/'),
      bytes: size,
      sha256: await hashFile(path),
    });
  }
  const { product, temporalServer } = await currentVersion();
  const manifest: BackupManifest = {
    format: BACKUP_FORMAT,
    createdAt: new Date().toISOString(),
    product,
    temporalServer,
    ...database,
    files,
  };
  await writeFileWhole(join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  return {
    tables: database.tables.length,
    rows: database.tables.reduce((sum, { rows }) => sum + rows, 0),
    files: files.length,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
  return (await Promise.all(nested)).flat().sort();
}
