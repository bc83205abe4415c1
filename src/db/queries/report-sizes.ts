import type { Queryable } from '../client.ts';

/** Bytes of the database this connection is in, indexes included, its server's log of changes not. */
export async function readDatabaseBytes(sql: Queryable): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    select pg_database_size(current_database())::float8 as bytes`;
  return row?.bytes ?? 0;
}
