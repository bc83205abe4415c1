import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from '@hono/zod-openapi';
import type { ConfigFile } from '../contracts/schemas/config.ts';
import { manualRunWorkflowId, type Task, taskIdOf } from '../contracts/wire/names.ts';
import { isOpenState } from '../db/queries/nights.ts';
import { findRunRequest } from '../db/queries/requests.ts';
import { findTaskRun, type TaskRunRow } from '../db/queries/task-runs.ts';
import { readRunFailure } from '../temporal/verbs.ts';
import { configurationInForce, requireUniverse, usualSession } from './configuration.ts';
import type { ApiDeps, Caller } from './deps.ts';
import { Problem, problemOf } from './problems.ts';
import { askForRun, newRequestId } from './run-acts.ts';
import { type MeantUniverse, usualUniverse } from './run-target.ts';
import type { acceptedSchema, doneSchema, RunQuery } from './routes/scheduler-definitions.ts';
import { documentWord, snakeCased } from './words.ts';

/** Looked for soon at first: most that is refused is refused at once. */
const FIRST_POLL_MS = 200;
const POLL_MS = 1_000;

type RunAnswer = z.infer<typeof acceptedSchema> | z.infer<typeof doneSchema>;

/**
 * Asks for one run of a task as a person does, and waits for its end as long as the query says, or until this process
 * stops. Throws Problems for input that is not right, for a need that is not met, and for a key that is another run's.
 */
export async function runTask(
  deps: ApiDeps,
  asked: {
    task: Task;
    query: RunQuery;
    key: string | undefined;
    caller: Caller;
    httpRequestId: string;
    /** Called with the run's id as soon as the run is asked for. */
    onAsked: (taskRunId: string) => void;
    signal: AbortSignal;
  },
): Promise<RunAnswer> {
  const { sql, stopping } = deps;
  const { task, query, key, caller, httpRequestId, onAsked, signal } = asked;
  const requestId = await newRequestId(sql, { key, caller });
  // What a key stood for stays, although another session is the newest one by now.
  const before = key === undefined ? null : await findRunRequest(sql, requestId);
  const file = await configurationInForce(sql);
  const universe = await universeOf(sql, { file, asked: query.universe, before });
  const sessionDate =
    query.sessionDate ?? before?.sessionDate ?? (await usualSession(deps, { file, universe: universe.name }));
  const { force = false } = query;
  await askForRun(deps, {
    httpRequestId,
    universeName: universe.name,
    run: { requestId, task, sessionDate, universe: universe.value, force, requestedBy: caller.name },
  });
  onAsked(requestId);
  const taskId = taskIdOf(task);
  const over = stopping === undefined ? signal : AbortSignal.any([signal, stopping]);
  const waitMs = (query.wait ?? 0) * 1000;
  const row = waitMs === 0 ? null : await closedWithin({ deps, requestId, signal: over, waitMs });
  if (row === null)
    return { success: true, task_id: taskId, run_id: requestId, status_url: `/api/v1/runs/${requestId}` };
  const fields = snakeCased(row.result ?? {});
  const results = typeof fields === 'object' && fields !== null ? { ...fields } : {};
  const isDone = row.state === 'succeeded';
  const error = row.failure?.message ?? row.reason;
  return {
    success: isDone,
    task_id: taskId,
    results: isDone
      ? results
      : { ...results, status: documentWord(row.state), ...(error !== null && { error }) },
  };
}

async function universeOf(
  sql: ApiDeps['sql'],
  {
    file,
    asked,
    before,
  }: { file: ConfigFile; asked: string | undefined; before: { universe: string } | null },
): Promise<MeantUniverse> {
  if (asked !== undefined) return await requireUniverse(file, asked);
  if (before !== null) return { value: before.universe, name: before.universe };
  return await usualUniverse(sql, file);
}

type Wait = { deps: ApiDeps; requestId: string; signal: AbortSignal };

/**
 * The row of a run once it is over, or waits for a person; null when the time is up or the signal comes before. The run
 * is taken by now: what is down meanwhile is waited for, and nothing that hangs lasts longer than the time.
 */
async function closedWithin({
  waitMs,
  signal,
  ...wait
}: Wait & { waitMs: number }): Promise<TaskRunRow | null> {
  const done = new AbortController();
  const over = AbortSignal.any([signal, done.signal]);
  const timeIsUp = sleep(waitMs, null, { signal: over }).catch((): null => null);
  try {
    return await Promise.race([untilClosed({ ...wait, signal: over }), timeIsUp]);
  } finally {
    done.abort();
  }
}

async function untilClosed({ deps, requestId, signal }: Wait): Promise<TaskRunRow | null> {
  let pauseMs = FIRST_POLL_MS;
  while (!signal.aborted) {
    try {
      const row = await findClosed(deps, requestId);
      if (row !== null) return row;
    } catch (error) {
      if (problemOf(error).status !== 503) throw error;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(POLL_MS, pauseMs * 1.5);
  }
  return null;
}

/** The row of a run that is over or waits for a person; null before that. Throws a Problem for one that was refused. */
async function findClosed(
  { sql, client, times: { callMs } }: ApiDeps,
  requestId: string,
): Promise<TaskRunRow | null> {
  const row = await findTaskRun(sql, requestId);
  if (row !== null && (row.state === 'awaiting_review' || !isOpenState(row.state))) return row;
  const request = await findRunRequest(sql, requestId);
  if (request !== null && request.refusedReason !== null)
    throw new Problem('conflict', request.refusedReason);
  if (row !== null) return null;
  const failure = await readRunFailure(client, { workflowId: manualRunWorkflowId(requestId), callMs });
  if (failure !== null && (await findTaskRun(sql, requestId)) === null)
    throw new Problem('conflict', failure.message);
  return null;
}
