import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { createDatabase, type Database, type DatabaseOptions, type Queryable } from '../../src/db/client.ts';
import { createTestDatabase, type TestDatabase } from './env.ts';

/**
 * A database with a table `public.marks (id, words)` for all tests of a file, empty before each; clients of it, and a
 * look and a kill from outside. A test in which an error went uncaught fails.
 */
export function useClientRig() {
  let database: TestDatabase;
  /** Looks and kills from outside. */
  let admin: Database;
  const opened: Database[] = [];
  /** What a process would end with. */
  const uncaught: unknown[] = [];
  const remember = (error: unknown): void => void uncaught.push(error);

  beforeAll(async () => {
    database = await createTestDatabase();
    admin = createDatabase(database.urls.owner, { max: 2 });
    await admin.sql`create table public.marks (id int primary key, words text)`;
    process.on('uncaughtExceptionMonitor', remember);
  });
  beforeEach(async () => {
    await admin.sql`truncate public.marks`;
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
    expect(uncaught.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    process.off('uncaughtExceptionMonitor', remember);
    await admin.close();
    await database.drop();
  });

  function open(options: DatabaseOptions = {}, url = database.urls.owner): Database {
    const one = createDatabase(url, options);
    opened.push(one);
    return one;
  }

  async function backendOf(sql: Queryable): Promise<number> {
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    return row?.pid ?? 0;
  }

  async function kill(pid: number): Promise<void> {
    await admin.sql`select pg_terminate_backend(${pid}, 5000)`;
  }

  async function marks(): Promise<number[]> {
    const rows = await admin.sql<{ id: number }[]>`select id from public.marks order by id`;
    return rows.map(({ id }) => id);
  }

  async function untilSleeping(pid: number): Promise<void> {
    await expect
      .poll(
        async () => {
          const rows = await admin.sql`
            select 1 from pg_stat_activity where pid = ${pid} and state = 'active' and query like '%pg_sleep%'`;
          return rows.length;
        },
        { interval: 10 },
      )
      .toBe(1);
  }

  return {
    get url(): string {
      return database.urls.owner;
    },
    look: (): Database['sql'] => admin.sql,
    open,
    backendOf,
    kill,
    marks,
    untilSleeping,
  };
}

/** What a promise is rejected with. */
export const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
