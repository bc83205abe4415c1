import { z } from '@hono/zod-openapi';
import { manualRunWorkflowId, type Task } from '../contracts/wire/names.ts';
import { isOpenState, isRetryableState, type NightRow } from '../db/queries/nights.ts';
import {
  findRunRequest,
  insertAudit,
  listAudit,
  type NewRunRequest,
  newRunId,
  reviewsOf,
  withdrawRunRequest,
} from '../db/queries/requests.ts';
import { findNightByRun } from '../db/queries/run-pages.ts';
import { findTaskRun, type TaskRunRow } from '../db/queries/task-runs.ts';
import { requestManualRun, runIdOfKey, RunRefusedError } from '../temporal/manual-request.ts';
import {
  decideReview,
  type EndHow,
  endNightFor,
  endRun,
  ReviewRefusedError,
  ReviewUnansweredError,
} from '../temporal/verbs.ts';
import { configurationInForce } from './configuration.ts';
import type { ApiDeps, Caller } from './deps.ts';
import { Problem, problemOf } from './problems.ts';
import { findUniverse } from './run-target.ts';

/** What people do about nights and runs, for API and pages; what is refused is thrown as a Problem. */

/** A worker answers at once or not at all: the same decision may be given again. */
const ANSWER_MS = 7_000;
const RETRY = 'run.retry';

type Act = { runId: string; by: string; why: string };

/** A night by its run id. */
export async function requireNight(sql: ApiDeps['sql'], runId: string): Promise<NightRow> {
  const night = await findNightByRun(sql, runId);
  if (night === null) throw new Problem('not-found', `there is no night ${runId}`);
  return night;
}

/** Ends an open night. */
export async function endNight(
  { sql, client, times: { callMs } }: ApiDeps,
  { runId, how, by, why }: Act & { how: EndHow },
): Promise<NightRow> {
  const night = await requireNight(sql, runId);
  if (!isOpenState(night.state))
    throw new Problem('conflict', `the night of ${night.sessionDate} is over: ${night.state}`);
  await endNightFor({ client, sql, run: { workflowId: night.workflowId, runId }, how, by, why, callMs });
  return night;
}

/** Ends an open run that is of no night: one by hand, or weekly maintenance. One that nobody took is taken back. */
export async function endSingleRun(deps: ApiDeps, act: Act & { how: EndHow }): Promise<void> {
  const { sql, client, times } = deps;
  const { runId, how, by, why } = act;
  const row = await findTaskRun(sql, runId);
  if (row === null) return await endRequested(deps, act);
  if (!isOpenState(row.state))
    throw new Problem('conflict', `${row.task} of ${row.sessionDate} is over: ${row.state}`);
  if (row.nightRunId !== null)
    throw new Problem(
      'conflict',
      `${row.task} is part of the night ${row.nightRunId}: ${how} that, or decide about the task when it waits`,
    );
  const run = { workflowId: row.starterWorkflowId, runId: row.starterRunId };
  await insertAudit(sql, { actor: by, action: `run.${how}`, subject: runId, why, details: run });
  await endRun(client, { run, how, reason: `${by}: ${why}`, callMs: times.callMs });
}

async function endRequested(
  { sql, pipelineSql, client, times: { callMs } }: ApiDeps,
  { runId, how, by, why }: Act & { how: EndHow },
): Promise<void> {
  const request = await findRunRequest(sql, runId);
  if (request === null) throw new Problem('not-found', `there is no run ${runId}`);
  if (request.refusedReason !== null)
    throw new Problem('conflict', `the run was refused: ${request.refusedReason}`);
  await insertAudit(sql, { actor: by, action: `run.${how}`, subject: runId, why });
  const reason = `${how === 'cancel' ? 'cancelled' : 'terminated'} by ${by} before it began: ${why}`;
  if (await withdrawRunRequest(pipelineSql, { requestId: runId, reason })) return;
  // Taken meanwhile: it is being planned.
  const run = { workflowId: manualRunWorkflowId(runId) };
  await endRun(client, { run, how, reason: `${by}: ${why}`, callMs });
}

/** Id of a run that is asked for: the same one each time under a caller's key, else a new one. */
export async function newRequestId(
  sql: ApiDeps['sql'],
  { key, caller }: { key: string | undefined; caller: Caller },
): Promise<string> {
  return key === undefined ? await newRunId(sql) : runIdOfKey(`${caller.tokenId} ${key}`);
}

/** Asks for a run by hand, with the configuration in force. */
export async function askForRun(
  { sql, client, times: { callMs } }: ApiDeps,
  asked: {
    run: Omit<NewRunRequest, 'trigger' | 'configHash'>;
    universeName?: string;
    why?: string;
    httpRequestId?: string;
  },
): Promise<void> {
  const { run, ...told } = asked;
  const { requestId, task, sessionDate, universe } = run;
  const request: NewRunRequest = { ...run, trigger: 'manual', configHash: null };
  try {
    await requestManualRun({ client, sql, callMs, request, ...told });
  } catch (error) {
    if (!(error instanceof RunRefusedError)) throw await problemOfStored(sql, requestId, error);
    if (error.missing.length === 0) throw new Problem('conflict', error.message, { cause: error });
    throw new Problem(
      'dependency-not-met',
      `${error.missing.join(' and ')} did not succeed for ${sessionDate} (${told.universeName ?? universe}); force=true runs ${task} anyway`,
      { cause: error },
    );
  }
}

