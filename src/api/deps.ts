import type { Client } from '@temporalio/client';
import type { ApiRole } from '../contracts/api-tokens.ts';
import type { Sql } from '../db/client.ts';
import type { ApiTokenRow } from '../db/queries/api-tokens.ts';
import type { BackfillCoverage } from '../temporal/backfill.ts';
import type { ScheduleSummary } from '../temporal/schedules.ts';
import type { Tracing } from '../tracing/start.ts';
import type { Cached } from './cached.ts';

/** One JSON line per event; `fields` never hold secrets. */
export type ApiLog = (
  level: 'INFO' | 'WARNING' | 'ERROR',
  message: string,
  fields?: Record<string, unknown>,
) => void;

/** How long things may take, in milliseconds. */
export type ApiTimes = {
  /** Whole requests, beside what they asked to wait for. */
  requestMs: number;
  /** One call of Temporal that a request waits for. */
  callMs: number;
  /** One statement of Postgres, also of a stream: whoever asked is answered before, or gone. */
  statementMs: number;
  /** One check of `/readyz`. */
  checkMs: number;
  /** How long a revoked token may still work. */
  tokenMs: number;
  /** How much later what other programs change is seen. */
  freshMs: number;
  /** How often a live page hears that it is connected and logged in: with what a login is cached, 15 s in all. */
  beatMs: number;
};

/** No request hangs for ten seconds: what `/readyz` and one call of Temporal may take is less than the whole. */
export const API_TIMES: ApiTimes = {
  requestMs: 8_000,
  callMs: 4_000,
  statementMs: 7_000,
  checkMs: 3_000,
  tokenMs: 2_000,
  freshMs: 1_000,
  beatMs: 13_000,
};

export type ApiDeps = {
  /** Postgres as the role `api`: reads all, leaves requests, tokens and audit rows. */
  sql: Sql;
  /** Postgres as the role `pipeline`: the configuration and the kept state of the schedules. */
  pipelineSql: Sql;
  client: Client;
  /** The row of a token by its id, revoked or not. */
  findToken: (tokenId: string) => Promise<ApiTokenRow | null>;
  log: ApiLog;
  /** The configuration that `start` reads again; absent: the one a clone brings. */
  configPath: string;
  /** Folder of log files; absent: this process sees none. */
  logDir?: string | null;
  /** Requests a minute of one token, and of one address without a token. */
  limits: { tokenPerMinute: number; anonymousPerMinute: number };
  times: ApiTimes;
  /** What the providers of a chain can have; null: they do not say now. Absent: nobody can be asked. */
  coverageOf?: (chain: readonly string[]) => Promise<BackfillCoverage | null>;
  /** Temporal's Web UI up to the name of a workflow; absent: not known. */
  workflowsUrl?: string;
  /** Absent: no traces. */
  tracing?: Tracing;
  /** Aborted when the process stops: streams to browsers end. */
  stopping?: AbortSignal;
};

/** What the routes share of all that. */
export type RouteDeps = ApiDeps & {
  /** The schedules as the server has them: whoever changes one here makes every reader forget them. */
  schedules: Cached<ScheduleSummary[]>;
};

/** Who asks, by their token. */
export type Caller = { tokenId: string; name: string; role: ApiRole };

export type ApiEnv = {
  Variables: {
    requestId: string;
    caller: Caller;
    /** The task run that this request has asked for. */
    taskRunId?: string;
  };
};
