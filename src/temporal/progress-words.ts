import { STEP_WORDS } from '../contracts/wire/step-words.ts';
import type {
  ActivityProgress,
  EndedRetry,
  PendingActivity,
  StepProgress,
  TaskProgress,
} from './progress.ts';

/** What tasks are working on, in words: command line and pages say the same. */

/** Activities shown at work at the same time; more do not fit beside each other. */
export const MAX_AT_WORK = 3;

/** `fold fit lightgbm block 3`. */
export function activityName(activityType: string, subject = ''): string {
  const name = STEP_WORDS[activityType]?.[0] ?? activityType;
  return subject === '' ? name : `${name} ${subject}`;
}

function nameOf({ activityType, subject }: { activityType: string; subject: string }): string {
  return activityName(activityType, subject);
}

/** `fold fits 12 of 40, final fits 0 of 8` for what a task does more than once. */
export function counted(steps: readonly StepProgress[]): string {
  return steps
    .filter(({ total }) => total > 1)
    .map(
      ({ activityType, done, total }) =>
        `${STEP_WORDS[activityType]?.[1] ?? activityType} ${done} of ${total}`,
    )
    .join(', ');
}

/** `fold fit lightgbm block 3 (fit 40 of 150)`. */
export function atWork(activity: ActivityProgress): string {
  const { phase, done, total } = activity;
  const far = total > 1 ? ` ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')}` : '';
  return phase === '' || (phase === 'start' && far === '')
    ? nameOf(activity)
    : `${nameOf(activity)} (${phase}${far})`;
}

/** How far a task is, in one line: counts, then what is worked on now. */
export function progressLine({ steps, pending }: TaskProgress): string {
  const busy = pending.filter(({ started }) => started).map(atWork);
  const shown = busy.slice(0, MAX_AT_WORK).join(', ');
  const now = shown === '' ? (pending.length > 0 ? 'waiting for a worker' : '') : `now ${shown}`;
  return [counted(steps), now].filter((part) => part !== '').join('; ');
}

/** `retry 2 of fold fit catboost block 1: activity Heartbeat timeout`. */
export function retryLine(retry: EndedRetry): string {
  return `retry ${retry.attempt} of ${nameOf(retry)}: ${retry.lastFailure ?? 'no reason given'}`;
}

/** Whether a worker has a pending activity, or what it waits for. */
export function pendingState(activity: PendingActivity): 'running' | 'queued' | 'waiting' | 'paused' {
  const { started, paused, nextAttemptAt } = activity;
  if (started) return 'running';
  if (paused) return 'paused';
  // The server names the time of the next attempt also when that has come.
  const isLater = nextAttemptAt !== null && Date.parse(nextAttemptAt) > Date.now();
  return isLater ? 'waiting' : 'queued';
}
