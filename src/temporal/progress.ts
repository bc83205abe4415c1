import type { Client, WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { failureChain } from './failure-words.ts';
import { instantOf } from './history.ts';

/** A pending activity as a person wants to see it: on what, how far, which attempt, why it was retried. */
export type ActivityProgress = {
  activityId: string;
  activityType: string;
  /** What it works on, e.g. `lightgbm block 3`; empty for an activity that is one of its kind. */
  subject: string;
  attempt: number;
  /** A worker has it; false while it waits in the queue or for its next attempt. */
  started: boolean;
  phase: string;
  done: number;
  total: number;
  lastFailure: string | null;
};

/** Activities of one type: how many were asked for, how many have ended well. */
export type StepProgress = { activityType: string; done: number; total: number };

/** An attempt after the first of an activity that has ended meanwhile. */
export type EndedRetry = Pick<
  ActivityProgress,
  'activityId' | 'activityType' | 'subject' | 'attempt' | 'lastFailure'
>;

/** How far one task's workflow is. */
export type TaskProgress = {
  workflowId: string;
  runId: string;
  /** In the order in which the workflow first asked for each type. */
  steps: StepProgress[];
  pending: ActivityProgress[];
  retries: EndedRetry[];
};

/** A pending activity with what is known of its next attempt. */
export type PendingActivity = ActivityProgress & {
  /** 0: no limit but its time. */
  maxAttempts: number;
  /** Somebody paused it with Temporal's own tools. */
  paused: boolean;
  /** Why the attempt before failed, then the causes of that; empty on the first attempt. */
  failureChain: string[];
  /** When it is tried again, while it waits for that. */
  nextAttemptAt: string | null;
  scheduledAt: string | null;
  startedAt: string | null;
};

/** How far one run is, with its state as Temporal calls it: `RUNNING`, `COMPLETED`, `FAILED`, … */
export type LiveProgress = Omit<TaskProgress, 'pending'> & { status: string; pending: PendingActivity[] };

type HistoryEvents = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>;
type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

/** A history is read at most this often per workflow: it grows, a description does not. */
const HISTORY_EVERY_MS = 1_000;

/** Longer histories are not read whole: what was done is then not counted. */
const MOST_EVENTS = 5_000;
/** Runs whose history is remembered. */
const MOST_KNOWN = 200;

/** `PENDING_ACTIVITY_STATE_STARTED` of the API: a worker has it. */
const STATE_STARTED = 2;

type Known = { pendingIds: string; readAtMs: number; told: HistoryTold };
type HistoryTold = { steps: StepProgress[]; retries: EndedRetry[]; subjects: Map<string, string> };

/**
 * Reads how far a run of a workflow is, the newest one if none is named: one `describe` per call, and its history
 * when the set of pending activities changed. Rejects when the run is not known.
 */
export function createProgressReader(
  client: Client,
  now: () => number = Date.now,
): (workflowId: string, runId?: string) => Promise<LiveProgress> {
  const known = new Map<string, Known>();
  return async (workflowId, asked) => {
    const description = await client.workflow.getHandle(workflowId, asked).describe();
    const { runId, historyLength } = description;
    const activities = description.raw.pendingActivities ?? [];
    const pendingIds = activities.map(({ activityId }) => activityId).join();
    let last = known.get(runId);
    if (last === undefined || (last.pendingIds !== pendingIds && now() - last.readAtMs >= HISTORY_EVERY_MS)) {
      const isLong = historyLength > MOST_EVENTS;
      const { events } = isLong
        ? { events: [] }
        : await client.workflow.getHandle(workflowId, runId).fetchHistory();
      last = { pendingIds, readAtMs: now(), told: readHistory(events ?? []) };
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(runId, last);
    }
    const { steps, retries, subjects } = last.told;
    const pending = activities.map((activity) => ({
      activityId: activity.activityId ?? '',
      activityType: activity.activityType?.name ?? '',
      subject: subjects.get(activity.activityId ?? '') ?? '',
      attempt: activity.attempt ?? 1,
      maxAttempts: activity.maximumAttempts ?? 0,
      started: Number(activity.state) === STATE_STARTED,
      paused: activity.paused ?? false,
      ...heartbeat(activity.heartbeatDetails?.payloads?.[0]),
      lastFailure: activity.lastFailure?.message ?? null,
      failureChain: failureChain(activity.lastFailure),
      nextAttemptAt: instantOf(activity.nextAttemptScheduleTime),
      scheduledAt: instantOf(activity.scheduledTime),
      startedAt: instantOf(activity.lastStartedTime),
    }));
    return { workflowId, runId, status: description.status.name, steps, pending, retries };
  };
}

/** What the events of a run tell about its activities. */
export function readHistory(events: HistoryEvents): HistoryTold {
  const steps = new Map<string, StepProgress>();
  const scheduled = new Map<string, { activityId: string; activityType: string; subject: string }>();
  const retries: EndedRetry[] = [];
  for (const event of events) {
    const { activityTaskScheduledEventAttributes: asked, activityTaskStartedEventAttributes: begun } = event;
    const ended = event.activityTaskCompletedEventAttributes;
    if (asked) {
      const activityType = asked.activityType?.name ?? '';
      const activityId = asked.activityId ?? '';
      scheduled.set(String(event.eventId), {
        activityId,
        activityType,
        subject: subjectOf(asked.input?.payloads?.[0]),
      });
      const step = steps.get(activityType) ?? { activityType, done: 0, total: 0 };
      steps.set(activityType, { ...step, total: step.total + 1 });
    }
    // A start is written when the activity ends, with the attempt that ended it.
    const of = scheduled.get(String((begun ?? ended)?.scheduledEventId));
    if (of === undefined) continue;
    if (begun && (begun.attempt ?? 1) > 1) {
      retries.push({
        ...of,
        attempt: begun.attempt ?? 1,
        lastFailure: begun.lastFailure?.message ?? null,
      });
    }
    const step = steps.get(of.activityType);
    if (ended && step !== undefined) steps.set(of.activityType, { ...step, done: step.done + 1 });
  }
  const subjects = new Map([...scheduled.values()].map(({ activityId, subject }) => [activityId, subject]));
  return { steps: [...steps.values()], retries, subjects };
}

/** Model and block of a fit, number of a batch; empty for an input that names neither. */
export function subjectOf(payload: Payload | null | undefined): string {
  const input = fromPayload(payload);
  const { model, blockIndex, batch } = input;
  if (typeof model === 'string') {
    return typeof blockIndex === 'number' ? `${model} block ${blockIndex + 1}` : model;
  }
  const index = isRecord(batch) ? batch['index'] : undefined;
  return typeof index === 'number' ? String(index + 1) : '';
}

function heartbeat(payload: Payload | null | undefined) {
  const { phase, done, total } = fromPayload(payload);
  return {
    phase: typeof phase === 'string' ? phase : '',
    done: typeof done === 'number' ? done : 0,
    total: typeof total === 'number' ? total : 0,
  };
}

function fromPayload(payload: Payload | null | undefined): Record<string, unknown> {
  if (payload === null || payload === undefined) return {};
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
