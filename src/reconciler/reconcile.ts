import { type Client, WorkflowNotFoundError } from '@temporalio/client';

import type { Sql } from '../db/client.ts';
import { closeGoneStarter, type OpenStarter, openStarters } from '../db/queries/reconcile.ts';
import { refuseRunRequest, unplannedRunRequests, untakenRunRequests } from '../db/queries/requests.ts';
import { saveScheduleState, scheduleStates } from '../db/queries/schedule-state.ts';
import { readLastEvents, type RunKey } from '../temporal/history.ts';
import { describeSchedules } from '../temporal/schedules.ts';
import { signalManualRun } from '../temporal/verbs.ts';

const CALL_MS = 15_000;
/** A workflow writes its last rows just before it closes: younger ones are left alone. */
const MIN_AGE_MS = 5_000;
/** A request that nobody took for this long lost its signal. */
const UNTAKEN_SECONDS = 30;

/** A run by hand as it was asked for. */
type AskedRun = { taskRunId: string; sessionDate: string };

export type ReconcileReport = {
  /** Starters whose rows were closed, with the reason. */
  closed: (Pick<OpenStarter, 'workflowId' | 'runId' | 'sessionDate' | 'taskRunId'> & { reason: string })[];
  /** Manual runs that were signalled again. */
  signalled: AskedRun[];
  /** Manual runs whose workflow ended before there was a row of them, with the reason. */
  refused: (AskedRun & { reason: string })[];
  /** Schedules whose pause somebody changed behind our back. */
  schedules: string[];
};

/**
 * Brings rows and Temporal together: closes rows of runs that are gone (a terminated workflow runs no code),
 * refuses requests whose run ended before it was planned, signals those again that nobody took, keeps the pause state of the schedules. `sql` is logged in as
 * `pipeline`.
 */
export async function reconcile(options: { client: Client; sql: Sql }): Promise<ReconcileReport> {
  const closed = await closeGone(options);
  const refused = await refuseUnplanned(options);
  const signalled = await signalUntaken(options);
  const schedules = await keepScheduleStates(options);
  return { closed, signalled, refused, schedules };
}

async function closeGone({ client, sql }: { client: Client; sql: Sql }): Promise<ReconcileReport['closed']> {
  const closed: ReconcileReport['closed'] = [];
  for (const starter of await openStarters(sql)) {
    if (Date.now() - Date.parse(starter.since) < MIN_AGE_MS) continue;
    const end = await endOf(client, starter);
    if (end === null) continue;
    const { workflowId, runId, sessionDate, taskRunId } = starter;
    const rows = await closeGoneStarter(sql, { workflowId, runId, ...end });
    if (rows > 0) closed.push({ workflowId, runId, sessionDate, taskRunId, reason: end.reason });
  }
  return closed;
}

/** How a starter ended, or null while it runs. */
async function endOf(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId?: string },
): Promise<{ state: 'failed' | 'cancelled'; reason: string } | null> {
  try {
    const found = await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    const { status } = found;
    if (status.name === 'RUNNING' || status.name === 'PAUSED') return null;
    const word = status.name.toLowerCase().replaceAll('_', ' ');
    const run = { workflowId, runId: found.runId };
    const reason = status.name === 'TERMINATED' ? await terminationReason(client, run) : '';
    return {
      state: status.name === 'CANCELLED' ? 'cancelled' : 'failed',
      reason: `its workflow ended ${word}${reason === '' ? '' : `: ${reason}`}`,
    };
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return { state: 'failed', reason: 'Temporal does not know its workflow any more' };
  }
}

/** Who terminated a run, and why, as they said it. */
async function terminationReason(client: Client, run: RunKey): Promise<string> {
  const [end] = await client.withDeadline(Date.now() + CALL_MS, () =>
    readLastEvents(client, { ...run, count: 1 }),
  );
  return end?.workflowExecutionTerminatedEventAttributes?.reason ?? '';
}

/** Somebody may end a run while it is planned: then no code of it says so. */
async function refuseUnplanned({
  client,
  sql,
}: {
  client: Client;
  sql: Sql;
}): Promise<ReconcileReport['refused']> {
  const refused: ReconcileReport['refused'] = [];
  for (const { requestId, sessionDate, takenByWorkflow } of await unplannedRunRequests(
    sql,
    MIN_AGE_MS / 1000,
  )) {
    const end = takenByWorkflow === null ? null : await endOf(client, { workflowId: takenByWorkflow });
    if (end === null) continue;
    const { reason } = end;
    await refuseRunRequest(sql, { requestId, reason });
    refused.push({ taskRunId: requestId, sessionDate, reason });
  }
  return refused;
}

async function signalUntaken({ client, sql }: { client: Client; sql: Sql }): Promise<AskedRun[]> {
  const requests = await untakenRunRequests(sql, UNTAKEN_SECONDS);
  for (const request of requests) await signalManualRun(client, request);
  return requests.map(({ requestId, sessionDate }) => ({ taskRunId: requestId, sessionDate }));
}

/** Somebody may pause a schedule in the Web UI or with the CLI of Temporal: a new server gets that back too. */
async function keepScheduleStates({ client, sql }: { client: Client; sql: Sql }): Promise<string[]> {
  const stored = new Map((await scheduleStates(sql)).map((state) => [state.scheduleId, state]));
  const changed: string[] = [];
  for (const { scheduleId, paused, note } of await describeSchedules(client)) {
    const known = stored.get(scheduleId);
    if (known?.paused === paused && known.note === note) continue;
    await saveScheduleState(sql, { scheduleId, paused, note, specHash: known?.specHash ?? null });
    changed.push(scheduleId);
  }
  return changed;
}
