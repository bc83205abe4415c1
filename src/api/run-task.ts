import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from '@hono/zod-openapi';
import { effectiveConfig } from '../contracts/schemas/config.ts';
import { manualRunWorkflowId, type Task, taskIdOf } from '../contracts/wire/names.ts';
import { isOpenState, listNights } from '../db/queries/nights.ts';
import { findRunRequest } from '../db/queries/requests.ts';
import { findTaskRun, type TaskRunRow } from '../db/queries/task-runs.ts';
import { readRunFailure } from '../temporal/verbs.ts';
import { configurationInForce, requireUniverse } from './configuration.ts';
import type { ApiDeps, Caller } from './deps.ts';
import { fieldProblem, Problem } from './problems.ts';
import { askForRun, newRequestId } from './run-acts.ts';
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
  const { sql, client, stopping } = deps;
  const { task, query, key, caller, httpRequestId, onAsked, signal } = asked;
  const requestId = await newRequestId(sql, { key, caller });
  // What a key stood for stays, although another night is the newest one by now.
  const before = key === undefined ? null : await findRunRequest(sql, requestId);
  const newest = before ?? (await listNights(sql, { limit: 1 }))[0];
  const sessionDate = query.sessionDate ?? newest?.sessionDate;
  if (sessionDate === undefined)
    throw fieldProblem('sessionDate', 'no night has run here yet, so a session has to be named');
  const file = await configurationInForce(sql);
  const universe = query.universe ?? newest?.universe ?? effectiveConfig(file).universe;
  if (query.universe !== undefined) requireUniverse(file, universe);
  const { force = false } = query;
  await askForRun(deps, {
    httpRequestId,
    run: { requestId, task, sessionDate, universe, force, requestedBy: caller.name },
  });
  onAsked(requestId);
  const taskId = taskIdOf(task);
  const over = stopping === undefined ? signal : AbortSignal.any([signal, stopping]);
  const waitMs = (query.wait ?? 0) * 1000;
  const row = await untilClosed({ sql, client, requestId, signal: over, waitMs });
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

/** The row of a run once it is over, or waits for a person; null when the time is up or the signal comes before. */
async function untilClosed(input: {
  sql: ApiDeps['sql'];
  client: ApiDeps['client'];
  requestId: string;
  signal: AbortSignal;
  waitMs: number;
}): Promise<TaskRunRow | null> {
  const { sql, client, requestId, signal, waitMs } = input;
  const untilMs = Date.now() + waitMs;
  let pauseMs = FIRST_POLL_MS;
  while (Date.now() < untilMs && !signal.aborted) {
    const row = await findTaskRun(sql, requestId);
    const isOpen = row === null || (row.state !== 'awaiting_review' && isOpenState(row.state));
    if (!isOpen) return row;
    const request = await findRunRequest(sql, requestId);
    if (request !== null && request.refusedReason !== null)
      throw new Problem('conflict', request.refusedReason);
    if (row === null) {
      const failure = await readRunFailure(client, { workflowId: manualRunWorkflowId(requestId) });
      if (failure !== null && (await findTaskRun(sql, requestId)) === null)
        throw new Problem('conflict', failure.message);
    }
    const leftMs = Math.max(0, untilMs - Date.now());
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(POLL_MS, pauseMs * 1.5);
  }
  return null;
}
