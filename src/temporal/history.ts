import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
export type RunKey = { workflowId: string; runId: string };

/** One page of a run's events, oldest first; the token is the server's own, null on the last page. */
export async function readHistoryPage(
  client: Client,
  input: RunKey & { pageSize: number; pageToken: Uint8Array | null },
): Promise<{ events: HistoryEvent[]; nextPageToken: Uint8Array | null }> {
  const { workflowId, runId, pageSize, pageToken } = input;
  const { history, nextPageToken } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: pageSize,
    nextPageToken: pageToken,
  });
  const isLast = nextPageToken === null || nextPageToken === undefined || nextPageToken.length === 0;
  return { events: history?.events ?? [], nextPageToken: isLast ? null : nextPageToken };
}

/** The last events of a run, newest first, at most `count`. */
export async function readLastEvents(
  client: Client,
  { workflowId, runId, count }: RunKey & { count: number },
): Promise<HistoryEvent[]> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: count,
  });
  return history?.events ?? [];
}

/** An instant of the server as ISO text; null for none. */
export function instantOf(time: temporal.api.history.v1.IHistoryEvent['eventTime']): string | null {
  if (time === null || time === undefined) return null;
  return new Date(Number(time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6).toISOString();
}
