import { defaultPayloadConverter } from '@temporalio/common';
import { DECIDE_REVIEW, SLOT_GRANTED } from '../contracts/wire/messages.ts';
import { failedWords, failureChain, type Failure, timeoutWords } from './failure-words.ts';
import { type HistoryEvent, instantOf } from './history.ts';
import { activityName } from './progress-words.ts';
import { subjectOf } from './progress.ts';

/** What an entry is about, for whoever marks or filters them. */
export const ENTRY_KINDS = ['begin', 'step', 'retry', 'failure', 'wait', 'task', 'decision', 'end'] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** One thing that happened, as people read it. */
export type TimelineEntry = {
  at: string;
  kind: EntryKind;
  text: string;
  /** Attempt of the task run it belongs to; null for what stands above them. */
  attempt: number | null;
  /** Number of the event in Temporal's history; null for what the rows tell. */
  eventId: number | null;
};

/**
 * Names of activities that have not ended, by the number of the event that asked for them: later events only have
 * that. Under `NUMBER@` the instant at which a worker began.
 */
export type OpenNames = Map<string, string>;

type Told = readonly [EntryKind, string];

/** An event in words; null for one that says nothing to a person. Keeps `names` up to date. */
export function entryOf(event: HistoryEvent, names: OpenNames, attempt: number | null): TimelineEntry | null {
  const told =
    activityWords(event, names) ?? childWords(event) ?? messageWords(event) ?? executionWords(event);
  if (told === null) return null;
  const [kind, text] = told;
  return { at: instantOf(event.eventTime) ?? '', kind, text, attempt, eventId: Number(event.eventId) };
}

function activityWords(event: HistoryEvent, names: OpenNames): Told | null {
  const asked = event.activityTaskScheduledEventAttributes;
  if (asked) {
    const name = activityName(asked.activityType?.name ?? '', subjectOf(asked.input?.payloads?.[0]));
    names.set(String(event.eventId), name);
    return ['step', `asks for ${name}`];
  }
  const begun = event.activityTaskStartedEventAttributes;
  if (begun) {
    const name = nameIn(names, begun);
    names.set(`${String(begun.scheduledEventId)}@`, String(instantMs(event)));
    // Written when the activity ends: the end says how long it took.
    if ((begun.attempt ?? 1) === 1) return null;
    return ['retry', `attempt ${begun.attempt} of ${name} begins${because('before', begun.lastFailure)}`];
  }
  if (event.activityTaskCancelRequestedEventAttributes) {
    return ['step', `asks ${nameIn(names, event.activityTaskCancelRequestedEventAttributes)} to stop`];
  }
  const done = event.activityTaskCompletedEventAttributes;
  if (done) {
    const took = tookWords(event, names, done);
    return ['step', `${ended(names, done)} is done${took}`];
  }
  const failed = event.activityTaskFailedEventAttributes;
  if (failed) {
    const words = failedWords(ended(names, failed), failed.retryState);
    return ['failure', `${words}${because('', failed.failure)}`];
  }
  const late = event.activityTaskTimedOutEventAttributes;
  if (late) {
    const words = failedWords(ended(names, late), late.retryState);
    return ['failure', `${words}${because('', late.failure)}`];
  }
  const stopped = event.activityTaskCanceledEventAttributes;
  return stopped ? ['step', `${ended(names, stopped)} was stopped`] : null;
}

type OfActivity = { scheduledEventId?: unknown };

function nameIn(names: OpenNames, { scheduledEventId }: OfActivity): string {
  return names.get(String(scheduledEventId)) ?? 'a step';
}

function ended(names: OpenNames, of: OfActivity): string {
  const name = nameIn(names, of);
  names.delete(String(of.scheduledEventId));
  names.delete(`${String(of.scheduledEventId)}@`);
  return name;
}

/** `, in 12 s`: the work of its last attempt, without its wait for a worker. */
function tookWords(event: HistoryEvent, names: OpenNames, { scheduledEventId }: OfActivity): string {
  const begunMs = names.get(`${String(scheduledEventId)}@`);
  return begunMs === undefined ? '' : `, in ${spanOf((instantMs(event) - Number(begunMs)) / 1000)}`;
}

function instantMs({ eventTime }: HistoryEvent): number {
  return Date.parse(instantOf(eventTime) ?? '');
}

