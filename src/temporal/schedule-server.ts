import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, isGrpcServiceError, ScheduleNotFoundError } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

/** Schedules as the server has them; every change of one carries its conflict token and is read back. */

export type Schedule = temporal.api.schedule.v1.ISchedule;
export type ScheduleState = temporal.api.schedule.v1.IScheduleState;
type Calendar = temporal.api.schedule.v1.IStructuredCalendarSpec;
type Described = temporal.api.workflowservice.v1.IDescribeScheduleResponse;

export const CALL_MS = 15_000;
const UPDATE_TRIES = 5;
/** How long a change may take to arrive: it reaches the scheduler as a signal. */
const ARRIVAL_MS = 2_000;
const LOOK_MS = 25;
const FAILED_PRECONDITION = 9;
const ALREADY_EXISTS = 6;
const NOT_FOUND = 5;

/** Somebody else changes the schedule at the same time. */
export class ScheduleConflictError extends Error {
  override name = 'ScheduleConflictError';
}

/** It was removed, maybe a moment ago. */
export class ScheduleGoneError extends ScheduleConflictError {
  override name = 'ScheduleGoneError';

  constructor(scheduleId: string) {
    super(`schedule ${scheduleId} is not there (any more)`);
  }
}

/** Null if there is none of that id. */
export async function describeSchedule(
  client: Client,
  scheduleId: string,
  callMs = CALL_MS,
): Promise<Described | null> {
  try {
    return (
      await client.withDeadline(Date.now() + callMs, () => client.schedule.getHandle(scheduleId).describe())
    ).raw;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

/** False when somebody else created it meanwhile. */
export async function createSchedule(
  client: Client,
  scheduleId: string,
  schedule: Schedule,
): Promise<boolean> {
  const { namespace, identity } = client.options;
  const requestId = randomUUID();
  try {
    await client.withDeadline(Date.now() + CALL_MS, () =>
      client.workflowService.createSchedule({ namespace, scheduleId, schedule, identity, requestId }),
    );
    return true;
  } catch (error) {
    if (codeOf(error) === ALREADY_EXISTS) return false;
    throw error;
  }
}

/** False when it was gone already. */
export async function removeSchedule(client: Client, scheduleId: string): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + CALL_MS, () => client.schedule.getHandle(scheduleId).delete());
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

/**
 * Replaces a schedule by what `change` makes of it. The server takes it only if nobody has changed the schedule since
 * it was read; otherwise `change` is asked again for what it is by then. `change` may throw to give up. Throws
 * ScheduleConflictError when the schedule is gone or keeps being changed.
 */
export async function changeSchedule(
  client: Client,
  scheduleId: string,
  change: (current: Schedule) => Schedule,
): Promise<void> {
  const { namespace, identity } = client.options;
  for (let attempt = 1; attempt <= UPDATE_TRIES; attempt += 1) {
    const found = await describeSchedule(client, scheduleId);
    if (found === null) throw new ScheduleGoneError(scheduleId);
    const schedule = change(found.schedule ?? {});
    const { conflictToken = null } = found;
    const requestId = randomUUID();
    try {
      await client.withDeadline(Date.now() + CALL_MS, () =>
        client.workflowService.updateSchedule({
          namespace,
          scheduleId,
          schedule,
          conflictToken,
          identity,
          requestId,
        }),
      );
    } catch (error) {
      if (codeOf(error) === NOT_FOUND) throw new ScheduleGoneError(scheduleId);
      if (codeOf(error) !== FAILED_PRECONDITION) throw error;
      continue;
    }
    // A server that keeps schedules in workflows drops an update with a stale token without a word.
    const after = await untilChanged(client, scheduleId, conflictToken);
    if (after !== null && keyOf(after.schedule) === keyOf(schedule)) return;
  }
  throw new ScheduleConflictError(`schedule ${scheduleId} keeps being changed by somebody else: not updated`);
}

/** What it is once anybody's change has arrived; null if none does. */
async function untilChanged(
  client: Client,
  scheduleId: string,
  token: Uint8Array | null,
): Promise<Described | null> {
  const untilMs = Date.now() + ARRIVAL_MS;
  do {
    const found = await describeSchedule(client, scheduleId);
    if (found === null || !Buffer.from(found.conflictToken ?? []).equals(token ?? Buffer.alloc(0)))
      return found;
    await sleep(LOOK_MS);
  } while (Date.now() < untilMs);
  return null;
}

/** Whether a schedule on the server starts the same, at the same times, as one that is wanted. */
export function isSameSchedule(found: Schedule | null | undefined, wanted: Schedule): boolean {
  return keyOf(found) === keyOf(wanted);
}

/** What two versions of a schedule are compared by: the server fills in and puts in order the rest. */
function keyOf(schedule: Schedule | null | undefined): string {
  const { spec, action, policies, state } = schedule ?? {};
  const { workflowType, input, userMetadata } = action?.startWorkflow ?? {};
  const payloads = [...(input?.payloads ?? []), userMetadata?.summary, userMetadata?.details];
  return JSON.stringify([
    spec?.timezoneName,
    calendarsOf(spec?.structuredCalendar),
    calendarsOf(spec?.excludeStructuredCalendar),
    // Whoever edits a schedule elsewhere may leave these, which we never set.
    (spec?.interval ?? []).map(({ interval, phase }) => [secondsOf(interval), secondsOf(phase)]),
    [spec?.jitter, spec?.startTime, spec?.endTime].map(secondsOf),
    policies?.overlapPolicy ?? 0,
    secondsOf(policies?.catchupWindow),
    workflowType?.name,
    payloads.map((payload) => Buffer.from(payload?.data ?? []).toString('base64')),
    state?.paused === true,
    state?.notes ?? '',
  ]);
}

/** Of an instant or a length of time; 0 for none. */
function secondsOf(time: { seconds?: { toString(): string } | null } | null | undefined): number {
  return Number(time?.seconds?.toString() ?? 0);
}

function calendarsOf(specs: readonly Calendar[] | null | undefined): number[][][] {
  return (specs ?? []).map(({ second, minute, hour, dayOfWeek, dayOfMonth, month, year }) =>
    [second, minute, hour, dayOfWeek, dayOfMonth, month, year].map((field) =>
      (field ?? []).flatMap(({ start, end, step }) => {
        const from = start ?? 0;
        return [from, Math.max(from, end ?? 0), Math.max(1, step ?? 1)];
      }),
    ),
  );
}

function codeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}
