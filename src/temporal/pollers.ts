import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../contracts/wire/names.ts';

const CALL_MS = 5_000;
/** Pollers that asked within this time are there: a long poll lasts a minute. */
const FRESH_MS = 90_000;
/** `temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY`: every worker of ours polls for activities. */
const ACTIVITY = 2;

/** Identities of the workers that ask for work on a task queue. Rejects while the server does not answer. */
export async function readPollers(client: Client, queue: string, callMs = CALL_MS): Promise<string[]> {
  const { namespace } = client.options;
  const { pollers } = await client.withDeadline(Date.now() + callMs, () =>
    client.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: queue },
      taskQueueType: ACTIVITY,
    }),
  );
  return (pollers ?? [])
    .filter(({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < FRESH_MS)
    .map(({ identity }) => identity ?? '');
}

/** Each task queue of ours, and whether a worker asks for work there. Rejects while the server does not answer. */
export async function polledQueues(client: Client): Promise<{ queue: string; polled: boolean }[]> {
  return await Promise.all(
    Object.values(TASK_QUEUES).map(async (queue) => ({
      queue,
      polled: (await readPollers(client, queue)).length > 0,
    })),
  );
}
