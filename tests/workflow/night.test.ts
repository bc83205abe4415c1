import { WorkflowFailedError } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure, defineSearchAttributeKey } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import type { BackfillResult } from '../../src/contracts/backfill.ts';
import type { NightResult, TaskPlan } from '../../src/contracts/activities.ts';
import { BACKFILL_WORKFLOW_ID, type Task, TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import {
  type AllActivities,
  type Book,
  createFakes,
  nightPlan,
  SESSION,
  statesOf,
} from '../support/fakes.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';

const rigs = useRig();

/** A night whose tasks are changed as given, with these activities. */
function prepare(
  tasks: Partial<Record<Task, Partial<TaskPlan>>>,
  overrides: Partial<AllActivities> = {},
): { rig: Rig; book: Book } {
  const { activities, book } = createFakes({
    planNight: async (input) => nightPlan(input, tasks),
    ...overrides,
  });
  rigs.current.use(activities);
  return { rig: rigs.current, book };
}

function words(result: NightResult): string[] {
  return result.tasks.map(
    ({ task, state, reason }) => `${task} ${state}${reason === null ? '' : `: ${reason}`}`,
  );
}

/** The failure a workflow ended with. */
async function failureOf(promise: Promise<unknown>): Promise<Error | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof WorkflowFailedError) return error.cause;
    throw error;
  }
}

const broken =
  (type: string, nonRetryable = false) =>
  async (): Promise<never> => {
    throw ApplicationFailure.create({ message: `${type} happened`, type, nonRetryable });
  };

describe('a night', () => {
  it('runs all five tasks in the order of their needs and says so in rows, memo and attributes', async () => {
    const { rig, book } = prepare({});
    const handle = await rig.startNight();
    const result = await handle.result();
    expect(result).toMatchObject({ state: 'succeeded', reason: null, sessionDate: SESSION });
    expect(words(result)).toEqual([
      'ingestion succeeded',
      'training succeeded',
      'overnightScan succeeded',
      'backtest succeeded',
      'driftMonitoring succeeded',
    ]);
    expect(book.attempts.map((attempt) => attempt.end)).toEqual(Array(5).fill('succeeded'));
    expect(book.nights).toEqual([{ state: 'succeeded', reason: null }]);
    const started = book.attempts.map((attempt) => attempt.fence.workflowId.split('/')[0]);
    expect(started.slice(0, 2)).toEqual(['ingestion', 'training']);
    expect(started.at(-1)).toBe('driftMonitoring');
    const about = await handle.describe();
    expect(about.memo).toMatchObject({ state: 'succeeded' });
    expect(about.memo?.['tasks']).toMatchObject({ driftMonitoring: expect.stringMatching(/^succeeded, /) });
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('RunState', 'KEYWORD'))).toBe(
      'succeeded',
    );
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('SessionDate', 'KEYWORD'))).toBe(SESSION);
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('ReviewState', 'KEYWORD'))).toBe('none');
    const child = await rig.client.workflow.getHandle(`training/${SESSION}/${rig.universe}`).describe();
    expect(child.typedSearchAttributes.get(defineSearchAttributeKey('Task', 'KEYWORD'))).toBe('training');
    expect(await child.staticSummary()).toBe(`training of ${SESSION} (${rig.universe})`);
  });

  it('goes on with independent branches, skips dependents with the reason, ends partial', async () => {
    const { rig, book } = prepare({}, { registerTraining: broken('DataDefect') });
    const result = await rig.night();
    expect(result.state).toBe('partial');
    expect(words(result)).toEqual([
      'ingestion succeeded',
      'training failed: DataDefect: DataDefect happened',
      'overnightScan skipped: training failed',
      'backtest succeeded',
      'driftMonitoring skipped: training failed',
    ]);
    expect(statesOf(book, 'training')).toEqual(['failed']);
    expect(statesOf(book, 'overnightScan')).toEqual(['skipped']);
    expect(book.nights).toEqual([{ state: 'partial', reason: null }]);
  });

  it('fails when nothing succeeded', async () => {
    const { rig, book } = prepare({}, { planIngestion: broken('ProviderNotFound') });
    const failure = await failureOf(rig.night());
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({
      type: 'NightFailed',
      message: `the night of ${SESSION} failed: ingestion failed (ProviderNotFound: ProviderNotFound happened)`,
    });
    expect(book.nights).toEqual([{ state: 'failed', reason: null }]);
  });

  it('leaves disabled tasks out and skips what needs them', async () => {
    const { rig } = prepare({ training: { enabled: false } });
    expect(words(await rig.night())).toEqual([
      'ingestion succeeded',
      'training disabled',
      'overnightScan skipped: training is disabled',
      'backtest succeeded',
      'driftMonitoring skipped: training is disabled',
    ]);
  });

  it.each([
    ['no_session', 'no_session'],
    ['already_running', 'skipped'],
  ] as const)('ends without a task when the plan says %s', async (outcome, state) => {
    const { rig, book } = prepare(
      {},
      { planNight: async (input) => nightPlan(input, {}, { outcome, reason: 'because', tasks: [] }) },
    );
    expect(await rig.night()).toMatchObject({ state, reason: 'because', tasks: [] });
    expect(book.calls.filter((call) => call !== 'planNight')).toEqual([]);
  });

  it('fails when it is refused or cannot be planned', async () => {
    const refusal = { outcome: 'refused' as const, reason: 'disk full', tasks: [] };
    const { rig } = prepare(
      {},
      {
        planNight: async (input) => {
          if (input.sessionDate === undefined) return nightPlan(input, {}, refusal);
          throw ApplicationFailure.nonRetryable('not configured', 'InvalidConfiguration');
        },
      },
    );
    expect(await failureOf(rig.night())).toMatchObject({ type: 'NightRefused', message: 'disk full' });
    const failure = await failureOf(rig.night({ sessionDate: '2018-02-06' }));
    expect(failure).toMatchObject({ type: 'InvalidConfiguration' });
  });
});

