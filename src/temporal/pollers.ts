import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../contracts/wire/names.ts';

const CALL_MS = 5_000;
/** Pollers that asked within this time are there: a long poll lasts a minute. */
const FRESH_MS = 90_000;
/** `temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY`: every worker of ours polls for activities. */
const ACTIVITY = 2;

/** Each task queue of ours, and whether a worker asks for work there. Rejects while the server does not answer. */
export async function polledQueues(client: Client): Promise<{ queue: string; polled: boolean }[]> {
  const { namespace } = client.options;
  return await Promise.all(
    Object.values(TASK_QUEUES).map(async (queue) => {
      const { pollers } = await client.withDeadline(Date.now() + CALL_MS, () =>
        client.workflowService.describeTaskQueue({
          namespace,
          taskQueue: { name: queue },
          taskQueueType: ACTIVITY,
        }),
      );
      const polled = (pollers ?? []).some(
        ({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < FRESH_MS,
      );
      return { queue, polled };
    }),
  );
}
