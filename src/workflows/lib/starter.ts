import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, executeChild, log, sleep } from '@temporalio/workflow';

import type {
  FailureInfo,
  RunActivities,
  TaskEnd,
  TaskInput,
  TaskPlan,
  TaskResult,
} from '../../contracts/activities.ts';
import type { SlotLimits } from '../../contracts/slots.ts';
import type { FailureType } from '../../contracts/wire/failures.ts';
import { TASK_QUEUES, type TaskState, taskWorkflowId } from '../../contracts/wire/names.ts';
import { REVIEW_EXPIRED, type ReviewInput, WAITS_FOR_SLOT } from '../../contracts/wire/messages.ts';
import { serialLocalActivities } from './local-activities.ts';
import type { StateDetails } from './board.ts';
import { describeFailure, isRunTimeout } from './failure.ts';
import type { ReviewDesk } from './review-desk.ts';
import { taskAttributes } from './search-attributes.ts';
import type { SlotDesk } from './slots.ts';

/** An end of our runtime's luck, not of the task's: after so many outages someone has to look. */
const MAX_OUTAGE_RERUNS = 20;
const SUPERSEDED: FailureType = 'SupersededAttempt';
/** A child of a starter that was just terminated may take this long to go. */
const ALREADY_STARTED_WAITS_MS = [1_000, 2_000, 5_000, 10_000, 20_000, 30_000];

export type TaskOutcome = {
  state: 'succeeded' | 'failed';
  reason: string | null;
  result: TaskResult | null;
  /** A person ended the whole night. */
  abort: ReviewInput | null;
};

export type StartOptions = {
  plan: TaskPlan;
  /** The child's input; its `turn` is counted here. */
  input: TaskInput;
  limits: SlotLimits;
  slots: SlotDesk;
  reviews: ReviewDesk;
  /** Latest instant (ms) at which the task may still be started again; Infinity: no next night to respect. */
  latestRestartMs: () => number;
  /** For the board of the run. */
  onState: (state: TaskState, reason: string | null, details?: StateDetails) => void;
};

/**
 * Runs one task to its end, the same way for a night and for a manual run: waits for its own time, for a slot
 * and, after a failure of a task without retries, for a person, all outside the timed child and the last
 * without a slot. Throws only for cancellation.
 */
export async function startTask(options: StartOptions): Promise<TaskOutcome> {
  const { plan, onState } = options;
  const rows = serialLocalActivities<RunActivities>('bookkeeping');
  const enter = async (state: TaskState, reason: string | null, reviewDeadline?: string): Promise<void> => {
    const deadline = reviewDeadline === undefined ? {} : { reviewDeadline };
    onState(state, reason, deadline);
    const transition = { taskRunId: plan.taskRunId, state, reason, order: nextOrder(), ...deadline };
    await rows.recordTasks({ transitions: [transition] });
  };
  const fail = async (reason: string, abort: ReviewInput | null = null): Promise<TaskOutcome> => {
    await enter('failed', reason);
    return { state: 'failed', reason, result: null, abort };
  };

  await waitForOwnTime(plan, enter);
  let attempts = plan.maxAttempts;
  let used = 0;
  for (let turn = 0, outages = 0; ; turn += 1) {
    const run = await runOnce({ ...options, turn, attempts, used, enter });
    used += run.attempts;
    onState('running', null, { attempts: used });
    if (run.failure === null) {
      onState('succeeded', null);
      return { state: 'succeeded', reason: null, result: run.result, abort: null };
    }
    const { lost, stored } = await lostAttempts({ rows, plan, run });
    if (stored !== null) {
      // Its last row was written, its own end came too late: nothing is left to do.
      onState('succeeded', null);
      return { state: 'succeeded', reason: null, result: stored, abort: null };
    }
    if (lost > 0 && outages < MAX_OUTAGE_RERUNS) {
      // Our own runtime was down: infrastructure, neither a retry of the task nor a matter for a person.
      outages += 1;
      attempts = lost;
      log.warn('attempts lost to an outage are run again', { taskRunId: plan.taskRunId, lost });
      continue;
    }
    const problem = `${run.failure.type}: ${run.failure.message}`;
    if (plan.reviewWindowMs === null) return fail(problem);
    const decision = await review({ options, problem, windowMs: plan.reviewWindowMs, enter });
    if (decision === undefined) return fail(`${REVIEW_EXPIRED}: ${problem}`);
    const who = `${decision.by}: ${decision.why}`;
    if (decision.decision === 'skip') return fail(`skipped by ${who} (${problem})`);
    if (decision.decision === 'abort') return fail(`aborted by ${who} (${problem})`, decision);
    attempts = plan.maxAttempts;
    outages = 0;
    await enter('waiting', `started again by ${who}`);
    onState('waiting', null, { note: `started again by ${who}` });
  }
}

type Enter = (state: TaskState, reason: string | null, reviewDeadline?: string) => Promise<void>;

async function waitForOwnTime(plan: TaskPlan, enter: Enter): Promise<void> {
  if (plan.notBefore === null) return;
  const waitMs = Date.parse(plan.notBefore) - Date.now();
  if (waitMs <= 0) return;
  await enter('waiting', `until ${plan.notBeforeLocal ?? plan.notBefore}`);
  await sleep(waitMs, { summary: `${plan.task} waits for its time` });
}

