import type { Tx } from './client.ts';
import { type CopyColumn, copyIn } from './copy.ts';
import { onlyRow } from './client.ts';

export type MergeResult = { inserted: number; updated: number };

let stagingCount = 0;

/**
 * Bulk upsert: COPY into a staging table of this transaction, then one `INSERT … ON CONFLICT`.
 * Rows that would not change are not touched, so a re-run changes nothing. All names are trusted SQL.
 */
export async function mergeRows(input: {
  tx: Tx;
  table: string;
  columns: Record<string, CopyColumn>;
  rows: number;
  key: readonly string[];
  /** Columns whose difference makes an update; absent or empty: an existing row stays as it is. */
  compare?: readonly string[];
  /** Columns set by an update besides `compare` (provenance, times). */
  alsoSet?: readonly string[];
}): Promise<MergeResult> {
  if (input.rows === 0) return { inserted: 0, updated: 0 };
  const names = Object.keys(input.columns);
  const list = names.join(', ');
  stagingCount += 1;
  const staging = `staging_${stagingCount}`;
  await input.tx.unsafe(
    `create temp table ${staging} on commit drop as select ${list} from ${input.table} with no data`,
  );
  await copyIn({ tx: input.tx, table: staging, columns: input.columns, rows: input.rows });
  const compare = input.compare ?? [];
  const set = [...compare, ...(input.alsoSet ?? [])].map((name) => `${name} = excluded.${name}`);
  const differs = `(${compare.map((name) => `target.${name}`).join(', ')}) is distinct from (${compare
    .map((name) => `excluded.${name}`)
    .join(', ')})`;
  const action = compare.length === 0 ? 'nothing' : `update set ${set.join(', ')} where ${differs}`;
  const counted = await input.tx.unsafe<{ inserted: number; updated: number }[]>(
    `with merged as (
       insert into ${input.table} as target (${list}) select ${list} from ${staging}
       on conflict (${input.key.join(', ')}) do ${action}
       returning (xmax = 0) as inserted)
     select count(*) filter (where inserted) as inserted, count(*) filter (where not inserted) as updated
     from merged`,
  );
  return onlyRow(counted, `merge into ${input.table}`);
}
