import { statfs } from 'node:fs/promises';

import type { NightPlan, PlanNightInput, TaskPlan } from '../../contracts/activities.ts';
import { type EffectiveConfig, effectiveConfig, type TaskSettings } from '../../contracts/schemas/config.ts';
import { NIGHT_TASKS, SCHEDULE_IDS, type Trigger } from '../../contracts/wire/names.ts';
import type { Sql } from '../../db/client.ts';
import { claimNight, findNight, insertClosedNight, type NewNight } from '../../db/queries/nights.ts';
import { closeGoneStarter } from '../../db/queries/reconcile.ts';
import { scheduleStates } from '../../db/queries/schedule-state.ts';
import { insertTaskRuns, type NewTaskRun } from '../../db/queries/task-runs.ts';
import { nightHasWork } from '../../domain/night-work.ts';
import { nightSession } from '../../domain/night-session.ts';
import { instantInNight, isNominal, localClock, localDate, nextRun } from '../../domain/schedule-times.ts';
import type { UniverseDefinition } from '../../domain/universe.ts';
import { currentFile, type FrozenConfig, freezeFile, frozenConfig } from './config-source.ts';
import type { RunDeps } from './deps.ts';
import { isClosedRun } from '../queue.ts';
import { EXCHANGE_TIME_ZONE, planUniverse, providerOf, readCalendar, readDefinition } from './market.ts';
import { refusalOf } from './refusal.ts';

const GIB = 1024 ** 3;
const REFUSED_STATES = { no_session: 'no_session', already_running: 'skipped', refused: 'failed' } as const;

type Planning = {
  deps: RunDeps;
  input: PlanNightInput;
  frozen: FrozenConfig;
  definition: UniverseDefinition;
  nowMs: number;
  nextStart: string | null;
};

/**
 * Resolves session, universe and version, task instants and limits into absolute values, claims (session,
 * universe) and inserts the pending rows. The same run asking again gets the same plan. What cannot be planned
 * ends as a refused night with its reason.
 */
export async function planNight(deps: RunDeps, input: PlanNightInput): Promise<NightPlan> {
  const { sql } = deps.database;
  const before = await findNight(sql, input);
  if (before !== null && isNightPlan(before.plan)) {
    if (before.plan.outcome === 'run') await insertTaskRuns(sql, taskRows(input, before.plan));
    return before.plan;
  }
  try {
    return await plan(await resolve(deps, input));
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === null) throw error;
    return refuse(deps, input, reason);
  }
}

async function plan(planning: Planning): Promise<NightPlan> {
  const { deps, input, definition } = planning;
  const { config } = planning.frozen;
  const calendar = await readCalendar(deps);
  const coverage = await providerOf(deps, config).coverage();
  const session = nightSession({
    explicit: input.sessionDate,
    nominalMs: input.nominalInstant === null ? null : Date.parse(input.nominalInstant),
    schedule: config.tasks.ingestion,
    timezone: config.timezone,
    calendar,
    settleDelayMs: config.settleDelayMinutes * 60_000,
    coverage,
    nowMs: planning.nowMs,
  });
  const { sessionDate } = session;
  if (session.outcome !== 'session') return close(planning, { ...session, universeVersion: '' });
  const lack = await diskLack(deps, config);
  if (lack !== null) {
    return close(planning, { outcome: 'refused', sessionDate, universeVersion: '', reason: lack });
  }
  const universeVersion = await planUniverse({ deps, definition, config, coverage, sessionDate });
  const plan: NightPlan = {
    ...emptyPlan(planning, { sessionDate, universeVersion }),
    tasks: taskPlans(planning, sessionDate),
  };
  const owner = await claim(planning, plan);
  if (owner !== null) {
    const reason = `already running as ${owner.workflowId}, begun ${owner.startedAt}`;
    return close(planning, { outcome: 'already_running', sessionDate, universeVersion, reason });
  }
  await insertTaskRuns(deps.database.sql, taskRows(input, plan));
  return plan;
}

async function resolve(deps: RunDeps, input: PlanNightInput): Promise<Planning> {
  const { sql } = deps.database;
  const { frozen, definition } = await frozenUniverse(deps, input);
  const nowMs = deps.now?.() ?? Date.now();
  const nextStart = await nextNominalStart({ sql, config: frozen.config, nowMs, trigger: input.trigger });
  return { deps, input, frozen, definition, nowMs, nextStart };
}

