import { createHash } from 'node:crypto';
import { type Client, ScheduleOverlapPolicy } from '@temporalio/client';
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
import { NIGHT_DETAILS } from '../contracts/wire/user-metadata.ts';
import type { Queryable, Sql } from '../db/client.ts';
import { applyConfig, CURRENT_FILE } from '../db/queries/configs.ts';
import { nightHasWork } from '../domain/night-work.ts';
import { insertAudit } from '../db/queries/requests.ts';
import { instantOf } from './history.ts';
import { scheduleSpec } from './schedule-spec.ts';
import { forgetPauseOfRemoved, saveScheduleState, scheduleStates } from '../db/queries/schedule-state.ts';
import {
  CALL_MS,
  changeSchedule,
  createSchedule,
  describeSchedule,
  removeSchedule,
  type Schedule,
  ScheduleConflictError,
  type ScheduleState,
} from './schedule-server.ts';

/** Note of a schedule that nobody has switched on yet; only this pause is lifted by `up`. */
export const NOT_YET_ENABLED = 'not enabled yet: `nightshift up` enables it';

/** `temporal.api.enums.v1.ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP`. */
const SKIP = 1;

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
      if (await removeSchedule(client, scheduleId)) changes.push(`${scheduleId}: removed, ${idle}`);
      await forgetPauseOfRemoved(sql, scheduleId);
      continue;
    }
    const spec = scheduleSpec(settings, timezone, Date.now());
    const { workflowType, summary, details } = definition;
    const specHash = hashOf({ spec, misfireGraceTimeMs, workflowType, summary, details });
    const stored = states.get(scheduleId);
    const current = await describeSchedule(client, scheduleId);
    const wanted = (state: ScheduleState): Schedule => ({
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
    const lifted = { paused: false, notes: `enabled by ${by}` };
    const state = lifts ? { ...before, ...lifted } : before;
    const follow = (): Promise<void> =>
      changeSchedule(client, scheduleId, ({ state: found = {} }) => {
        const stillOff = lifts && found?.notes === NOT_YET_ENABLED;
        return wanted({ ...found, ...(stillOff ? lifted : {}) });
      });
    if (current === null) {
      if (await createSchedule(client, scheduleId, wanted(state)))
        changes.push(`${scheduleId}: created${state.paused === true ? ', paused' : ''}`);
      // Another start was faster, maybe with another file.
      else await follow();
    } else if (lifts || stored?.specHash !== specHash) {
      await follow();
      changes.push(`${scheduleId}: ${lifts ? 'enabled' : 'updated'}`);
    }
    // Somebody may have paused it meanwhile: what is kept is what the server has now.
    const now = (await describeSchedule(client, scheduleId))?.schedule?.state ?? state;
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

export type ScheduleSummary = {
  scheduleId: ScheduleId;
  paused: boolean;
  note: string | null;
  /** Next instants, UTC, at most ten. */
  nextTimes: string[];
  /** What it started last, newest first, at most ten. */
  recentRuns: ScheduledRun[];
};
/** One start: when it was due and when it came, UTC. */
export type ScheduledRun = { dueAt: string; startedAt: string; workflowId: string; runId: string };

/** Our schedules as the server has them; those that do not exist are left out. Each call has `callMs` (15 s). */
export async function describeSchedules(client: Client, callMs = CALL_MS): Promise<ScheduleSummary[]> {
  const summaries = Object.values(SCHEDULE_IDS).map(async (scheduleId): Promise<ScheduleSummary | null> => {
    const found = await describeSchedule(client, scheduleId, callMs);
    if (found === null) return null;
    const state = found.schedule?.state;
    return {
      scheduleId,
      paused: state?.paused ?? false,
      note: state?.notes || null,
      nextTimes: (found.info?.futureActionTimes ?? []).flatMap((time) => instantOf(time) ?? []),
      recentRuns: (found.info?.recentActions ?? []).flatMap(runOf).toReversed(),
    };
  });
  return (await Promise.all(summaries)).filter((one) => one !== null);
}

function runOf(action: temporal.api.schedule.v1.IScheduleActionResult): ScheduledRun | [] {
  const [dueAt, startedAt] = [instantOf(action.scheduleTime), instantOf(action.actualTime)];
  const { workflowId, runId } = action.startWorkflowResult ?? {};
  return dueAt && startedAt && workflowId && runId ? { dueAt, startedAt, workflowId, runId } : [];
}

/**
 * Pauses or unpauses one schedule, with who and why in its note, and keeps that for a new server. What it is based on
 * is the schedule as it was found: throws ScheduleConflictError, and changes nothing, when somebody else pauses or
 * unpauses it at the same time.
 */
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
  const isOurs = (state: ScheduleState): boolean => state.paused === paused && state.notes === note;
  let found: ScheduleState | undefined;
  await changeSchedule(client, scheduleId, (schedule) => {
    const state = schedule.state ?? {};
    found ??= state;
    const isAsFound = state.paused === found.paused && state.notes === found.notes;
    if (!isAsFound && !isOurs(state))
      throw new ScheduleConflictError(`${scheduleId} was changed at the same time: ${state.notes ?? ''}`);
    return { ...schedule, state: { ...state, paused, notes: note } };
  });
  const specHash = (await scheduleStates(sql)).find((state) => state.scheduleId === scheduleId)?.specHash;
  await saveScheduleState(sql, {
    scheduleId,
    paused,
    note,
    specHash: specHash ?? null,
    by,
    why,
    isStillSo: async () => isOurs((await describeSchedule(client, scheduleId))?.schedule?.state ?? {}),
  });
}

/**
 * Starts a schedule's run now because a person asked for it, with an audit row once the server has taken it. Without
 * the SKIP policy a trigger is allowed beside a running one (ran), and two nights would begin.
 */
export async function triggerScheduleFor(options: {
  client: Client;
  sql: Queryable;
  scheduleId: string;
  by: string;
  why: string;
}): Promise<void> {
  const { client, sql, scheduleId, by, why } = options;
  const handle = client.schedule.getHandle(scheduleId);
  await client.withDeadline(Date.now() + CALL_MS, () => handle.trigger(ScheduleOverlapPolicy.SKIP));
  await insertAudit(sql, { actor: by, action: 'schedule.trigger', subject: scheduleId, why });
}

/** How long the server of ours keeps closed runs. Returns whether that changed. Each call has `callMs` (15 s). */
export async function keepClosedRuns(client: Client, days: number, callMs = CALL_MS): Promise<boolean> {
  const { workflowService, options } = client;
  const { namespace } = options;
  const seconds = days * 86_400;
  const { config } = await client.withDeadline(Date.now() + callMs, () =>
    workflowService.describeNamespace({ namespace }),
  );
  if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) === seconds) return false;
  await client.withDeadline(Date.now() + callMs, () =>
    workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: msToTs(seconds * 1000) },
    }),
  );
  return true;
}
