import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';

/** A pending activity as a person wants to see it: how far, which attempt, why it was retried. */
export type ActivityProgress = {
  workflowId: string;
  activityId: string;
  activityType: string;
  attempt: number;
  phase: string;
  done: number;
  total: number;
  lastFailure: string | null;
};

/** Pending activities of an open workflow from one `describe`; empty when it is closed or unknown. */
export async function readActivityProgress(client: Client, workflowId: string): Promise<ActivityProgress[]> {
  const description = await client.workflow.getHandle(workflowId).describe();
  return (description.raw.pendingActivities ?? []).map((activity) => ({
    workflowId,
    activityId: activity.activityId ?? '',
    activityType: activity.activityType?.name ?? '',
    attempt: activity.attempt ?? 1,
    ...heartbeat(activity.heartbeatDetails?.payloads?.[0]),
    lastFailure: activity.lastFailure?.message ?? null,
  }));
}

function heartbeat(payload: Parameters<typeof defaultPayloadConverter.fromPayload>[0] | null | undefined) {
  const empty = { phase: '', done: 0, total: 0 };
  if (payload === null || payload === undefined) return empty;
  const details: unknown = defaultPayloadConverter.fromPayload(payload);
  if (typeof details !== 'object' || details === null) return empty;
  const { phase, done, total } = details as Record<string, unknown>;
  return {
    phase: typeof phase === 'string' ? phase : '',
    done: typeof done === 'number' ? done : 0,
    total: typeof total === 'number' ? total : 0,
  };
}