/** The configuration of a night and the universe it names, unless the night names another. */
async function frozenUniverse(
  deps: RunDeps,
  { configHash, universe }: PlanNightInput,
): Promise<Pick<Planning, 'frozen' | 'definition'>> {
  const { sql } = deps.database;
  if (configHash !== undefined) {
    const frozen = await frozenConfig(sql, configHash);
    return { frozen, definition: await readDefinition(deps, universe ?? frozen.config.universe) };
  }
  const file = await currentFile(sql);
  const definition = await readDefinition(deps, universe ?? effectiveConfig(file).universe);
  // Names of files and bundled universes alike: rows and ids carry the name, never a path.
  return { frozen: await freezeFile(sql, file, definition.name), definition };
}

/** A refusal before anything is known of the night. */
async function refuse(deps: RunDeps, input: PlanNightInput, reason: string): Promise<NightPlan> {
  const { workflowId, runId, trigger, requestedBy, nominalInstant } = input;
  const atMs = nominalInstant === null ? (deps.now?.() ?? Date.now()) : Date.parse(nominalInstant);
  const about = {
    sessionDate: input.sessionDate ?? localDate(atMs, EXCHANGE_TIME_ZONE),
    universe: await knownName(deps, input.universe),
    universeVersion: '',
    configHash: input.configHash ?? '',
  };
  const limits = { maxConcurrentJobs: 1, maxInstances: 1 };
  const plan: NightPlan = { ...about, outcome: 'refused', reason, limits, nextStart: null, tasks: [] };
  await insertClosedNight(deps.database.sql, {
    ...about,
    workflowId,
    runId,
    trigger,
    requestedBy: requestedBy ?? null,
    nominalInstant,
    plan,
    state: 'failed',
    reason,
  });
  return plan;
}

/**
 * The name under which nights of this universe are found again, as far as it can be known: the watchdog must see
 * that this night was refused, or would start it anew.
 */
async function knownName(deps: RunDeps, asked: string | undefined): Promise<string> {
  try {
    const universe = asked ?? effectiveConfig(await currentFile(deps.database.sql)).universe;
    return (await readDefinition(deps, universe)).name;
  } catch {
    return asked ?? '';
  }
}

function isNightPlan(value: unknown): value is NightPlan {
  return typeof value === 'object' && value !== null && 'outcome' in value && 'tasks' in value;
}

/**
 * Next nominal start of the nightly schedule, which no review may delay; null while the schedule is switched
 * off, as there is no next night then.
 */
export async function nextNominalStart(options: {
  sql: Sql;
  config: EffectiveConfig;
  nowMs: number;
  trigger: Trigger;
}): Promise<string | null> {
  const { sql, config, nowMs, trigger } = options;
  const states = await scheduleStates(sql);
  const isOn = states.some((state) => state.scheduleId === SCHEDULE_IDS.nightly && !state.paused);
  if (!nightHasWork(NIGHT_TASKS, config.tasks) || !(isOn || trigger === 'schedule')) return null;
  const next = nextRun(config.tasks.ingestion, config.timezone, nowMs);
  return next === null ? null : new Date(next).toISOString();
}

/** Free space on the data folder's disk in words, if it is too little for a night. */
async function diskLack(deps: RunDeps, config: EffectiveConfig): Promise<string | null> {
  const disk = await statfs(deps.dataDir).catch(() => null);
  if (disk === null) return null;
  const freeGib = (disk.bavail * disk.bsize) / GIB;
  if (freeGib >= config.minFreeDiskGib) return null;
  return `only ${freeGib.toFixed(2)} GiB free on the disk of ${deps.dataDir}: a night needs ${config.minFreeDiskGib} GiB`;
}

/** Takes the claim, from a closed owner if need be. Returns the living owner that keeps it, or null. */
async function claim(
  planning: Planning,
  plan: NightPlan,
): Promise<{ workflowId: string; startedAt: string } | null> {
  const { sql } = planning.deps.database;
  for (;;) {
    const result = await claimNight(sql, nightRow(planning, plan));
    if (result.outcome === 'claimed') return null;
    if (!(await isClosedRun(planning.deps.client, result.owner))) return result.owner;
    const { workflowId, runId } = result.owner;
    const reason = 'its workflow is closed and left it open';
    await closeGoneStarter(sql, { workflowId, runId, state: 'failed', reason });
  }
}

/** Records a night that does not run. */
async function close(
  planning: Planning,
  end: {
    outcome: keyof typeof REFUSED_STATES;
    sessionDate: string;
    universeVersion: string;
    reason: string;
  },
): Promise<NightPlan> {
  const plan: NightPlan = { ...emptyPlan(planning, end), outcome: end.outcome, reason: end.reason };
  await insertClosedNight(planning.deps.database.sql, {
    ...nightRow(planning, plan),
    state: REFUSED_STATES[end.outcome],
    reason: end.reason,
  });
  return plan;
}

