import type { temporal } from '@temporalio/proto';
import type { FailureInfo } from '../contracts/activities.ts';
import { activityName } from './progress-words.ts';

/** As the server keeps failures: each level has its cause. */
export type Failure = temporal.api.failure.v1.IFailure;

/** Nobody reads further down; the Web UI has the rest. */
const MAX_LEVELS = 8;

/** `temporal.api.enums.v1.TimeoutType`, in its order. */
const TIMEOUTS = [
  'its time was over',
  'one attempt took longer than it may',
  'no worker took it in time',
  'all its attempts together took longer than they may',
  'its worker fell silent',
];
/** `temporal.api.enums.v1.RetryState`, in its order; empty where there is nothing to say. */
const ENDS = [
  '',
  '',
  'such a failure is not tried again',
  'its time was over',
  'it was tried as often as it may',
  '',
  'the server had a failure of its own',
  'it was asked to stop',
];

/** A failure as people read it: what failed, then its cause, then the cause of that. Empty without a failure. */
export function failureChain(failure: Failure | null | undefined): string[] {
  const lines: string[] = [];
  for (let level = failure; level && lines.length < MAX_LEVELS; level = level.cause) {
    const line = sentenceOf(level);
    if (line !== '' && line !== lines.at(-1)) lines.push(line);
  }
  return lines;
}

/** `fold fit failed: it was tried as often as it may`. */
export function failedWords(name: string, retryState: number | null | undefined): string {
  const end = ENDS[retryState ?? 0] ?? '';
  return end === '' ? `${name} failed` : `${name} failed: ${end}`;
}

/** The same of a failure as rows keep it: its class and the step it came from. */
export function storedChain({ activity, type, message, nonRetryable }: FailureInfo): string[] {
  const own = applicationWords({ type, message, nonRetryable });
  return activity === null ? [own] : [failedWords(activityName(activity), null), own];
}

/** Why something was cut off, in words. */
export function timeoutWords(timeoutType: number | null | undefined): string {
  return TIMEOUTS[timeoutType ?? 0] ?? 'its time was over';
}

function sentenceOf(failure: Failure): string {
  const { message, applicationFailureInfo: own, activityFailureInfo: activity } = failure;
  const { childWorkflowExecutionFailureInfo: child, timeoutFailureInfo: timeout } = failure;
  if (activity)
    return failedWords(activityName(activity.activityType?.name ?? 'a step'), activity.retryState);
  if (child) return failedWords(child.workflowType?.name ?? 'a task', child.retryState);
  if (timeout) return timeoutWords(timeout.timeoutType);
  if (failure.canceledFailureInfo) return 'it was cancelled';
  if (failure.terminatedFailureInfo) return 'its workflow was terminated';
  return own ? applicationWords({ ...own, message }) : (message ?? '');
}

function applicationWords(failure: {
  type?: string | null;
  message?: string | null | undefined;
  nonRetryable?: boolean | null;
}): string {
  const { type, message, nonRetryable } = failure;
  const words = type ? `${type}: ${message ?? ''}` : (message ?? '');
  return nonRetryable ? `${words} (trying again would not help)` : words;
}
