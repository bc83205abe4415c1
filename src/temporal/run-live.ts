import type { Client } from '@temporalio/client';
import { terminatedWords } from './event-words.ts';
import { failedWords, failureChain, timeoutWords } from './failure-words.ts';
import { isRefusedArgument, isTemporalGone, isUnknownRun } from './gone.ts';
import { type HistoryEvent, readLastEvents, type RunKey } from './history.ts';
import { activityName } from './progress-words.ts';
import { createProgressReader, type LiveProgress } from './progress.ts';

/** What only Temporal knows of a run, or in `note` why it does not tell. */
export type LivePart =
  | { live: LiveProgress; failureChain: string[]; note: null }
  | { live: null; failureChain: null; note: string };

/** That of a run which has no attempt yet. */
export const NOT_BEGUN: LivePart = { live: null, failureChain: null, note: 'no attempt has begun' };

/** Reads the live part of a run; `activity` is the step that its rows blame for its failure. */
export type LiveReader = (run: RunKey, activity?: string | null) => Promise<LivePart>;

/** The failure of a step stands a few events before the end of its run. */
const LAST_EVENTS = 20;
/** Runs that are remembered. */
const MOST_KNOWN = 200;
const OPEN = ['RUNNING', 'PAUSED'];

/**
 * Reads what only Temporal knows of runs: their state there, pending activities, what was counted, how they failed.
 * A run that Temporal does not know (any more) and a server that does not answer are told in the note. What is known
 * of a closed run stays; of an open one it is `freshMs` old at most.
 */
export function createLiveReader(options: { client: Client; callMs: number; freshMs: number }): LiveReader {
  const { client, callMs, freshMs } = options;
  const readProgress = createProgressReader(client);
  const known = new Map<string, { part: Promise<LivePart>; untilMs: number }>();

  const read = async ({ workflowId, runId }: RunKey, activity: string | null): Promise<LivePart> => {
    const live = await readProgress(workflowId, runId);
    const isWell = [...OPEN, 'COMPLETED'].includes(live.status);
    const events = isWell ? [] : await readLastEvents(client, { workflowId, runId, count: LAST_EVENTS });
    return { live, failureChain: closingChain(events, activity), note: null };
  };

  return (run, activity = null) => {
    const before = known.get(run.runId);
    if (before !== undefined && before.untilMs > Date.now()) return before.part;
    const part = client
      .withDeadline(Date.now() + callMs, () => read(run, activity))
      .catch((error: unknown): LivePart => ({ live: null, failureChain: null, note: noteOf(error) }));
    const mine = { part, untilMs: Number.POSITIVE_INFINITY };
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(run.runId, mine);
    part.then(
      ({ live }) => {
        const isOver = live !== null && !OPEN.includes(live.status);
        if (!isOver) mine.untilMs = Date.now() + freshMs;
      },
      () => known.delete(run.runId),
    );
    return part;
  };
}

/** Why Temporal does not tell; anything else is thrown on. */
function noteOf(error: unknown): string {
  if (isUnknownRun(error) || isRefusedArgument(error)) return 'Temporal does not know this run any more';
  if (isTemporalGone(error)) return 'Temporal does not answer';
  throw error;
}

/** How a run ended, from its last events (newest first): the step that failed with its causes, or what ended it. */
export function closingChain(events: readonly HistoryEvent[], activity: string | null): string[] {
  const [end] = events;
  if (end === undefined) return [];
  const terminated = end.workflowExecutionTerminatedEventAttributes;
  if (terminated) return [terminatedWords(terminated.reason)];
  if (end.workflowExecutionTimedOutEventAttributes) return ['the attempt took longer than its timeout'];
  if (end.workflowExecutionCanceledEventAttributes) return ['it was asked to stop'];
  const closing = failureChain(end.workflowExecutionFailedEventAttributes?.failure);
  const step = events.find((event) => failedStep(event) !== null);
  const failed = step === undefined ? null : failedStep(step);
  if (failed === null) return closing;
  const cause = failed.failure?.timeoutFailureInfo
    ? [timeoutWords(failed.failure.timeoutFailureInfo.timeoutType)]
    : failureChain(failed.failure);
  // Its own end repeats the class and the words of the step, without the causes.
  const isSame = closing[0] === cause[0];
  const words = failedWords(activity === null ? 'a step' : activityName(activity), failed.retryState);
  return [words, ...(isSame ? [] : closing), ...cause];
}

function failedStep(event: HistoryEvent) {
  return event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes ?? null;
}
