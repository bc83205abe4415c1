import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  DeterminismViolationError,
  TemporalFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/workflow';

import type { FailureInfo } from '../../contracts/activities.ts';
import { NON_RETRYABLE_TYPES } from '../../contracts/wire/failures.ts';

const NON_RETRYABLE = new Set<string>(NON_RETRYABLE_TYPES);

/**
 * Walks through activity and child failures to the one that gave the failure its class, with its first
 * sentence and the activity it came from. What lies below that (a cause as thrown) explains, but decides nothing.
 */
export function describeFailure(error: unknown): FailureInfo {
  let activity: string | null = null;
  let attempt: number | null = null;
  let root: unknown = error;
  while (root instanceof ActivityFailure || root instanceof ChildWorkflowFailure) {
    if (root instanceof ActivityFailure) activity = root.activityType;
    if (root.cause === undefined) break;
    root = root.cause;
  }
  // Our own top level keeps where it came from: a parent sees only that.
  const origin: unknown = root instanceof ApplicationFailure ? root.details?.[0] : undefined;
  if (isOrigin(origin)) ({ activity, attempt } = origin);
  const type = typeOf(root, activity);
  const nonRetryable =
    (root instanceof ApplicationFailure && root.nonRetryable === true) || NON_RETRYABLE.has(type);
  return { type, message: messageOf(root, activity), activity, attempt, nonRetryable };
}

type Origin = { activity: string | null; attempt: number | null };

function isOrigin(value: unknown): value is Origin {
  return typeof value === 'object' && value !== null && 'activity' in value && 'attempt' in value;
}

function typeOf(root: unknown, activity: string | null): string {
  if (root instanceof ApplicationFailure) return root.type ?? 'Error';
  if (root instanceof TimeoutFailure) return activity === null ? 'TaskTimeout' : 'ActivityTimeout';
  if (root instanceof TerminatedFailure) return 'Terminated';
  if (root instanceof CancelledFailure) return 'Cancelled';
  return root instanceof Error ? root.name : 'Error';
}

function messageOf(root: unknown, activity: string | null): string {
  if (root instanceof TimeoutFailure) {
    if (activity === null) return 'the attempt took longer than its timeout';
    return `${activity} did not answer in time (${root.timeoutType ?? 'timeout'})`;
  }
  if (root instanceof TerminatedFailure) return 'the workflow was terminated';
  return root instanceof Error ? root.message : String(root);
}

/** True when the child's own run timeout ended its last attempt. */
export function isRunTimeout(error: unknown): boolean {
  return error instanceof ChildWorkflowFailure && error.cause instanceof TimeoutFailure;
}

/**
 * The failure a task workflow ends with. Only the top level of a chain decides about retries (ran): so class
 * and `nonRetryable` go there, or an impossible input would be tried again.
 */
export function topLevelFailure(failure: FailureInfo, executionAttempt: number): ApplicationFailure {
  const origin: Origin = { activity: failure.activity, attempt: executionAttempt };
  return ApplicationFailure.create({
    message: failure.message,
    type: failure.type,
    nonRetryable: failure.nonRetryable,
    details: [origin],
  });
}

/**
 * Runs a workflow's body so that a defect of ours ends it. A plain error would fail its task again and again: the run
 * would stay open and every later night be skipped because of it.
 */
export async function endingInFailure<Result>(body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof TemporalFailure || error instanceof DeterminismViolationError) throw error;
    const { type, message } = describeFailure(error);
    throw ApplicationFailure.create({
      message,
      type,
      nonRetryable: true,
      ...(error instanceof Error ? { cause: error } : {}),
    });
  }
}