describe('a defect of ours', () => {
  it('ends the night with its words instead of keeping it open for ever', async () => {
    const misshapen = undefined as unknown as Task[];
    const { rig, book } = prepare({ backtest: { dependsOn: misshapen } });
    const failure = await failureOf(rig.night());
    expect(failure).toMatchObject({ type: 'TypeError', nonRetryable: true });
    expect(book.nights).toMatchObject([{ state: 'failed' }]);
    expect(book.nights[0]?.reason).toContain('the night broke: TypeError');
  });

  it('ends a run whose plan has not the shape of one', async () => {
    const { rig } = prepare(
      {},
      {
        planNight: async (input) => nightPlan(input, {}, { tasks: undefined as unknown as TaskPlan[] }),
        planMaintenance: async () => ({ outcome: 'run' }) as never,
      },
    );
    expect(await failureOf(rig.night())).toMatchObject({ type: 'TypeError' });
    const maintenance = rig.client.workflow.execute('maintenanceRun', {
      workflowId: `maintenance-${rig.universe}`,
      taskQueue: 'pipeline',
      args: [],
    });
    expect(await failureOf(maintenance)).toMatchObject({ type: 'TypeError' });
  });
});

/** Fails so that the activity's own retries are over at once. */
function flaky(type: string): ApplicationFailure {
  return ApplicationFailure.create({ message: `${type} happened`, type, nextRetryDelay: 1 });
}

describe('attempts', () => {
  it('tries a task again as often as configured, each attempt with its row and a rising fence', async () => {
    const attempts = (): number => book.attempts.length;
    const { rig, book } = prepare(
      { ingestion: { maxAttempts: 2 } },
      {
        planIngestion: async () => {
          if (attempts() < 2) throw flaky('ProviderTransient');
          return { batches: [], symbols: 0, parallelBatches: 1 };
        },
      },
    );
    expect((await rig.night()).state).toBe('succeeded');
    const rows = book.attempts.filter((attempt) => attempt.fence.taskRunId === 'ingestion-run');
    expect(rows.map(({ fence, end, type }) => [fence.attempt, end, type])).toEqual([
      [1, 'failed', 'ProviderTransient'],
      [2, 'succeeded', null],
    ]);
    expect(new Set(rows.map(({ fence }) => fence.runId)).size).toBe(2);
  });

  it('does not try a non-retryable failure again, although retries are left', async () => {
    const { rig, book } = prepare(
      { ingestion: { maxAttempts: 2 } },
      { planIngestion: broken('CoverageTooLow') },
    );
    const handle = await rig.startNight();
    await failureOf(handle.result());
    expect(book.attempts).toHaveLength(1);
    expect(book.calls.filter((call) => call === 'planIngestion')).toHaveLength(1);
    expect(book.transitions[0]).toMatchObject({
      state: 'failed',
      reason: 'CoverageTooLow: CoverageTooLow happened',
    });
  });

  it('gives a timed-out attempt a next one, and the late one writes nothing any more', async () => {
    const { rig, book } = prepare(
      { driftMonitoring: { maxAttempts: 2, timeoutMs: 2_000 } },
      {
        runDrift: async () => {
          if (book.attempts.filter((row) => row.fence.taskRunId === 'driftMonitoring-run').length === 1) {
            await Context.current().cancelled;
          }
          return {};
        },
      },
    );
    expect((await rig.night()).state).toBe('succeeded');
    const rows = book.attempts.filter((attempt) => attempt.fence.taskRunId === 'driftMonitoring-run');
    // No code runs when a run timeout ends an attempt: its row stays open until the next one closes it.
    expect(rows.map(({ fence, end }) => [fence.attempt, end])).toEqual([
      [1, 'running'],
      [2, 'succeeded'],
    ]);
  });

  it('runs a task again without a retry or a review when our own runtime was down', async () => {
    let asked = 0;
    const { rig, book } = prepare(
      { training: { timeoutMs: 2_000, reviewWindowMs: 3_600_000 } },
      {
        planFits: async () => {
          if (book.attempts.length <= 2) await Context.current().cancelled;
          throw ApplicationFailure.nonRetryable('a real failure', 'DataDefect');
        },
        countLostAttempts: async ({ lastTimedOut, taskRunId }) => {
          asked += 1;
          return { lost: lastTimedOut && taskRunId === 'training-run' ? 1 : 0, downSeconds: 60 };
        },
        // The backtest shares `planFits`; here only training matters.
        planNight: async (input) =>
          nightPlan(input, {
            training: { timeoutMs: 2_000, reviewWindowMs: 3_600_000 },
            backtest: { enabled: false },
          }),
      },
    );
    const handle = await rig.startNight();
    await eventually('a review of the real failure', () =>
      statesOf(book, 'training').includes('awaiting_review'),
    );
    const rows = book.attempts.filter((attempt) => attempt.fence.taskRunId === 'training-run');
    expect(rows.map(({ fence, end }) => [fence.attempt, end])).toEqual([
      [1, 'running'],
      [1001, 'failed'],
    ]);
    // Asked for the time-out only: a non-retryable failure is never an outage.
    expect(asked).toBe(1);
    await handle.cancel();
    await failureOf(handle.result());
  });
});