function emptyPlan(
  { frozen, definition, nextStart }: Planning,
  about: { sessionDate: string; universeVersion: string },
): NightPlan {
  const { config, hash } = frozen;
  return {
    outcome: 'run',
    reason: null,
    sessionDate: about.sessionDate,
    universe: definition.name,
    universeVersion: about.universeVersion,
    configHash: hash,
    limits: { maxConcurrentJobs: config.maxConcurrentJobs, maxInstances: config.maxInstances },
    nextStart,
    tasks: [],
  };
}

function taskPlans(planning: Planning, sessionDate: string): TaskPlan[] {
  const { input, frozen, definition } = planning;
  const { config } = frozen;
  const first = config.tasks.ingestion;
  const nominalMs = input.nominalInstant === null ? null : Date.parse(input.nominalInstant);
  // Times and days of the week belong to the schedule: a person who starts a night means now.
  const startDate =
    nominalMs !== null && isNominal(first, config.timezone, nominalMs)
      ? localDate(nominalMs, config.timezone)
      : null;
  return NIGHT_TASKS.map((task) => {
    const settings = config.tasks[task];
    const taskRunId = `${task}-${sessionDate}-${definition.name}-${shortRunId(input.runId)}`;
    const plan = taskPlan(settings, { config, taskRunId });
    if (startDate === null) return plan;
    const own = instantInNight({ task: settings, first, startDate, timezone: config.timezone });
    const waits = config.waitForTaskTimes && task !== 'ingestion';
    return {
      ...plan,
      enabled: plan.enabled && own.runsThatDay,
      disabledReason:
        plan.enabled && !own.runsThatDay ? `does not run on ${own.date} (day_of_week)` : plan.disabledReason,
      notBefore: waits ? new Date(own.instantMs).toISOString() : null,
      notBeforeLocal: waits ? localClock(own.instantMs, config.timezone) : null,
    };
  });
}

/** A task's plan from its settings, without a time of its own. */
export function taskPlan(
  settings: TaskSettings,
  { config, taskRunId }: { config: EffectiveConfig; taskRunId: string },
): TaskPlan {
  const { taskRetry } = config;
  return {
    task: settings.task,
    taskRunId,
    enabled: settings.enabled,
    disabledReason: settings.enabled ? null : 'disabled in the configuration',
    dependsOn: settings.dependsOn,
    notBefore: null,
    notBeforeLocal: null,
    timeoutMs: settings.timeoutMs,
    maxAttempts: settings.maxAttempts,
    retry: {
      initialIntervalMs: taskRetry.initialIntervalSeconds * 1000,
      backoffCoefficient: taskRetry.backoffCoefficient,
      maximumIntervalMs: taskRetry.maximumIntervalSeconds * 1000,
    },
    reviewWindowMs: settings.review ? settings.reviewWindowMs : null,
  };
}

function nightRow({ input }: Planning, plan: NightPlan): NewNight {
  return {
    workflowId: input.workflowId,
    runId: input.runId,
    sessionDate: plan.sessionDate,
    universe: plan.universe,
    universeVersion: plan.universeVersion,
    trigger: input.trigger,
    configHash: plan.configHash,
    requestedBy: input.requestedBy ?? null,
    nominalInstant: input.nominalInstant,
    plan,
  };
}

function taskRows(input: PlanNightInput, plan: NightPlan): NewTaskRun[] {
  const { sessionDate, universe, universeVersion, configHash } = plan;
  return plan.tasks.map((task) => ({
    taskRunId: task.taskRunId,
    nightWorkflowId: input.workflowId,
    nightRunId: input.runId,
    starterWorkflowId: input.workflowId,
    starterRunId: input.runId,
    task: task.task,
    sessionDate,
    universe,
    universeVersion,
    state: task.enabled ? 'pending' : 'disabled',
    reason: task.disabledReason,
    trigger: input.trigger,
    forced: false,
    requestedBy: input.requestedBy ?? null,
    maxAttempts: task.maxAttempts,
    timeoutMs: task.timeoutMs,
    dependsOn: task.dependsOn,
    notBefore: task.notBefore,
    configHash,
  }));
}

/** The random end of a run id: its begin is the time, the same for runs of one minute. */
export function shortRunId(runId: string): string {
  return runId.slice(-8);
}
