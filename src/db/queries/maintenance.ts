import type { Queryable, Sql } from '../client.ts';

/** A table of ours and its size on disk, indexes and TOAST included. */
export type TableSize = { table: string; bytes: number };

/** Every table of our three schemas with its size, by name. */
export async function readTableSizes(sql: Queryable): Promise<TableSize[]> {
  return await sql<TableSize[]>`
    select n.nspname || '.' || c.relname as "table", pg_total_relation_size(c.oid)::float8 as bytes
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('market', 'turbomode', 'ops') and c.relkind in ('r', 'm')
    order by 1`;
}

/** Bytes of the whole database. */
export async function readDatabaseBytes(sql: Queryable): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`select pg_database_size(current_database())::float8 as bytes`;
  return row?.bytes ?? 0;
}

/**
 * `VACUUM (ANALYZE)` of one table as `readTableSizes` names it. It cannot run inside a transaction, and it
 * waits for its lock at most `lockTimeoutMs`; the server's error then says `lock timeout` (55P03).
 */
export async function vacuumTable(sql: Sql, table: string, lockTimeoutMs: number): Promise<void> {
  const connection = await sql.reserve();
  try {
    await connection.unsafe(`set lock_timeout = ${Math.trunc(lockTimeoutMs)}`);
    await connection`vacuum (analyze) ${connection(table)}`;
  } finally {
    await connection.unsafe('set lock_timeout = default').catch(() => undefined);
    connection.release();
  }
}
