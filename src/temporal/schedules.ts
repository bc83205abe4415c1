import { createHash, randomUUID } from 'node:crypto';
import {
  type Client,
  isGrpcServiceError,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { temporal } from '@temporalio/proto';
import type { NightInput } from '../contracts/activities.ts';
import {
  type ConfigFile,
  configHash,
  effectiveConfig,
  type TaskSettings,
} from '../contracts/schemas/config.ts';
import {
  NIGHT_TASKS,
  SCHEDULE_IDS,
  type ScheduleId,
  TASK_QUEUES,
  type Task,
} from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { applyConfig, CURRENT_FILE } from '../db/queries/configs.ts';
import { nightHasWork } from '../domain/night-work.ts';
import { insertAudit } from '../db/queries/requests.ts';
import { scheduleSpec } from './schedule-spec.ts';
import { saveScheduleState, scheduleStates } from '../db/queries/schedule-state.ts';
import { NIGHT_DETAILS } from './user-metadata.ts';

/** Note of a schedule that nobody has switched on yet; only this pause is lifted by `up`. */
export const NOT_YET_ENABLED = 'not enabled yet: `nightshift up` enables it';

const CALL_MS = 15_000;
const UPDATE_TRIES = 5;
/** `temporal.api.enums.v1.ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP`. */
const SKIP = 1;
const FAILED_PRECONDITION = 9;
const ALREADY_EXISTS = 6;

type Schedule = temporal.api.schedule.v1.ISchedule;
type Calendar = temporal.api.schedule.v1.IStructuredCalendarSpec;

type Definition = {
  scheduleId: string;
  workflowType: string;
  args: NightInput[];
  settings: TaskSettings;
  summary: string;
  details: string | null;
  /** Why there is nothing to start: then there is no schedule either. */
  idle: string | null;
};

/** Our schedules as data: the night starts at task 1's time, maintenance at its own. */
function definitions(tasks: Record<Task, TaskSettings>): Definition[] {
  return [
    {
      scheduleId: SCHEDULE_IDS.nightly,
      workflowType: 'nightlyPipeline',
      args: [{ trigger: 'schedule' }],
      settings: tasks.ingestion,
      summary: 'the night after the US close',
      details: NIGHT_DETAILS,
      idle: nightHasWork(NIGHT_TASKS, tasks) ? null : 'none of its tasks can run',
    },
    {
      scheduleId: SCHEDULE_IDS.weekly,
      workflowType: 'maintenanceRun',
      args: [],
      settings: tasks.weeklyMaintenance,
      summary: 'weekly maintenance',
      details: null,
      idle: tasks.weeklyMaintenance.enabled ? null : 'its task is disabled',
    },
  ];
}

/**
 * Makes the file the configuration of runs that start from now on, and creates or updates the schedules so
 * that they follow it. A pause stays; a schedule that is
 * new begins paused unless `enable`. Returns one line per change. `sql` is logged in as `pipeline`.
 * Throws when the server keeps refusing an update because somebody else changes the schedule.
 */
export async function applySchedules(options: {
  client: Client;
  sql: Sql;
  file: ConfigFile;
  by: string;
  enable?: boolean;
}): Promise<string[]> {
  const { client, sql, file, by, enable } = options;
  const { tasks, timezone, misfireGraceTimeMs } = effectiveConfig(file);
  const states = new Map((await scheduleStates(sql)).map((state) => [state.scheduleId, state]));
  const changes: string[] = [];
  const config = { configHash: configHash(file), body: file };
  if ((await applyConfig(sql, { name: CURRENT_FILE, config, appliedBy: by })).changed) {
    changes.push(`configuration ${config.configHash.slice(0, 12)}: applies to runs that start from now on`);
  }
  for (const definition of definitions(tasks)) {
    const { scheduleId, settings, idle } = definition;
    if (idle !== null) {
      if (await remove(client, scheduleId)) changes.push(`${scheduleId}: removed, ${idle}`);
      continue;
    }
    const spec = scheduleSpec(settings, timezone, Date.now());
    const { workflowType, summary, details } = definition;
    const specHash = hashOf({ spec, misfireGraceTimeMs, workflowType, summary, details });
    const stored = states.get(scheduleId);
    const current = await describe(client, scheduleId);
    const wanted = (state: temporal.api.schedule.v1.IScheduleState): Schedule => ({
      spec,
      action: startAction(definition),
      policies: {
        overlapPolicy: SKIP,
        catchupWindow: msToTs(misfireGraceTimeMs),
        pauseOnFailure: false,
      },
      state,
    });
    const before = current?.schedule?.state ?? {
      paused: stored?.paused ?? true,
      notes: stored?.note ?? NOT_YET_ENABLED,
    };
    const lifts = enable === true && before.paused === true && before.notes === NOT_YET_ENABLED;
    const state = lifts ? { ...before, paused: false, notes: `enabled by ${by}` } : before;
    if (current === null) {
      if (await create(client, scheduleId, wanted(state)))
        changes.push(`${scheduleId}: created${state.paused === true ? ', paused' : ''}`);
      // Another start was faster, maybe with another file.
      else await update(client, { scheduleId, wanted, lifts, by });
    } else if (lifts || stored?.specHash !== specHash) {
      await update(client, { scheduleId, wanted, lifts, by });
      changes.push(`${scheduleId}: ${lifts ? 'enabled' : 'updated'}`);
    }
    // Somebody may have paused it meanwhile: what is kept is what the server has now.
    const now = (await describe(client, scheduleId))?.schedule?.state ?? state;
    const note = now.notes || null;
    const who = lifts ? { by } : {};
    await saveScheduleState(sql, { scheduleId, paused: now.paused === true, note, specHash, ...who });
  }
  if (changes.length > 0) {
    await insertAudit(sql, {
      actor: by,
      action: 'schedules.apply',
      subject: 'schedules',
      details: { changes },
    });
  }
  return changes;
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function startAction(definition: Definition): temporal.api.schedule.v1.IScheduleAction {
  const { scheduleId, workflowType, args, summary, details } = definition;
  return {
    startWorkflow: {
      // The server appends the nominal instant: ids of scheduled nights read `nightly-2027-03-13T03:45:00Z`.
      workflowId: scheduleId,
      workflowType: { name: workflowType },
      taskQueue: { name: TASK_QUEUES.pipeline },
      input: { payloads: args.map((arg) => defaultPayloadConverter.toPayload(arg)) },
      userMetadata: {
        summary: defaultPayloadConverter.toPayload(summary),
        ...(details === null ? {} : { details: defaultPayloadConverter.toPayload(details) }),
      },
    },
  };
}

type Described = temporal.api.workflowservice.v1.IDescribeScheduleResponse;

async function describe(client: Client, scheduleId: string, callMs = CALL_MS): Promise<Described | null> {
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
async function create(client: Client, scheduleId: string, schedule: Schedule): Promise<boolean> {
  const { namespace, identity } = client.options;
  const requestId = randomUUID();
  try {
    await client.workflowService.createSchedule({ namespace, scheduleId, schedule, identity, requestId });
    return true;
  } catch (error) {
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    if (code === ALREADY_EXISTS) return false;
    throw error;
  }
}

async function remove(client: Client, scheduleId: string): Promise<boolean> {
  try {
    await client.schedule.getHandle(scheduleId).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

/**
 * Replaces spec, action and policies and keeps the state. The server may drop an update with a stale token
 * without an error, so what it has then is read back and compared.
 */
async function update(
  client: Client,
  change: {
    scheduleId: string;
    wanted: (state: temporal.api.schedule.v1.IScheduleState) => Schedule;
    lifts: boolean;
    by: string;
  },
): Promise<void> {
  const { scheduleId, wanted, lifts, by } = change;
  const { namespace, identity } = client.options;
  for (let attempt = 1; attempt <= UPDATE_TRIES; attempt += 1) {
    const found = await describe(client, scheduleId);
    if (found === null) throw new Error(`schedule ${scheduleId} was deleted meanwhile`);
    const state = found.schedule?.state ?? {};
    const lift = lifts && state.notes === NOT_YET_ENABLED ? { paused: false, notes: `enabled by ${by}` } : {};
    const schedule = wanted({ ...state, ...lift });
    try {
      await client.workflowService.updateSchedule({
        namespace,
        scheduleId,
        schedule,
        conflictToken: found.conflictToken ?? null,
        identity,
        requestId: randomUUID(),
      });
    } catch (error) {
      const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
      if (code !== FAILED_PRECONDITION) throw error;
      continue;
    }
    if (await arrived(client, scheduleId, schedule)) return;
  }
  throw new Error(`schedule ${scheduleId} keeps being changed by somebody else: not updated`);
}

/** Updates reach the scheduler as a signal: what `describe` says may lag for a moment. */
async function arrived(client: Client, scheduleId: string, wanted: Schedule): Promise<boolean> {
  const calendars = (specs: Calendar[] | null | undefined) =>
    specs?.map(({ minute, hour, dayOfWeek, dayOfMonth, month, year }) =>
      [minute, hour, dayOfWeek, dayOfMonth, month, year].map((field) =>
        (field ?? []).map(({ start }) => start ?? 0),
      ),
    ) ?? [];
  const key = (schedule: Schedule | null | undefined) =>
    JSON.stringify([
      schedule?.spec?.timezoneName,
      calendars(schedule?.spec?.structuredCalendar),
      calendars(schedule?.spec?.excludeStructuredCalendar),
      Number(schedule?.policies?.catchupWindow?.seconds ?? 0),
      schedule?.action?.startWorkflow?.workflowType?.name,
    ]);
  for (let look = 0; look < 40; look += 1) {
    const found = await describe(client, scheduleId);
    if (key(found?.schedule) === key(wanted)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

export type ScheduleSummary = {
  scheduleId: ScheduleId;
  paused: boolean;
  note: string | null;
  /** Next instants, UTC, at most ten. */
  nextTimes: string[];
};

/** Our schedules as the server has them; those that do not exist are left out. Each call has `callMs` (15 s). */
export async function describeSchedules(client: Client, callMs = CALL_MS): Promise<ScheduleSummary[]> {
  const summaries: ScheduleSummary[] = [];
  for (const scheduleId of Object.values(SCHEDULE_IDS)) {
    const found = await describe(client, scheduleId, callMs);
    if (found === null) continue;
    const state = found.schedule?.state;
    summaries.push({
      scheduleId,
      paused: state?.paused ?? false,
      note: state?.notes || null,
      nextTimes: (found.info?.futureActionTimes ?? []).map(({ seconds }) =>
        new Date(Number(seconds) * 1000).toISOString(),
      ),
    });
  }
  return summaries;
}

/** Pauses or unpauses one schedule, with who and why in its note, and keeps that for a new server. */
export async function setSchedulePaused(options: {
  client: Client;
  sql: Sql;
  scheduleId: string;
  paused: boolean;
  by: string;
  why: string;
}): Promise<void> {
  const { client, sql, scheduleId, paused, by, why } = options;
  const note = `${paused ? 'paused' : 'unpaused'} by ${by}: ${why}`;
  const handle = client.schedule.getHandle(scheduleId);
  await client.withDeadline(Date.now() + CALL_MS, () => (paused ? handle.pause(note) : handle.unpause(note)));
  const stored = (await scheduleStates(sql)).find((state) => state.scheduleId === scheduleId);
  await saveScheduleState(sql, { scheduleId, paused, note, specHash: stored?.specHash ?? null, by, why });
}

/**
 * Starts a schedule's run now. Without the SKIP policy a trigger is allowed beside a running one (ran), and
 * two nights would begin.
 */
export async function triggerSchedule(client: Client, scheduleId: string): Promise<void> {
  const handle = client.schedule.getHandle(scheduleId);
  await client.withDeadline(Date.now() + CALL_MS, () => handle.trigger(ScheduleOverlapPolicy.SKIP));
}

/** How long the server of ours keeps closed runs. Returns whether that changed. */
export async function keepClosedRuns(client: Client, days: number): Promise<boolean> {
  const { namespace } = client.options;
  const seconds = days * 86_400;
  const { config } = await client.workflowService.describeNamespace({ namespace });
  if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) === seconds) return false;
  await client.workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl: msToTs(seconds * 1000) },
  });
  return true;
}
