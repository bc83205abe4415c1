import { ApplicationFailure } from '@temporalio/common';

import type { ManualPlan, TaskInput } from '../../contracts/activities.ts';
import type { Task, Trigger } from '../../contracts/wire/names.ts';
import { refuseRunRequest, type RunRequestRow, takeRunRequest } from '../../db/queries/requests.ts';
import { findTaskRun, insertTaskRuns, succeededTasks } from '../../db/queries/task-runs.ts';
import { localDate } from '../../domain/schedule-times.ts';
import { type FrozenConfig, freezeConfig, frozenConfig } from './config-source.ts';
import type { RunDeps } from './deps.ts';
import { EXCHANGE_TIME_ZONE, planUniverse, providerOf, readCalendar, readDefinition } from './market.ts';
import { nextNominalStart, shortRunId, taskPlan } from './night-plan.ts';
import { refusalOf } from './refusal.ts';

/** Maintenance belongs to no universe. */
const ALL_UNIVERSES = 'all';

type Starter = { workflowId: string; runId: string };
type Nominal = { nominalInstant: string | null };
type Single = {
  taskRunId: string;
  task: Task;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  trigger: Trigger;
  forced: boolean;
  requestedBy: string | null;
  frozen: FrozenConfig;
};

/** Plans one manual run from its request row and marks it taken; its needs are checked again here. */
export async function planManualRun(
  deps: RunDeps,
  input: Starter & { taskRunId: string },
): Promise<ManualPlan> {
  const { sql } = deps.database;
  const { taskRunId, workflowId } = input;
  const request = await takeRunRequest(sql, { requestId: taskRunId, workflowId });
  if (request === null) return { outcome: 'refused', reason: `no request ${taskRunId} is stored` };
  if (request.refusedReason !== null) return { outcome: 'refused', reason: request.refusedReason };
  try {
    const single = await resolve(deps, request);
    return await openRun(deps, input, single);
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === null) throw error;
    await refuseRunRequest(sql, { requestId: taskRunId, reason });
    return { outcome: 'refused', reason };
  }
}

/** Plans weekly maintenance: its date is that of the schedule's nominal instant in the schedule's zone. */
export async function planMaintenance(deps: RunDeps, input: Starter & Nominal): Promise<ManualPlan> {
  try {
    return await openMaintenance(deps, input);
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === null) throw error;
    await recordRefusal(deps, input, reason);
    return { outcome: 'refused', reason };
  }
}

/** Nobody waits for the answer of a schedule: its row says that there was a run, and why it did nothing. */
async function recordRefusal(deps: RunDeps, input: Starter & Nominal, reason: string): Promise<void> {
  const sessionDate = localDate(nominalMs(deps, input), EXCHANGE_TIME_ZONE);
  await insertTaskRuns(deps.database.sql, [
    {
      ...maintenanceOf(input, sessionDate),
      nightWorkflowId: null,
      nightRunId: null,
      starterWorkflowId: input.workflowId,
      starterRunId: input.runId,
      state: 'failed',
      reason,
      maxAttempts: 1,
      timeoutMs: 0,
      dependsOn: [],
      notBefore: null,
      configHash: '',
    },
  ]);
}

async function openMaintenance(deps: RunDeps, input: Starter & Nominal): Promise<ManualPlan> {
  const frozen = await freezeConfig(deps.database.sql, undefined);
  const sessionDate = localDate(nominalMs(deps, input), frozen.config.timezone);
  return openRun(deps, input, { ...maintenanceOf(input, sessionDate), frozen });
}

function nominalMs(deps: RunDeps, { nominalInstant }: Nominal): number {
  return nominalInstant === null ? nowMs(deps) : Date.parse(nominalInstant);
}

function maintenanceOf({ runId }: Starter, sessionDate: string): Omit<Single, 'frozen'> {
  return {
    taskRunId: `weeklyMaintenance-${sessionDate}-${shortRunId(runId)}`,
    task: 'weeklyMaintenance',
    sessionDate,
    universe: ALL_UNIVERSES,
    universeVersion: '',
    trigger: 'schedule',
    forced: false,
    requestedBy: null,
  };
}

async function resolve(deps: RunDeps, request: RunRequestRow): Promise<Single> {
  const { sql } = deps.database;
  const { task, sessionDate, trigger, requestedBy } = request;
  const common = {
    taskRunId: request.requestId,
    task,
    sessionDate,
    trigger,
    requestedBy,
    forced: request.force,
  };
  const asked = request.configHash === null ? null : await frozenConfig(sql, request.configHash);
  if (task === 'weeklyMaintenance') {
    const frozen = asked ?? (await freezeConfig(sql, undefined));
    return { ...common, universe: ALL_UNIVERSES, universeVersion: '', frozen };
  }
  const definition = await readDefinition(deps, request.universe);
  const universe = definition.name;
  const frozen = asked ?? (await freezeConfig(sql, universe));
  const { config } = frozen;
  const calendar = await readCalendar(deps);
  if (!calendar.isSession(sessionDate)) throw refusal(`${calendar.exchange} is closed on ${sessionDate}`);
  const coverage = await providerOf(deps, config).coverage();
  const universeVersion = await planUniverse({ deps, definition, config, coverage, sessionDate });
  const done = await succeededTasks(sql, { sessionDate, universe, universeVersion });
  const missing = config.tasks[task].dependsOn.filter((need) => !done.includes(need));
  if (missing.length > 0 && !request.force) {
    throw refusal(
      `${missing.join(' and ')} did not succeed for ${sessionDate} (${universe}); --force runs it anyway`,
    );
  }
  return { ...common, universe, universeVersion, frozen };
}

async function openRun(deps: RunDeps, starter: Starter, single: Single): Promise<ManualPlan> {
  const { sql } = deps.database;
  const { frozen, requestedBy, ...about } = single;
  const { config, hash } = frozen;
  const { taskRunId, task, trigger, forced } = about;
  const settings = config.tasks[task];
  // A person may run a disabled task: the switch is the schedule's.
  const plan = { ...taskPlan(settings, { config, taskRunId }), enabled: true, disabledReason: null };
  await insertTaskRuns(sql, [
    {
      ...about,
      nightWorkflowId: null,
      nightRunId: null,
      starterWorkflowId: starter.workflowId,
      starterRunId: starter.runId,
      state: 'pending',
      reason: null,
      requestedBy,
      maxAttempts: plan.maxAttempts,
      timeoutMs: plan.timeoutMs,
      dependsOn: plan.dependsOn,
      notBefore: null,
      configHash: hash,
    },
  ]);
  const row = await findTaskRun(sql, taskRunId);
  if (row?.starterWorkflowId !== starter.workflowId) {
    throw refusal(`run ${taskRunId} belongs to ${row?.starterWorkflowId ?? 'nobody'}`);
  }
  const input: TaskInput = {
    taskRunId,
    task,
    sessionDate: about.sessionDate,
    universe: about.universe,
    universeVersion: about.universeVersion,
    configHash: hash,
    trigger,
    forced,
    timeoutMs: plan.timeoutMs,
    turn: 0,
  };
  return {
    outcome: 'run',
    plan,
    input,
    limits: { maxConcurrentJobs: config.maxConcurrentJobs, maxInstances: config.maxInstances },
    nextStart: await nextNominalStart({ sql, config, nowMs: nowMs(deps), trigger }),
  };
}

function refusal(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'InvalidInput');
}

function nowMs(deps: RunDeps): number {
  return deps.now?.() ?? Date.now();
}