describe('times, cancellation', () => {
  it('waits for a task’s own time without holding a slot; other branches go on', async () => {
    // Counted from the plan: training has all it needs long before.
    const { rig, book } = prepare(
      {},
      {
        planNight: async (input) => {
          const notBefore = new Date(Date.now() + 2_500).toISOString();
          return nightPlan(input, { training: { notBefore, notBeforeLocal: '23:00' } });
        },
      },
    );
    const result = await rig.night();
    expect(result.state).toBe('succeeded');
    expect(book.transitions[0]).toMatchObject({
      taskRunId: 'training-run',
      state: 'waiting',
      reason: 'until 23:00',
    });
    const order = book.attempts.map((attempt) => attempt.fence.taskRunId);
    expect(order.indexOf('backtest-run')).toBeLessThan(order.indexOf('training-run'));
  });

  it('records cancellation of what runs, waits and never began', async () => {
    const notBefore = new Date(Date.now() + 3_600_000).toISOString();
    const { rig, book } = prepare(
      { training: { notBefore } },
      { runBacktest: () => Context.current().cancelled },
    );
    const handle = await rig.startNight();
    await eventually('the backtest runs', () => book.calls.includes('runBacktest'));
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    const cancelled = book.transitions.filter((entry) => entry.state === 'cancelled');
    expect(cancelled.map((entry) => entry.taskRunId)).toEqual([
      'training-run',
      'overnightScan-run',
      'backtest-run',
      'driftMonitoring-run',
    ]);
    expect(book.attempts.map((attempt) => attempt.end)).toEqual(['succeeded', 'cancelled']);
    expect(book.nights).toEqual([{ state: 'cancelled', reason: 'the night was cancelled' }]);
    await eventually('the slot is free', async () => (await rig.queue()).holders.length === 0);
  });
});

describe('a backfill', () => {
  it('waits for a night that runs already, goes on after one that fails, and says what came of each', async () => {
    const sessions = ['2018-02-05', '2018-02-06', SESSION];
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { rig } = prepare(
      {},
      {
        planNight: async (input) => {
          if (input.trigger === 'manual') await released;
          const outcome = input.sessionDate === '2018-02-06' ? 'refused' : 'no_session';
          return { ...nightPlan(input), outcome, reason: outcome, tasks: [] };
        },
      },
    );
    const other = await rig.startNight({ sessionDate: '2018-02-05' });
    const handle = await rig.client.workflow.start<() => Promise<BackfillResult>>('nightBackfill', {
      workflowId: BACKFILL_WORKFLOW_ID,
      taskQueue: TASK_QUEUES.pipeline,
      args: [{ universe: rig.universe, sessions, requestedBy: 'Ann' }] as never,
    });
    await eventually('it waits', async () => {
      const { events } = await handle.fetchHistory();
      return events?.some(({ timerStartedEventAttributes: timer }) => timer);
    });
    release();
    await other.result();
    const result = await handle.result();
    expect(result).toEqual({
      universe: rig.universe,
      state: 'partial',
      nights: [
        { sessionDate: '2018-02-05', state: 'no_session', reason: 'no_session' },
        { sessionDate: '2018-02-06', state: 'failed', reason: 'refused' },
        { sessionDate: SESSION, state: 'no_session', reason: 'no_session' },
      ],
    });
    const about = await handle.describe();
    expect(about.memo).toEqual({ state: 'partial', ended: 3 });
    const attribute = (name: string) =>
      about.typedSearchAttributes.get(defineSearchAttributeKey(name, 'KEYWORD'));
    expect([attribute('RunState'), attribute('Trigger'), attribute('Universe')]).toEqual([
      'partial',
      'backfill',
      rig.universe,
    ]);
  });
});