/** A run whose row was stored before Temporal fell silent is asked for: the reconciler signals it again. */
async function problemOfStored(sql: ApiDeps['sql'], requestId: string, error: unknown): Promise<unknown> {
  const { kind, headers } = problemOf(error);
  if (kind !== 'temporal-down' || (await findRunRequest(sql, requestId)) === null) return error;
  const statusUrl = `/api/v1/runs/${requestId}`;
  return new Problem(
    kind,
    `the Temporal server does not answer; run ${requestId} is stored and begins when it does (${statusUrl})`,
    { headers: { ...headers, location: statusUrl }, cause: error },
  );
}

/** Decides about a run that waits for a person. */
export async function decideRun(
  { sql, client }: ApiDeps,
  options: Act & { decision: 'retry' | 'skip' | 'abort'; row: TaskRunRow; attempts?: number },
): Promise<void> {
  const { runId, decision, by, why, row, attempts = row.attempts } = options;
  try {
    await decideReview({
      client,
      sql,
      workflowId: row.starterWorkflowId,
      review: { taskRunId: runId, decision, by, why },
      attempts,
      answerMs: ANSWER_MS,
      callMs: ANSWER_MS,
    });
  } catch (error) {
    if (error instanceof ReviewUnansweredError)
      throw new Problem('timed-out', error.message, { cause: error });
    if (!(error instanceof ReviewRefusedError)) throw error;
    const last = (await reviewsOf(sql, runId)).at(-1);
    const told = last === undefined ? '' : ` (${last.decidedBy} decided: ${last.decision}, ${last.why})`;
    throw new Problem('conflict', `${error.message}${told}`, { cause: error });
  }
}

/** What a retry needs to know of what it repeats. */
type Repeated = Pick<NewRunRequest, 'task' | 'sessionDate' | 'universe'> & { universeName: string };

/**
 * Retries a task. One that waits for a person goes on where it is, by the decision *retry*; one that is over is run
 * by hand for the same session and universe, with its needs checked. The answer names the run to look at. Under the
 * same key it is the same retry.
 */
export async function retryRun(
  deps: ApiDeps,
  asked: {
    runId: string;
    why: string;
    force: boolean;
    key: string | undefined;
    caller: Caller;
    httpRequestId?: string;
  },
): Promise<{ task: Task; runId: string }> {
  const { sql } = deps;
  const { runId, why, force, key, caller, httpRequestId } = asked;
  const by = caller.name;
  const row = await findTaskRun(sql, runId);
  const repeated = await repeatedBy(sql, { runId, row });
  const { task, sessionDate, universe, universeName } = repeated;
  const requestId = await newRequestId(sql, { key, caller });
  const known = key === undefined ? null : await knownRetry(sql, { runId, requestId });
  if (known !== null) {
    const refused = (await findRunRequest(sql, known))?.refusedReason ?? null;
    if (refused !== null && known !== runId) throw new Problem('conflict', `it was refused: ${refused}`);
    return { task, runId: known };
  }
  const told = async (target: string): Promise<{ task: Task; runId: string }> => {
    const details = { requestId, runId: target };
    await insertAudit(sql, { actor: by, action: RETRY, subject: runId, why, details });
    return { task, runId: target };
  };
  if (row?.state === 'awaiting_review') {
    await decideRun(deps, { runId, decision: 'retry', by, why, row });
    return await told(runId);
  }
  if (row !== null && isOpenState(row.state)) {
    // The answer of the same retry may have been lost.
    const last = (await reviewsOf(sql, runId)).at(-1);
    if (last?.decision === 'retry' && last.decidedBy === by && last.why === why) return await told(runId);
  }
  if (row !== null && !isRetryableState(row.state))
    throw new Problem(
      'conflict',
      `${task} of ${sessionDate} is ${row.state}: what failed, was skipped or cancelled, or waits is retried`,
    );
  await askForRun(deps, {
    run: { requestId, task, sessionDate, universe, force, requestedBy: by },
    universeName,
    why,
    ...(httpRequestId !== undefined && { httpRequestId }),
  });
  return await told(requestId);
}

/** The run as its row knows it; where it was asked for with a file as universe, that file. */
async function repeatedBy(
  sql: ApiDeps['sql'],
  { runId, row }: { runId: string; row: TaskRunRow | null },
): Promise<Repeated> {
  const request = await findRunRequest(sql, runId);
  if (row !== null)
    return { ...row, universe: request?.universe ?? (await askedName(sql, row)), universeName: row.universe };
  if (request === null) throw new Problem('not-found', `there is no run ${runId}`);
  if (request.refusedReason === null)
    throw new Problem('conflict', `${request.task} of ${request.sessionDate} has not begun yet`);
  return { ...request, universeName: request.universe };
}

/** What a night's universe is asked for by: the configured file, where it is that one's name. */
async function askedName(sql: ApiDeps['sql'], { universe }: TaskRunRow): Promise<string> {
  return (await findUniverse(await configurationInForce(sql), universe))?.value ?? universe;
}

const retrySchema = z.object({ requestId: z.string(), runId: z.string() });

/** The run that a retry under the same key led to. */
async function knownRetry(
  sql: ApiDeps['sql'],
  { runId, requestId }: { runId: string; requestId: string },
): Promise<string | null> {
  for (const { action, details } of await listAudit(sql, { subject: runId })) {
    const parsed = action === RETRY ? retrySchema.safeParse(details) : null;
    if (parsed?.success && parsed.data.requestId === requestId) return parsed.data.runId;
  }
  return null;
}
