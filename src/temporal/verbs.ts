import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  isGrpcServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import type { NightInput } from '../contracts/activities.ts';
import {
  DECIDE_REVIEW,
  MANUAL_RUN,
  type ManualRunSignal,
  type ReviewInput,
} from '../contracts/wire/messages.ts';
import { JOB_QUEUE_WORKFLOW_ID, nightWorkflowId, TASK_QUEUES } from '../contracts/wire/names.ts';
import { NIGHT_DETAILS } from '../contracts/wire/user-metadata.ts';
import type { Sql } from '../db/client.ts';
import { isOpenState } from '../db/queries/nights.ts';
import { insertAudit, listAudit, type NewRunRequest, reviewsOf } from '../db/queries/requests.ts';
import { findTaskRun } from '../db/queries/task-runs.ts';

/** The acts that CLI and API share. Each is safe to repeat. */

const CALL_MS = 15_000;
/** The answer of an update comes from a worker: one on a busy machine may need more than a call. */
const ANSWER_MS = 120_000;
const PAUSE_MS = 100;
/** `grpc.status` CANCELLED and DEADLINE_EXCEEDED: which of them a call ends with depends on whose clock is faster. */
const OVER_TIME: readonly number[] = [1, 4];

export type RunHandle = { workflowId: string; runId: string };

/** Starts a night, or finds the open one of the same session and universe. */
export async function startNight(
  client: Client,
  input: NightInput & { universe: string },
): Promise<RunHandle> {
  const session = input.sessionDate ?? 'newest';
  const about = input.sessionDate ?? 'the newest session';
  const { universe } = input;
  const handle = await client.withDeadline(Date.now() + CALL_MS, () =>
    client.workflow.start('nightlyPipeline', {
      workflowId: nightWorkflowId(session, universe),
      taskQueue: TASK_QUEUES.pipeline,
      args: [input],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `night of ${about}, ${universe}`,
      staticDetails: NIGHT_DETAILS,
    }),
  );
  return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
}

/** Starts a night because a person asked for it: with the name on the night and in the audit. */
export async function startNightFor(options: {
  client: Client;
  sql: Sql;
  input: NightInput & { universe: string; requestedBy: string };
  /** Why, where the person was asked for it. */
  why?: string;
}): Promise<RunHandle> {
  const { client, sql, input, why = null } = options;
  const run = await startNight(client, input);
  const { workflowId: subject, runId } = run;
  // An open night is found, not started: whoever started it has the row.
  const known = (await listAudit(sql, { subject })).some(
    ({ action, details }) => action === 'night.start' && hasRunId(details, runId),
  );
  if (known) return run;
  const { requestedBy: actor, sessionDate = 'newest', universe, configHash = null } = input;
  const details = { runId, sessionDate, universe, configHash };
  await insertAudit(sql, { actor, action: 'night.start', subject, why, details });
  return run;
}

function hasRunId(details: unknown, runId: string): boolean {
  return typeof details === 'object' && details !== null && 'runId' in details && details.runId === runId;
}

/** Ends a night because a person wants it gone, with a row that says who and why. */
export async function endNightFor(options: {
  client: Client;
  sql: Sql;
  run: RunHandle;
  how: EndHow;
  by: string;
  why: string;
  /** How long Temporal may take to answer. */
  callMs?: number;
}): Promise<void> {
  const { client, sql, run, how, by, why, callMs = CALL_MS } = options;
  const { workflowId: subject, runId } = run;
  await insertAudit(sql, { actor: by, action: `night.${how}`, subject, why, details: { runId } });
  await endRun(client, { run, how, reason: `${by}: ${why}`, callMs });
}

/** Nights that are open on the server, also those that have not been planned yet and have no row. */
export async function listRunningNights(client: Client): Promise<(RunHandle & { startedAt: string })[]> {
  const query = "WorkflowType = 'nightlyPipeline' AND ExecutionStatus = 'Running'";
  const found: (RunHandle & { startedAt: string })[] = [];
  for await (const { workflowId, runId, startTime } of client.workflow.list({ query })) {
    found.push({ workflowId, runId, startedAt: startTime.toISOString() });
  }
  return found;
}

/** Whether a workflow run is closed; one that is not known (any more) is. */
export async function isRunClosed(client: Client, run: RunHandle): Promise<boolean> {
  try {
    const { status } = await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflow.getHandle(run.workflowId, run.runId).describe(),
    );
    return status.name !== 'RUNNING' && status.name !== 'PAUSED';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}

/** How a run ended that left no row: the class and the words of its failure. */
export type RunFailure = { type: string; message: string };

/**
 * The failure of a closed run; null while it runs, when it is not known, or when it did not fail. `runId` may be
 * left out: the newest run of that id. Each call has `callMs` (15 s).
 */
export async function readRunFailure(
  client: Client,
  run: { workflowId: string; runId?: string; callMs?: number },
): Promise<RunFailure | null> {
  const { callMs = CALL_MS } = run;
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  try {
    const { status, runId } = await client.withDeadline(Date.now() + callMs, () => handle.describe());
    if (status.name === 'RUNNING' || status.name === 'PAUSED' || status.name === 'COMPLETED') return null;
    const closed = client.workflow.getHandle(run.workflowId, runId);
    await client.withDeadline(Date.now() + callMs, () => closed.result());
    return null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    if (error instanceof WorkflowFailedError) return rootFailure(error);
    throw error;
  }
}

/** The failure that gave a chain its class: below activity and child failures. */
function rootFailure(error: WorkflowFailedError): RunFailure {
  let root: Error = error;
  while (!(root instanceof ApplicationFailure) && root.cause instanceof TemporalFailure) root = root.cause;
  const type = root instanceof ApplicationFailure ? (root.type ?? 'Error') : root.name;
  return { type, message: root.message };
}

