import { createHash } from 'node:crypto';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { z } from 'zod';
import type { BackfillInput, BackfillState } from '../contracts/backfill.ts';
import { BACKFILL_WORKFLOW_ID, SCHEDULE_IDS, TASK_QUEUES } from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { readNightSeconds, readSessionNights, type SessionNights } from '../db/queries/backfill.ts';
import { insertAudit } from '../db/queries/requests.ts';
import type { ExchangeCalendar } from '../domain/calendar.ts';
import { coverageGap } from '../domain/night-session.ts';
import { CALL_MS } from './schedule-server.ts';
import { endRun } from './verbs.ts';

export type BackfillWish = {
  universe: string;
  from: string;
  to: string;
  /** Leave out sessions that have a night that succeeded. */
  onlyMissing: boolean;
};

export type BackfillSession = Omit<SessionNights, 'open'> & {
  /** A night of it runs now. */
  open: boolean;
  /** It is one of those the backfill would run. */
  runs: boolean;
};

/** What the providers of a configuration can have; null = open. */
export type BackfillCoverage = { provider: string; firstSession: string | null; lastSession: string | null };

/** What a backfill would do, before anybody asks for it. */
export type BackfillPlan = BackfillWish & {
  /** All of the range that are over and can be had, in their order. */
  sessions: BackfillSession[];
  /** Of the range, but their data cannot be there yet. */
  notOver: string[];
  /** Null: not known, so that nothing is left out for it. */
  coverage: BackfillCoverage | null;
  /** Of the range, but outside of what the providers can have: no night could run them. */
  notCovered: string[];
  /** Median of earlier nights; null: none has succeeded yet. */
  nightSeconds: number | null;
  /** How many sessions the median is of. */
  measuredSessions: number;
  /** Hash of universe and sessions that would run: what is confirmed. */
  token: string;
};

/** Why a backfill cannot be begun or ended. */
export class BackfillRefusedError extends Error {
  override name = 'BackfillRefusedError';
}

/** Sessions by the exchange's calendar, what became of their nights, and how long it may take. */
export async function planBackfill(options: {
  sql: Sql;
  wish: BackfillWish;
  calendar: ExchangeCalendar;
  coverage: BackfillCoverage | null;
  settleDelayMs: number;
  nowMs: number;
}): Promise<BackfillPlan> {
  const { sql, wish, calendar, coverage, settleDelayMs, nowMs } = options;
  const { universe, from, to } = wish;
  const [nights, median] = await Promise.all([
    readSessionNights(sql, { universe, from, through: to }),
    readNightSeconds(sql, universe),
  ]);
  const known = new Map(nights.map((night) => [night.sessionDate, night]));
  const sessions: BackfillSession[] = [];
  const notOver: string[] = [];
  const notCovered: string[] = [];
  for (const sessionDate of calendar.sessionsBetween(from, to)) {
    if (coverage !== null && coverageGap({ coverage }, sessionDate) !== null) {
      notCovered.push(sessionDate);
      continue;
    }
    if (calendar.closeInstant(sessionDate) + settleDelayMs > nowMs) {
      notOver.push(sessionDate);
      continue;
    }
    const night = known.get(sessionDate) ?? { sessionDate, lastState: null, succeeded: false, open: false };
    sessions.push({ ...night, runs: !(wish.onlyMissing && night.succeeded) });
  }
  const token = createHash('sha256')
    .update(JSON.stringify([universe, ...datesOf(sessions)]))
    .digest('hex');
  const { seconds: nightSeconds, sessions: measuredSessions } = median;
  return { ...wish, sessions, notOver, coverage, notCovered, nightSeconds, measuredSessions, token };
}

/** The sessions that would run, in their order. */
export function datesOf(sessions: readonly BackfillSession[]): string[] {
  return sessions.filter(({ runs }) => runs).map(({ sessionDate }) => sessionDate);
}

const askedSchema = z.object({
  universe: z.string(),
  from: z.string(),
  to: z.string(),
  sessions: z.number(),
  requestedBy: z.string(),
  why: z.string(),
  token: z.string(),
});
const memoSchema = askedSchema.extend({
  state: z.enum(['running', 'succeeded', 'partial', 'failed', 'cancelled']).default('running'),
  ended: z.number().default(0),
  current: z.string().nullable().default(null),
});

/** The newest backfill: what was asked for and how far it is. */
export type Backfill = z.infer<typeof memoSchema> & {
  workflowId: string;
  runId: string;
  startedAt: string;
  completedAt: string | null;
};

