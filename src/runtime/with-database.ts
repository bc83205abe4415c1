import { createDatabase, type Sql } from '../db/client.ts';

/** Runs `work` on one connection and closes it. */
export async function withDatabase<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const database = createDatabase(url, {
    max: 1,
    applicationName: 'nightshift runtime',
    connectTimeoutMs: 10_000,
  });
  try {
    return await work(database.sql);
  } finally {
    await database.close();
  }
}