/** Tells the queue about a stored request; ids it has seen are ignored. */
export async function signalManualRun(
  client: Client,
  request: NewRunRequest,
  callMs = CALL_MS,
): Promise<void> {
  const { requestId, task, sessionDate, universe, trigger } = request;
  const payload: ManualRunSignal = { taskRunId: requestId, task, sessionDate, universe, trigger };
  await client.withDeadline(Date.now() + callMs, () =>
    client.workflow.signalWithStart('jobQueue', {
      workflowId: JOB_QUEUE_WORKFLOW_ID,
      taskQueue: TASK_QUEUES.pipeline,
      args: [],
      signal: MANUAL_RUN,
      signalArgs: [payload],
      staticSummary: 'slots for task runs',
    }),
  );
}

/** A decision that was refused: nothing waits, or somebody decided before. */
export class ReviewRefusedError extends Error {
  override name = 'ReviewRefusedError';
}

/** A decision that no worker has answered: it may have been taken, or be taken as soon as one runs. */
export class ReviewUnansweredError extends Error {
  override name = 'ReviewUnansweredError';
}

/**
 * Decides about a task that waits for a person. The same decision again, after an answer that was lost, is answered
 * as before; so a call that no worker answers is repeated. Throws ReviewRefusedError when nothing waits (any more) or
 * somebody decided otherwise, ReviewUnansweredError when no worker answers for `answerMs`.
 */
export async function decideReview(options: {
  client: Client;
  sql: Sql;
  /** Workflow that waits: the night or the manual run. */
  workflowId: string;
  review: ReviewInput;
  /** Attempts of the task run when the person looked at it: tells one review of a task from the next. */
  attempts: number;
  /** How long it is asked for, 2 minutes; `callMs` of it (15 s) in one call. */
  answerMs?: number;
  callMs?: number;
  /** Called each time a call ended without an answer. */
  onSilence?: () => void;
}): Promise<void> {
  const { client, sql, workflowId, review, attempts } = options;
  const { taskRunId, decision, by, why } = review;
  const key = JSON.stringify([taskRunId, attempts, decision, by, why]);
  const updateId = createHash('sha256').update(key).digest('hex');
  try {
    const handle = client.workflow.getHandle(workflowId);
    // The id makes it one decision: a call whose answer was lost, or that waits for a worker, is found by the next.
    await untilAnswered(options, (deadlineMs) =>
      client.withDeadline(deadlineMs, () =>
        handle.executeUpdate(DECIDE_REVIEW, { args: [review], updateId }),
      ),
    );
  } catch (error) {
    const words = refusalOf(error, workflowId);
    if (words === null) throw error;
    // The run may have gone on or ended meanwhile: its row of the review says whether this decision was taken.
    if (await wasTaken(sql, { review, attempts })) return;
    throw new ReviewRefusedError(words, { cause: error });
  }
}

/**
 * Whether the last decision about a run is this one: of the review the person looked at, or of the one that the run has
 * gone on from since. A later review that expired is another one.
 */
async function wasTaken(
  sql: Sql,
  { review, attempts }: { review: ReviewInput; attempts: number },
): Promise<boolean> {
  const { taskRunId, decision, by, why } = review;
  const last = (await reviewsOf(sql, taskRunId)).at(-1);
  if (last?.decision !== decision || last.decidedBy !== by || last.why !== why) return false;
  if (last.afterAttempt === attempts) return true;
  const state = (await findTaskRun(sql, taskRunId))?.state ?? 'failed';
  const goesOn = state === 'succeeded' || (isOpenState(state) && state !== 'awaiting_review');
  return decision === 'retry' && last.afterAttempt < attempts && goesOn;
}

async function untilAnswered(
  options: { review: ReviewInput; answerMs?: number; callMs?: number; onSilence?: () => void },
  ask: (deadlineMs: number) => Promise<unknown>,
): Promise<void> {
  const { review, answerMs = ANSWER_MS, callMs = CALL_MS, onSilence } = options;
  const untilMs = Date.now() + answerMs;
  while (Date.now() < untilMs) {
    try {
      await ask(Math.min(Date.now() + callMs, untilMs));
      return;
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      onSilence?.();
      await sleep(PAUSE_MS);
    }
  }
  throw new ReviewUnansweredError(
    `no worker answered within ${Math.round(answerMs / 1000)} s: the decision about ${review.taskRunId} may still be ` +
      'taken; `nightshift status` shows whether it waits, and the same decision may be given again',
  );
}

/** The time of a call was over; the server itself had answered nothing. */
function isUnanswered(error: unknown): boolean {
  if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) return false;
  const code: number | undefined = isGrpcServiceError(error.cause) ? error.cause.code : undefined;
  return code !== undefined && OVER_TIME.includes(code);
}

function refusalOf(error: unknown, workflowId: string): string | null {
  if (error instanceof WorkflowUpdateFailedError) return error.cause?.message ?? error.message;
  return error instanceof WorkflowNotFoundError ? `${workflowId} is not running` : null;
}

/** `cancel` asks a run to stop cleanly; `terminate` ends it at once: it runs no code more, its rows are closed later. */
export type EndHow = 'cancel' | 'terminate';

/** Ends a run; one that is closed already is left alone. Without a run id: the newest of the workflow id. */
export async function endRun(
  client: Client,
  options: { run: { workflowId: string; runId?: string }; how: EndHow; reason: string; callMs: number },
): Promise<void> {
  const { run, how, reason, callMs } = options;
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  try {
    await client.withDeadline(Date.now() + callMs, () =>
      how === 'cancel' ? handle.cancel() : handle.terminate(reason),
    );
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