/** The backfill that runs, else the last one the server remembers; null if there is none. */
export async function readBackfill(client: Client, callMs = CALL_MS): Promise<Backfill | null> {
  try {
    const handle = client.workflow.getHandle(BACKFILL_WORKFLOW_ID);
    return backfillOf(await client.withDeadline(Date.now() + callMs, () => handle.describe()));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

function backfillOf(described: WorkflowExecutionDescription): Backfill {
  const { workflowId, runId, status, startTime, closeTime } = described;
  const memo = memoSchema.parse(described.memo ?? {});
  const isOver = status.name !== 'RUNNING' && status.name !== 'PAUSED';
  // Whoever is terminated says nothing more.
  const state: BackfillState = isOver && memo.state === 'running' ? 'failed' : memo.state;
  return {
    ...memo,
    state: isOver ? state : 'running',
    current: isOver ? null : memo.current,
    workflowId,
    runId,
    startedAt: startTime.toISOString(),
    completedAt: closeTime?.toISOString() ?? null,
  };
}

/**
 * Begins a backfill as a person confirmed it, with an audit row. The same one asked for again while it runs is found.
 * Throws BackfillRefusedError when there is nothing to run, a night of it runs already, or another backfill does.
 */
export async function startBackfill(options: {
  client: Client;
  sql: Sql;
  plan: BackfillPlan;
  /** What its nights are asked for with, where that is a file; absent: the universe's name. */
  universeValue?: string;
  by: string;
  why: string;
}): Promise<Backfill> {
  const { client, sql, plan, by, why } = options;
  const { universe, token, onlyMissing } = plan;
  const { universeValue = universe } = options;
  const running = await readBackfill(client);
  if (running?.state === 'running') {
    if (running.token === token && running.requestedBy === by) return running;
    throw otherRuns(running);
  }
  const sessions = datesOf(plan.sessions);
  const [from, to] = [sessions[0], sessions.at(-1)];
  if (from === undefined || to === undefined) {
    const [date] = plan.notCovered;
    const { coverage } = plan;
    const gap = date === undefined || coverage === null ? null : coverageGap({ coverage }, date);
    const why = gap === null ? '' : `: ${gap}`;
    throw new BackfillRefusedError(
      `there is nothing to run from ${plan.from} to ${plan.to} (${universe})${why}`,
    );
  }
  const busy = plan.sessions.filter(({ open, runs }) => open && runs).map(({ sessionDate }) => sessionDate);
  if (busy.length > 0)
    throw new BackfillRefusedError(`a night of ${busy.join(' and ')} (${universe}) runs already`);
  const details = { universe, sessions, onlyMissing, token };
  await insertAudit(sql, {
    actor: by,
    action: 'backfill.start',
    subject: SCHEDULE_IDS.nightly,
    why,
    details,
  });
  const memo: z.infer<typeof askedSchema> = {
    universe,
    from,
    to,
    sessions: sessions.length,
    requestedBy: by,
    why,
    token,
  };
  const input: BackfillInput = { universe: universeValue, sessions, requestedBy: by };
  try {
    await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflow.start('nightBackfill', {
        workflowId: BACKFILL_WORKFLOW_ID,
        taskQueue: TASK_QUEUES.pipeline,
        args: [input],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        memo,
        staticSummary: `backfill of ${from} to ${to}, ${universe}, by ${by}`,
      }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw otherRuns(await readBackfill(client));
  }
  const begun = await readBackfill(client);
  if (begun === null) throw new Error('the backfill was started and is gone');
  return begun;
}

function otherRuns(running: Backfill | null): BackfillRefusedError {
  const what = running === null ? '' : ` (${running.from} to ${running.to}, by ${running.requestedBy})`;
  return new BackfillRefusedError(`a backfill runs already${what}: wait for it, or cancel it`);
}

/** Asks the backfill that runs to stop, with the night it is at. Throws BackfillRefusedError if none runs. */
export async function cancelBackfill(options: {
  client: Client;
  sql: Sql;
  by: string;
  why: string;
}): Promise<Backfill> {
  const { client, sql, by: actor, why } = options;
  const running = await readBackfill(client);
  if (running?.state !== 'running') throw new BackfillRefusedError('no backfill runs');
  const { runId, ended, sessions } = running;
  const details = { runId, ended, sessions };
  await insertAudit(sql, { actor, action: 'backfill.cancel', subject: SCHEDULE_IDS.nightly, why, details });
  await endRun(client, { run: running, how: 'cancel', reason: `${actor}: ${why}`, callMs: CALL_MS });
  return running;
}
