import { type Client, WorkflowNotFoundError } from '@temporalio/client';

import type {
  QueueActivities,
  SlotActivities,
  SlotHolder,
  SlotRelease,
  SlotRequest,
} from '../contracts/slots.ts';
import { RELEASE_SLOT, REQUEST_SLOT } from '../contracts/wire/messages.ts';
import { JOB_QUEUE_WORKFLOW_ID, TASK_QUEUES } from '../contracts/wire/names.ts';

/** Under the local activities' own bound, so that a dead server is an error of ours, not a timeout. */
const CALL_MS = 8_000;
/** Statuses of a run that still does something. */
const OPEN = new Set(['RUNNING', 'PAUSED']);

type QueueDeps = {
  client: Client;
  /** Runs that hold a slot as the rows tell it. */
  findSlotHolders: () => Promise<SlotHolder[]>;
  /** Runs that wait for one as the rows tell it. */
  findSlotRequests: () => Promise<SlotRequest[]>;
};

/** Signals to and questions of `jobQueue`. */
export function createQueueActivities(deps: QueueDeps): SlotActivities & QueueActivities {
  const { client } = deps;

  const tellQueue = async (signal: string, payload: SlotRequest | SlotRelease): Promise<void> => {
    await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflow.signalWithStart('jobQueue', {
        workflowId: JOB_QUEUE_WORKFLOW_ID,
        taskQueue: TASK_QUEUES.pipeline,
        args: [],
        signal,
        signalArgs: [payload],
        staticSummary: 'slots for task runs',
      }),
    );
  };

  return {
    requestSlot: (input) => tellQueue(REQUEST_SLOT, input),
    releaseSlot: (input) => tellQueue(RELEASE_SLOT, input),
    findClosedRuns: async ({ runs }) => {
      const byId = new Map(runs.map((run) => [run.runId, run]));
      const checked = await Promise.all(
        [...byId.values()].map(async (run) => ({ runId: run.runId, closed: await isClosedRun(client, run) })),
      );
      return { closedRunIds: checked.filter((run) => run.closed).map((run) => run.runId) };
    },
    findHeldSlots: async () => ({
      holders: await deps.findSlotHolders(),
      waiting: await deps.findSlotRequests(),
    }),
  };
}

/** Whether a run is closed; one that is not known (any more) is. */
export async function isClosedRun(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<boolean> {
  try {
    const { status } = await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    return !OPEN.has(status.name);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}