function childWords(event: HistoryEvent): Told | null {
  const begun = event.childWorkflowExecutionStartedEventAttributes;
  if (begun) return ['task', `${typeOf(begun)} begins as ${begun.workflowExecution?.workflowId ?? ''}`];
  const done = event.childWorkflowExecutionCompletedEventAttributes;
  if (done) return ['task', `${typeOf(done)} is done`];
  const failed = event.childWorkflowExecutionFailedEventAttributes;
  if (failed) return ['failure', `${typeOf(failed)} failed${because('', failed.failure)}`];
  const late = event.childWorkflowExecutionTimedOutEventAttributes;
  if (late) return ['failure', `${typeOf(late)} took longer than its timeout`];
  const stopped = event.childWorkflowExecutionCanceledEventAttributes;
  if (stopped) return ['task', `${typeOf(stopped)} was stopped`];
  const ended = event.childWorkflowExecutionTerminatedEventAttributes;
  if (ended) return ['failure', `${typeOf(ended)} was terminated`];
  const refused = event.startChildWorkflowExecutionFailedEventAttributes;
  return refused ? ['wait', `${typeOf(refused)} cannot begin yet: an earlier run of it is still open`] : null;
}

function typeOf({ workflowType }: { workflowType?: { name?: string | null } | null }): string {
  return workflowType?.name ?? 'a task';
}

/** What it was told from outside, and what it waits for. */
function messageWords(event: HistoryEvent): Told | null {
  const { timerStartedEventAttributes: timer, workflowExecutionSignaledEventAttributes: signal } = event;
  const summary = textIn(event.userMetadata?.summary);
  if (timer) {
    const seconds = Number(timer.startToFireTimeout?.seconds ?? 0);
    return ['wait', `waits at most ${spanOf(Math.max(1, seconds))}${summary === '' ? '' : `: ${summary}`}`];
  }
  if (event.timerFiredEventAttributes)
    return ['wait', `the time of a wait is over${summary === '' ? '' : `: ${summary}`}`];
  if (signal)
    return ['wait', signal.signalName === SLOT_GRANTED ? 'has a slot' : `is told ${signal.signalName}`];
  const input = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input;
  if (!input) return null;
  if (input.name !== DECIDE_REVIEW) return ['decision', `is asked for ${input.name}`];
  const { by, decision, why } = recordIn(input.args?.payloads?.[0]);
  return ['decision', `${String(by)} decides: ${String(decision)}, ${String(why)}`];
}

function executionWords(event: HistoryEvent): Told | null {
  const begun = event.workflowExecutionStartedEventAttributes;
  if (begun) {
    const again = (begun.attempt ?? 1) > 1 ? ' again' : '';
    return ['begin', `${typeOf(begun)} begins${again}${because('before', begun.continuedFailure)}`];
  }
  if (event.workflowExecutionCancelRequestedEventAttributes) return ['decision', 'is asked to stop'];
  if (event.workflowExecutionCompletedEventAttributes) return ['end', 'is done'];
  const failed = event.workflowExecutionFailedEventAttributes;
  if (failed) return ['failure', `failed${because('', failed.failure)}`];
  if (event.workflowExecutionTimedOutEventAttributes) return ['failure', 'took longer than its timeout'];
  if (event.workflowExecutionCanceledEventAttributes) return ['end', 'has stopped'];
  const ended = event.workflowExecutionTerminatedEventAttributes;
  if (ended) return ['failure', terminatedWords(ended.reason)];
  if (event.workflowExecutionContinuedAsNewEventAttributes) return ['end', 'goes on as a new run'];
  const stumbled = event.workflowTaskFailedEventAttributes;
  if (stumbled) return ['retry', `its workflow stumbled and is tried again${because('', stumbled.failure)}`];
  const unanswered = event.workflowTaskTimedOutEventAttributes;
  return unanswered
    ? ['retry', `no worker carried its workflow on: ${timeoutWords(unanswered.timeoutType)}; asked again`]
    : null;
}

/** `was terminated: Ann: it hangs`. */
export function terminatedWords(reason: string | null | undefined): string {
  return reason ? `was terminated: ${reason}` : 'was terminated';
}

function because(when: string, failure: Failure | null | undefined): string {
  const chain = failureChain(failure);
  if (chain.length === 0) return '';
  return `${when === '' ? '' : `; ${when}`}: ${chain.join('; because: ')}`;
}

function spanOf(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

function textIn(payload: Payload | null | undefined): string {
  if (payload === null || payload === undefined) return '';
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  return typeof value === 'string' ? value : '';
}

function recordIn(payload: Payload | null | undefined): Record<string, unknown> {
  if (payload === null || payload === undefined) return {};
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
