import type { Connection } from './connection.ts';
import { loginOf } from './login.ts';
import { ConnectionPool } from './pool.ts';
import { type Queryable, queryableOn, type Target } from './query.ts';
import type { Json } from './statement.ts';
import { isStale, StatementNames } from './statement-names.ts';
import { transact, type Tx } from './transaction.ts';

export type { Queryable } from './query.ts';
export type { Json } from './statement.ts';
export type { Tx } from './transaction.ts';

/** How long `close` waits for what runs. */
const CLOSE_GRACE_MS = 5000;

/** What happens in a transaction. */
type Work<T> = (tx: Tx) => T;

/** A connection for somebody alone, until `release`. */
export type Reserved = Queryable & { release(): void };

/** A pool of connections: each statement runs on whichever is free. */
export type Sql = Queryable & {
  /**
   * Runs `work` in a transaction, with `options` as behind BEGIN. Rejects with the first error in it, and at once
   * when its connection is lost: its statements then never run anywhere else.
   */
  begin: {
    <T>(work: Work<T>): Promise<Awaited<T>>;
    <T>(options: string, work: Work<T>): Promise<Awaited<T>>;
  };
  reserve(): Promise<Reserved>;
  end(): Promise<void>;
};

export type Database = { readonly sql: Sql; close(): Promise<void> };

export type DatabaseOptions = {
  /** Connections kept open at most (default 4). */
  max?: number;
  /** Shown in pg_stat_activity. */
  applicationName?: string;
  connectTimeoutMs?: number;
  idleTimeoutMs?: number;
  /** The server ends a statement that takes longer (SQLSTATE 57014); default: its own setting. */
  statementTimeoutMs?: number;
  /** Statements outside transactions are prepared once on each connection (default: not). */
  prepare?: boolean;
};

/** Opens a pool on `url`; nothing connects before the first query. Errors of Postgres keep their SQLSTATE in `code`. */
export function createDatabase(url: string, options: DatabaseOptions = {}): Database {
  const { statementTimeoutMs } = options;
  const login = loginOf(url, {
    applicationName: options.applicationName ?? 'nightshift',
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
  });
  const pool = new ConnectionPool(login, {
    max: options.max ?? 4,
    idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
  });
  const close = (): Promise<void> => pool.close(CLOSE_GRACE_MS);
  const once = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await pool.acquire();
    try {
      return await work(connection);
    } finally {
      connection.release();
    }
  };
  function begin<T>(work: Work<T>): Promise<Awaited<T>>;
  function begin<T>(beginOptions: string, work: Work<T>): Promise<Awaited<T>>;
  async function begin<T>(first: string | Work<T>, second?: Work<T>): Promise<Awaited<T>> {
    const [beginOptions, work] = typeof first === 'string' ? [first, second] : ['', first];
    if (work === undefined) throw new TypeError('begin needs a function');
    return await once((connection) => transact(connection, beginOptions, work));
  }
  const names = options.prepare === true ? new StatementNames() : null;
  const target: Target = {
    query: async (build) => {
      const statement = build();
      const { text, values } = statement;
      const name = values === undefined ? undefined : names?.nameOf(text);
      return await once(async (connection) => {
        try {
          return await connection.query(statement, name);
        } catch (error) {
          if (name === undefined || !isStale(error)) throw error;
          return await connection.query(statement, names?.renew(text));
        }
      });
    },
    exclusive: (task) => once((connection) => connection.exclusive(task)),
  };
  const reserve = async (): Promise<Reserved> => {
    const connection = await pool.acquire();
    const queryable = queryableOn({
      query: async (build) => await connection.query(build()),
      exclusive: (task) => connection.exclusive(task),
    });
    return Object.assign(queryable, { release: () => connection.release() });
  };
  const sql = Object.assign(queryableOn(target), { begin, reserve, end: close });
  return { sql, close };
}

/** Marks a plain value as `jsonb`. Throws TypeError for what JSON cannot hold, NaN included. */
export function jsonb(value: unknown): Json {
  const text = JSON.stringify(value, (key, inner: unknown) => {
    if (typeof inner === 'number' && !Number.isFinite(inner)) {
      throw new TypeError(`${inner} at "${key}" is not JSON`);
    }
    return inner;
  });
  return JSON.parse(text ?? 'null') as Json;
}

/** The first row of a result that must have one. Throws Error naming `what` when there is none. */
export function onlyRow<T>(rows: readonly T[], what: string): T {
  const row = rows[0];
  if (row === undefined) throw new Error(`no row: ${what}`);
  return row;
}