type Run = {
  startedAtMs: number;
  failure: FailureInfo | null;
  timedOut: boolean;
  result: TaskResult | null;
  /** How many attempts it had. */
  attempts: number;
};

/** One execution of the child with all its attempts, inside one slot. */
async function runOnce(
  options: StartOptions & { turn: number; attempts: number; used: number; enter: Enter },
): Promise<Run> {
  const { plan, slots, turn, limits, attempts, used, enter } = options;
  const { task, taskRunId } = plan;
  const childId = taskWorkflowId(task, options.input.sessionDate, options.input.universe);
  await slots.acquire({ taskRunId, turn, task, limits, childId }, () => enter('waiting', WAITS_FOR_SLOT));
  const startedAtMs = Date.now();
  options.onState('running', null, { attempts: used + 1 });
  try {
    const { attempt, ...result } = await executeTask(options);
    return { startedAtMs, failure: null, timedOut: false, result, attempts: attempt ?? 1 };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    const failure = describeFailure(error);
    const timedOut = isRunTimeout(error);
    // A timed-out attempt says nothing itself; it was the last one there was.
    const had = failure.attempt ?? (timedOut ? attempts : 1);
    return { startedAtMs, failure, timedOut, result: null, attempts: had };
  } finally {
    slots.release({ taskRunId, turn });
  }
}

/** Executions recorded before attempts were told end without one. */
type ChildEnd = TaskResult & Partial<Pick<TaskEnd, 'attempt'>>;

async function executeTask(options: StartOptions & { turn: number; attempts: number }): Promise<ChildEnd> {
  const { plan, turn, attempts } = options;
  const input: TaskInput = { ...options.input, turn };
  const { task, sessionDate, universe } = input;
  for (let round = 0; ; round += 1) {
    try {
      return await executeChild<(input: TaskInput) => Promise<ChildEnd>>(task, {
        workflowId: taskWorkflowId(task, sessionDate, universe),
        taskQueue: TASK_QUEUES.pipeline,
        args: [input],
        workflowRunTimeout: plan.timeoutMs,
        retry: {
          maximumAttempts: attempts,
          initialInterval: plan.retry.initialIntervalMs,
          backoffCoefficient: plan.retry.backoffCoefficient,
          maximumInterval: plan.retry.maximumIntervalMs,
        },
        typedSearchAttributes: taskAttributes(input),
        staticSummary: `${task} of ${sessionDate} (${universe})`,
        staticDetails: childDetails(plan, attempts),
      });
    } catch (error) {
      const waitMs = ALREADY_STARTED_WAITS_MS[round];
      if (!(error instanceof WorkflowExecutionAlreadyStartedError) || waitMs === undefined) throw error;
      await sleep(waitMs, { summary: 'an earlier run of this task is still ending' });
    }
  }
}

function childDetails(plan: TaskPlan, attempts: number): string {
  const minutes = Math.round(plan.timeoutMs / 6_000) / 10;
  const tries =
    attempts === 1 ? 'one attempt' : `up to ${attempts} attempts, each a run under this workflow id,`;
  return `Task run \`${plan.taskRunId}\`: ${tries} of at most ${minutes} minutes.`;
}

async function lostAttempts(context: {
  rows: Pick<RunActivities, 'countLostAttempts'>;
  plan: TaskPlan;
  run: Run;
}): Promise<{ lost: number; stored: TaskResult | null }> {
  const { rows, plan, run } = context;
  const nothing = { lost: 0, stored: null };
  if (run.failure === null) return nothing;
  // A next attempt is superseded when the one before it had written its end already.
  const isSuperseded = run.failure.type === SUPERSEDED;
  if (run.failure.nonRetryable && !isSuperseded) return nothing;
  const { lost, stored } = await rows.countLostAttempts({
    taskRunId: plan.taskRunId,
    from: new Date(run.startedAtMs).toISOString(),
    to: new Date(Date.now()).toISOString(),
    timeoutMs: plan.timeoutMs,
    lastTimedOut: run.timedOut,
  });
  return { lost: isSuperseded ? 0 : lost, stored: stored ?? null };
}

async function review(context: {
  options: StartOptions;
  problem: string;
  windowMs: number;
  enter: Enter;
}): Promise<ReviewInput | undefined> {
  const { options, problem, windowMs, enter } = context;
  const nowMs = Date.now();
  const deadlineMs = Math.min(nowMs + windowMs, options.latestRestartMs());
  if (deadlineMs <= nowMs) return undefined;
  return options.reviews.decision({
    taskRunId: options.plan.taskRunId,
    deadlineMs,
    announce: () => enter('awaiting_review', problem, new Date(deadlineMs).toISOString()),
  });
}

/** Transitions so far; module state is a workflow's own. */
let transitions = 0;

/** Higher than every order before it, also than those of a run from which this one was reset. */
function nextOrder(): number {
  transitions += 1;
  return Date.now() * 1000 + transitions;
}
