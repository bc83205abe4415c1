import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../contracts/wire/names.ts';
import type { LastBeat } from '../db/queries/liveness.ts';

const CALL_MS = 5_000;
/** Pollers that asked within this time are there: a long poll lasts a minute. */
const FRESH_MS = 90_000;
/** A worker that beats (every two seconds) and is silent for so long is gone or hangs. */
export const WORKER_SILENT_MS = 15_000;
/** `temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY`: every worker of ours polls for activities. */
const ACTIVITY = 2;
/** Which kind of process serves a queue, as its beats name it. */
const PROCESS_OF: Record<string, string> = {
  [TASK_QUEUES.pipeline]: 'worker',
  [TASK_QUEUES.marketData]: 'worker',
  [TASK_QUEUES.ml]: 'ml',
};

/** A worker that has asked for work, as the server remembers it for some minutes. */
export type Poller = { identity: string; askedMs: number };
export type QueueService = {
  queue: string;
  /** Identities of the workers that serve it; none: it is not served. */
  workers: string[];
  /** When a worker of it was last heard of (ms since 1970); null: never. */
  heardMs: number | null;
};

/** Workers that have asked for work on a task queue. Rejects while the server does not answer. */
export async function readPollers(client: Client, queue: string, callMs = CALL_MS): Promise<Poller[]> {
  const { namespace } = client.options;
  const { pollers } = await client.withDeadline(Date.now() + callMs, () =>
    client.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: queue },
      taskQueueType: ACTIVITY,
    }),
  );
  return (pollers ?? []).map(({ identity, lastAccessTime }) => ({
    identity: identity ?? '',
    askedMs: Number(lastAccessTime?.seconds ?? 0) * 1000,
  }));
}

/**
 * Who serves a queue. A killed worker stays among the pollers for a minute and more: of one that beats the beats
 * count; of one that has no login for them the time at which it asked.
 */
export function queueService(
  queue: string,
  known: { pollers: readonly Poller[]; beats: readonly LastBeat[]; nowMs: number },
): QueueService {
  const { pollers, beats, nowMs } = known;
  const heard = pollers.map(({ identity, askedMs }) => {
    const beat = beats.find(({ host, pid }) => identity.endsWith(`:${pid}@${host}`));
    const freshMs = beat === undefined ? FRESH_MS : WORKER_SILENT_MS;
    return { identity, freshMs, heardMs: Math.max(askedMs, beat?.beatMs ?? 0) };
  });
  const ofKind = beats.filter(({ process }) => process === PROCESS_OF[queue]);
  const heardMs = Math.max(0, ...heard.map((one) => one.heardMs), ...ofKind.map(({ beatMs }) => beatMs));
  return {
    queue,
    workers: heard
      .filter((one) => nowMs - one.heardMs < one.freshMs)
      .map(({ identity }) => identity)
      .toSorted(),
    heardMs: heardMs === 0 ? null : heardMs,
  };
}

/** Who serves each task queue of ours. Rejects while the server does not answer. */
export async function queueServices(client: Client, beats: readonly LastBeat[]): Promise<QueueService[]> {
  return await Promise.all(
    Object.values(TASK_QUEUES).map(async (queue) =>
      queueService(queue, { pollers: await readPollers(client, queue), beats, nowMs: Date.now() }),
    ),
  );
}
