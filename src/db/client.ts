import postgres from 'postgres';

/**
 * Types on our side of the connection: `bigint` is a number (ids and counts stay far below 2^53),
 * `date` the exchange's own `YYYY-MM-DD`, `timestamptz` an ISO instant in UTC.
 */
const TYPES = {
  bigint: { to: 20, from: [20], serialize: (value: number) => String(value), parse: Number },
  date: { to: 1082, from: [1082], serialize: (value: string) => value, parse: (raw: string) => raw },
  instant: {
    to: 1184,
    from: [1184],
    serialize: (value: string) => value,
    parse: (raw: string) => new Date(raw).toISOString(),
  },
};

type SqlTypes = { bigint: number; date: string; instant: string };
/** A pool of connections. */
export type Sql = postgres.Sql<SqlTypes>;
/** An open transaction. */
export type Tx = postgres.TransactionSql<SqlTypes>;
/** What a query function needs: it runs alone or inside somebody's transaction. */
export type Queryable = Sql | Tx;
/** A value for a `jsonb` column. */
export type Json = postgres.JSONValue;

export type Database = { readonly sql: Sql; close(): Promise<void> };

export type DatabaseOptions = {
  /** Connections kept open at most (default 4). */
  max?: number;
  /** Shown in pg_stat_activity. */
  applicationName?: string;
  connectTimeoutMs?: number;
  idleTimeoutMs?: number;
};

/** Opens a pool on `url`; nothing connects before the first query. Errors of Postgres keep their SQLSTATE in `code`. */
export function createDatabase(url: string, options: DatabaseOptions = {}): Database {
  const sql = postgres(url, {
    max: options.max ?? 4,
    connect_timeout: (options.connectTimeoutMs ?? 10_000) / 1000,
    idle_timeout: (options.idleTimeoutMs ?? 60_000) / 1000,
    types: TYPES,
    // Rows are camelCase on our side; keys inside jsonb stay as they were written.
    transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
    connection: { application_name: options.applicationName ?? 'nightshift' },
    // NOTICE lines (such as "relation already exists, skipping") are not for our logs.
    onnotice: () => undefined,
  });
  return { sql, close: () => sql.end({ timeout: 5 }) };
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
