import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
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
  isSameSchedule,
  removeSchedule,
  type Schedule,
  ScheduleConflictError,
  ScheduleGoneError,
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
 * that they follow it, also where somebody has edited one on the server. A pause stays; a schedule that is new begins
 * paused unless `enable`. Returns one line per change. `sql` is logged in as `pipeline`.
 * Throws when the server keeps refusing an update because somebody else changes the schedule.
 */
export async function applySchedules(options: {
  client: Client;
  sql: Sql;
  file: ConfigFile;
  by: string;
  /** Why, where the person was asked for it. */
  why?: string;
  enable?: boolean;
}): Promise<string[]> {
  const { client, sql, file, by, why, enable } = options;
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
    const lifted = { paused: false, notes: `enabled by ${by}${why === undefined ? '' : `: ${why}`}` };
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
    } else if (lifts || stored?.specHash !== specHash || !isSameSchedule(current.schedule, wanted(before))) {
      await follow();
      changes.push(`${scheduleId}: ${lifts ? 'enabled' : 'updated'}`);
    }
    // Somebody may have paused it meanwhile: what is kept is what the server has now.
    const now = (await describeSchedule(client, scheduleId))?.schedule?.state ?? state;
    const note = now.notes || null;
    const who = lifts ? { by, ...(why !== undefined && { why }) } : {};
    await saveScheduleState(sql, { scheduleId, paused: now.paused === true, note, specHash, ...who });
  }
  if (changes.length > 0) {
    await insertAudit(sql, {
      actor: by,
      action: 'schedules.apply',
      subject: 'schedules',
      ...(why !== undefined && { why }),
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
      recentRuns: startsOf(found.info ?? {}),
    };
  });
  return (await Promise.all(summaries)).filter((one) => one !== null);
}

type ScheduleInfo = temporal.api.schedule.v1.IScheduleInfo;

/** What a schedule started last, newest first. */
function startsOf(info: ScheduleInfo): ScheduledRun[] {
  return (info.recentActions ?? []).flatMap(runOf).toReversed();
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

/** How long the server may take until it shows what it did. */
const TRIGGER_MS = 2_000;
const TRIGGER_LOOK_MS = 100;
/** Timers may be early by a little. */
const CLOCK_SLACK_MS = 20;

/**
 * Starts a schedule's run now because a person asked for it, and reads back what it started; null where nothing is seen
 * of it yet. The audit row says what came of it. Without the SKIP policy a trigger is allowed beside a running one
 * (ran), and two nights would begin: throws ScheduleConflictError when a run before still goes on, and ScheduleGoneError.
 */
export async function triggerScheduleFor(options: {
  client: Client;
  sql: Queryable;
  scheduleId: string;
  by: string;
  why: string;
  /** How long one call of Temporal may take (15 s). */
  callMs?: number;
}): Promise<ScheduledRun | null> {
  const { client, sql, scheduleId, by, why, callMs = CALL_MS } = options;
  const look = async (): Promise<ScheduleInfo> => {
    const found = await describeSchedule(client, scheduleId, callMs);
    if (found === null) throw new ScheduleGoneError(scheduleId);
    return found.info ?? {};
  };
  const before = await look();
  await untilNextSecond(startsOf(before)[0]?.dueAt);
  try {
    const handle = client.schedule.getHandle(scheduleId);
    await client.withDeadline(Date.now() + callMs, () => handle.trigger(ScheduleOverlapPolicy.SKIP));
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) throw new ScheduleGoneError(scheduleId);
    throw error;
  }
  const { started, skippedFor } = await untilTriggered(look, before);
  const details = { started: started?.workflowId ?? null, skippedFor };
  await insertAudit(sql, { actor: by, action: 'schedule.trigger', subject: scheduleId, why, details });
  if (skippedFor !== null)
    throw new ScheduleConflictError(
      `nothing was started: ${skippedFor.join(' and ') || 'a run before'} still goes on`,
    );
  return started;
}

/** A start is named by the second it is due: another one within the second of the last would have its id. */
async function untilNextSecond(lastDueAt: string | undefined): Promise<void> {
  if (lastDueAt === undefined) return;
  const nextMs = (Math.floor(Date.parse(lastDueAt) / 1000) + 1) * 1000 + CLOCK_SLACK_MS;
  const leftMs = nextMs - Date.now();
  // The server's clock may be another one: nobody waits for more than its second.
  if (leftMs > 0) await sleep(Math.min(leftMs, 1_000 + CLOCK_SLACK_MS));
}

/** The start that is new since `before`, or what still ran instead. */
async function untilTriggered(
  look: () => Promise<ScheduleInfo>,
  before: ScheduleInfo,
): Promise<{ started: ScheduledRun | null; skippedFor: string[] | null }> {
  const known = new Set(startsOf(before).map(({ runId }) => runId));
  const untilMs = Date.now() + TRIGGER_MS;
  while (Date.now() < untilMs) {
    await sleep(TRIGGER_LOOK_MS);
    const { overlapSkipped, runningWorkflows, ...info } = await look();
    const started = startsOf(info).find(({ runId }) => !known.has(runId));
    if (started !== undefined) return { started, skippedFor: null };
    if (Number(overlapSkipped ?? 0) > Number(before.overlapSkipped ?? 0))
      return {
        started: null,
        skippedFor: (runningWorkflows ?? []).flatMap(({ workflowId }) => workflowId ?? []),
      };
  }
  return { started: null, skippedFor: null };
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
