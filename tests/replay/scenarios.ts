import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

import type { ManualPlan } from '../../src/contracts/activities.ts';
import { decideQuarantine, overrideSession } from '../../src/temporal/decisions.ts';
import {
  BACKFILL_WORKFLOW_ID,
  JOB_QUEUE_WORKFLOW_ID,
  manualRunWorkflowId,
  TASK_QUEUES,
} from '../../src/contracts/wire/names.ts';
import { createFakes, nightPlan, statesOf, taskInput, taskPlan } from '../support/fakes.ts';
import { eventually, type RecordedHistory, type Rig } from '../support/rig.ts';

export type Scenario = { name: string; run: (rig: Rig) => Promise<void> };

/** One history of every workflow type at least, and of each way a night can end. */
export const SCENARIOS: Scenario[] = [
  { name: 'night', run: goodNight },
  { name: 'partial', run: partialNight },
  { name: 'review', run: reviewedNight },
  { name: 'cancelled', run: cancelledNight },
  { name: 'single', run: singleRuns },
  { name: 'decisions', run: decisions },
  { name: 'backfill', run: backfill },
];

/** Runs a scenario and returns the histories it made: those of runs that are not known yet; now they are. */
export async function record(rig: Rig, scenario: Scenario, known: Set<string>): Promise<RecordedHistory[]> {
  await scenario.run(rig);
  const made = await rig.histories(known);
  for (const { runId } of made) known.add(runId);
  return made;
}

async function goodNight(rig: Rig): Promise<void> {
  rig.use(createFakes().activities);
  await rig.night();
}

async function partialNight(rig: Rig): Promise<void> {
  const { activities } = createFakes({
    planNight: async (input) =>
      nightPlan(input, { backtest: { maxAttempts: 2 }, training: { enabled: false } }),
    runBacktest: async ({ fence }) => {
      if (fence.attempt > 1) return {};
      throw ApplicationFailure.create({ message: 'once', type: 'Flaky', nextRetryDelay: 1 });
    },
  });
  rig.use(activities);
  await rig.night();
}

async function reviewedNight(rig: Rig): Promise<void> {
  let failures = 0;
  const { activities, book } = createFakes({
    planNight: async (input) => nightPlan(input, { training: { reviewWindowMs: 3_600_000 } }),
    registerTraining: async () => {
      failures += 1;
      if (failures > 2) return {};
      throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
    },
  });
  rig.use(activities);
  const handle = await rig.startNight();
  for (const [round, decision] of (['retry', 'skip'] as const).entries()) {
    await eventually('it waits', () => {
      const waits = statesOf(book, 'training').filter((state) => state === 'awaiting_review');
      return waits.length === round + 1;
    });
    await rig.decide(handle, { taskRunId: 'training-run', decision, by: 'Ann', why: 'test' });
  }
  await handle.result();
}

async function cancelledNight(rig: Rig): Promise<void> {
  const notBefore = new Date(Date.now() + 3_600_000).toISOString();
  const { activities, book } = createFakes({
    planNight: async (input) => nightPlan(input, { training: { notBefore, notBeforeLocal: '23:00' } }),
    runBacktest: () => Context.current().cancelled,
  });
  rig.use(activities);
  const handle = await rig.startNight();
  await eventually('the backtest runs', () => book.calls.includes('runBacktest'));
  await handle.cancel();
  await handle.result().catch(() => undefined);
}

/** The slot of a night that is gone is found by the queue: on a busy machine it looks in any scenario. */
async function lostNight(rig: Rig): Promise<void> {
  const { activities, book } = createFakes({ planIngestion: () => Context.current().cancelled });
  rig.use(activities);
  const lost = await rig.startNight();
  // Terminated before it was told of its slot, it would have given it back by that.
  await eventually('it was given the slot', () => book.calls.includes('planIngestion'));
  await lost.terminate('test');
}

async function singleRuns(rig: Rig): Promise<void> {
  await lostNight(rig);
  const plan = taskPlan('ingestion', { taskRunId: 'manual-1' });
  const manual: ManualPlan = {
    outcome: 'run',
    plan,
    input: taskInput(plan, { universe: rig.universe }),
    limits: { maxConcurrentJobs: 1, maxInstances: 1 },
    nextStart: null,
  };
  rig.use(createFakes({ planManualRun: async () => manual }).activities);
  const about = { task: 'ingestion', sessionDate: manual.input.sessionDate, universe: rig.universe } as const;
  await rig.signalManualRun({ ...about, taskRunId: 'manual-1', trigger: 'manual' });
  await eventually('the manual run', () =>
    rig.client.workflow
      .getHandle(manualRunWorkflowId('manual-1'))
      .result()
      .then(
        () => true,
        () => undefined,
      ),
  );
  await rig.client.workflow.execute('maintenanceRun', { workflowId: 'weekly-1', taskQueue: 'pipeline' });
  await eventually('the slot is free', async () => (await rig.queue()).holders.length === 0);
  await rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).describe();
}

/** Said by the activity itself, so that its retry comes at once. */
const away = (): ApplicationFailure =>
  ApplicationFailure.create({ message: 'no answer', type: 'DatabaseUnavailable', nextRetryDelay: 1 });

async function decisions(rig: Rig): Promise<void> {
  let tries = 0;
  const { activities } = createFakes();
  rig.use({
    ...activities,
    decideQuarantine: async (input) => {
      tries += 1;
      if (tries === 1) throw away();
      if (input.decision === 'reject')
        throw ApplicationFailure.nonRetryable('released by Ann', 'AlreadyDecided');
      return activities.decideQuarantine(input);
    },
  });
  const who = { by: 'Ann', why: 'test' };
  const row = { symbol: 'AAPL', sessionDate: '2018-02-07', provider: 'archive', row: null, ...who };
  await decideQuarantine(rig.client, { ...row, decision: 'release' });
  await decideQuarantine(rig.client, { ...row, decision: 'reject' }).catch(() => undefined);
  const date = { sessionDate: '2018-02-07', open: null, close: null, ...who };
  await overrideSession(rig.client, { ...date, change: 'closed' });
  await overrideSession(rig.client, { ...date, change: 'remove' });
}

/** Two nights that turn out to have nothing to do. */
async function backfill(rig: Rig): Promise<void> {
  const { activities } = createFakes({
    planNight: async (input) => ({ ...nightPlan(input), outcome: 'no_session', reason: 'closed', tasks: [] }),
  });
  rig.use(activities);
  const { universe } = rig;
  await rig.client.workflow.execute('nightBackfill', {
    workflowId: BACKFILL_WORKFLOW_ID,
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ universe, sessions: ['2018-02-06', '2018-02-07'], requestedBy: 'Ann' }],
  });
}
