import type { Client } from '@temporalio/client';
import type { ApiRole } from '../contracts/api-tokens.ts';
import type { Sql } from '../db/client.ts';

/** One JSON line per event; `fields` never hold secrets. */
export type ApiLog = (
  level: 'INFO' | 'WARNING' | 'ERROR',
  message: string,
  fields?: Record<string, unknown>,
) => void;

export type ApiDeps = {
  /** Postgres as the role `api`: reads all, leaves requests, tokens and audit rows. */
  sql: Sql;
  /** Postgres as the role `pipeline`: the configuration and the kept state of the schedules. */
  pipelineSql: Sql;
  client: Client;
  log: ApiLog;
  /** The configuration that `start` reads again; absent: the one a clone brings. */
  configPath: string;
  /** Requests a minute of one token, and of one address without a token. */
  limits: { tokenPerMinute: number; anonymousPerMinute: number };
};

/** Who asks, by their token. */
export type Caller = { tokenId: string; name: string; role: ApiRole };

export type ApiEnv = { Variables: { requestId: string; caller: Caller } };
