import type { Queryable } from '../client.ts';

/**
 * Columns that say when and by whom something was recorded, not what, and surrogate keys that number rows in
 * the order in which they came: two equal nights differ in them.
 */
const RECORDING_COLUMNS = [
  'recorded_at',
  'fetched_at',
  'known_at',
  'created_at',
  'written_at',
  'updated_at',
  'computed_at',
  'started_at',
  'completed_at',
  'matured_at',
  'decided_at',
  'removed_at',
  'task_run_id',
  'run_id',
  'created_by_run',
  'fit_seconds',
  'cpu_seconds',
  'source_id',
  'promotion_id',
  'anchor_id',
];

export type TableFingerprint = { table: string; rows: number; hash: string };

/**
 * Order-independent content hash of every table in `market` and `turbomode`, without the columns that
 * record when and by which run a row was written. Equal fingerprints mean equal rows.
 */
export async function readTableFingerprints(sql: Queryable): Promise<TableFingerprint[]> {
  const tables = await sql<{ schema: string; table: string; columns: string[] }[]>`
    select c.table_schema as schema, c.table_name as table,
           array_agg(c.column_name::text order by c.column_name) as columns
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema in ('market', 'turbomode') and t.table_type = 'BASE TABLE'
      and not (c.column_name = any(${RECORDING_COLUMNS}))
    group by 1, 2 order by 1, 2`;
  const fingerprints: TableFingerprint[] = [];
  for (const { schema, table, columns } of tables) {
    const [row] = await sql<{ rows: number; hash: string }[]>`
      select count(*)::int as rows,
             coalesce(sum(('x' || substr(md5(row(${sql(columns)})::text), 1, 16))::bit(64)::bigint::numeric), 0)::text as hash
      from ${sql(schema)}.${sql(table)}`;
    fingerprints.push({ table: `${schema}.${table}`, rows: row?.rows ?? 0, hash: row?.hash ?? '0' });
  }
  return fingerprints;
}

/** Tables whose rows differ between two fingerprints, by name. */
export function changedTables(before: TableFingerprint[], after: TableFingerprint[]): string[] {
  const known = new Map(before.map(({ table, rows, hash }) => [table, `${rows}/${hash}`]));
  return after
    .filter(({ table, rows, hash }) => known.get(table) !== `${rows}/${hash}`)
    .map(({ table }) => table);
}
