import { setTimeout as sleep } from 'node:timers/promises';

import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import type { MlActivities, TaskResult } from '../../src/contracts/activities.ts';
import { MODELS, type Task } from '../../src/contracts/wire/names.ts';
import {
  type AllActivities,
  type Book,
  createFakes,
  fitPlan,
  taskInput,
  taskPlan,
} from '../support/fakes.ts';
import { eventually, useRig } from '../support/rig.ts';

const rigs = useRig();
type FitFold = Parameters<MlActivities['fitFold']>[0];

/** Runs one task workflow by itself. */
async function run(
  task: Task,
  overrides: Partial<AllActivities> = {},
  timeoutMs = 60_000,
): Promise<{ result: TaskResult | null; failure: ApplicationFailure | null; book: Book }> {
  const rig = rigs.current;
  const { activities, book } = createFakes(overrides);
  rig.use(activities);
  const input = taskInput(taskPlan(task, { timeoutMs }), { universe: rig.universe });
  try {
    const result: TaskResult = await rig.client.workflow.execute(task, {
      workflowId: `${task}/${rig.universe}`,
      taskQueue: 'pipeline',
      args: [input],
    });
    return { result, failure: null, book };
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) {
      return { result: null, failure: error.cause, book };
    }
    throw error;
  }
}

/** Names of the activities that did the task's work, in order. */
function work(book: Book): string[] {
  return book.calls.filter((call) => call !== 'beginAttempt' && call !== 'finishAttempt');
}

function count(book: Book, name: string): number {
  return book.calls.filter((call) => call === name).length;
}

describe('ingestion', () => {
  it('fetches in batches, no more at a time than the plan says', async () => {
    let running = 0;
    let most = 0;
    const { book, result } = await run('ingestion', {
      planIngestion: async () => ({
        batches: Array.from({ length: 7 }, (_, index) => ({ index, symbols: [`S${index}`] })),
        symbols: 7,
        parallelBatches: 3,
      }),
      ingestBatch: async () => {
        running += 1;
        most = Math.max(most, running);
        await sleep(50);
        running -= 1;
        return { symbols: 1, failedSymbols: 0, rowsFetched: 1, rowsChanged: 1 };
      },
    });
    expect(result).toEqual({ symbols: 3, attempt: 1 });
    expect(count(book, 'ingestBatch')).toBe(7);
    expect(most).toBe(3);
    expect(work(book).at(-1)).toBe('finishIngestion');
    expect(book.calls.at(0)).toBe('beginAttempt');
    expect(book.calls.at(-1)).toBe('finishAttempt');
  });
});

describe('training', () => {
  it('fits every model and block once, then the meta-learner, explanations, the version', async () => {
    const folds: FitFold[] = [];
    const explained: unknown[] = [];
    const { activities } = createFakes();
    let registered: unknown;
    const { book } = await run('training', {
      planFits: async () => fitPlan(MODELS),
      fitFold: async (job) => {
        folds.push(job);
        return { ...(await activities.fitFold(job)), modelHash: `${job.model}-${job.blockIndex}` };
      },
      explainModel: async (job) => {
        explained.push([job.model, job.blockIndex, job.modelHash]);
        return activities.explainModel(job);
      },
      registerTraining: async ({ folds, finals, explanations, meta, ml, fence }) => {
        registered = [
          folds.length,
          finals.length,
          explanations.length,
          meta.slope,
          ml.platform,
          fence.attempt,
        ];
        return { version: 'v1' };
      },
    });
    expect(folds.map((job) => `${job.model} ${job.blockIndex}`).sort()).toEqual(
      MODELS.flatMap((model) => [`${model} 0`, `${model} 1`]).sort(),
    );
    expect(count(book, 'fitFinal')).toBe(8);
    expect(work(book).slice(0, 2)).toEqual(['planFits', 'mlInfo']);
    expect(work(book).lastIndexOf('fitFold')).toBeLessThan(work(book).indexOf('fitMeta'));
    expect(work(book).at(-1)).toBe('registerTraining');
    // Each model is explained as fitted for the newest block, whose rows that fit never saw.
    expect(explained).toHaveLength(8);
    expect(explained).toContainEqual(['mlp', 1, 'mlp-1']);
    expect(registered).toEqual([16, 8, 8, 1, 'test', 1]);
  });

  it('says what it is at: a table of its steps, each with its name in the history', async () => {
    const { client, universe } = rigs.current;
    const handle = client.workflow.getHandle(`training/${universe}`);
    const details = async (): Promise<string> => {
      const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
      return (metadata.currentDetails ?? '').replaceAll('\u2003', '');
    };
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const { activities } = createFakes();
    const running = run('training', {
      planFits: async () => fitPlan(MODELS),
      fitFold: async (job) => {
        if (job.model === 'mlp' && job.blockIndex === 1) await held;
        return activities.fitFold(job);
      },
    });
    await eventually('all but one are fitted', async () => {
      return (await details().catch(() => '')).includes('| fold fits| 15 of 16| mlp, block 2|');
    });
    goOn();
    expect((await running).failure).toBeNull();
    expect((await details()).split('\n')).toEqual([
      expect.stringMatching(/^\*\*training of .*: attempt 1 of 1\*\*: succeeded$/),
      '',
      '| step| done| under way|',
      '|:---|:---|:---|',
      '| dataset| 1 of 1| |',
      '| library versions| 1 of 1| |',
      '| fold fits| 16 of 16| |',
      '| final fits| 8 of 8| |',
      '| meta-learner| 1 of 1| |',
      '| SHAP explanations| 8 of 8| |',
      '| metrics and gate| 1 of 1| |',
    ]);
    const { events } = await handle.fetchHistory();
    const summaries = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes, userMetadata }) => {
      const data = activityTaskScheduledEventAttributes && userMetadata?.summary?.data;
      return data ? [String(JSON.parse(Buffer.from(data).toString()))] : [];
    });
    expect(summaries).toHaveLength(36);
    expect(summaries.slice(0, 2)).toEqual(['dataset', 'library versions']);
    expect(summaries).toContain('mlp, block 2');
    expect(summaries.at(-1)).toBe('metrics and gate');
  });

  it('stops the other fits when one is lost, and keeps the class of its failure', async () => {
    const { failure, book } = await run('training', {
      fitFold: async ({ model, blockIndex }) => {
        if (model === 'xgboost' && blockIndex === 1) {
          throw ApplicationFailure.nonRetryable('no such device', 'DeviceUnavailable');
        }
        return Context.current().cancelled;
      },
    });
    expect(failure).toMatchObject({
      type: 'DeviceUnavailable',
      nonRetryable: true,
      message: 'no such device',
    });
    expect(failure?.details).toEqual([{ activity: 'fitFold', attempt: 1 }]);
    expect(count(book, 'fitMeta')).toBe(0);
    expect(count(book, 'registerTraining')).toBe(0);
    expect(book.attempts).toMatchObject([{ end: 'failed', type: 'DeviceUnavailable' }]);
  });

  it('retries a fit alone', async () => {
    const tries = new Map<string, number>();
    const { activities } = createFakes();
    const { result } = await run('training', {
      fitFold: async (job) => {
        const key = `${job.model} ${job.blockIndex}`;
        tries.set(key, (tries.get(key) ?? 0) + 1);
        if (key === 'lightgbm 0' && tries.get(key) === 1) {
          throw ApplicationFailure.create({ message: 'pool died', type: 'FitFailed', nextRetryDelay: 1 });
        }
        return activities.fitFold(job);
      },
    });
    expect(result).toEqual({ version: 'v1', attempt: 1 });
    expect([...tries.values()].filter((count) => count === 2)).toHaveLength(1);
    expect(tries.size).toBe(4);
  });
});

describe('scan and backtest', () => {
  it('asks for reasons only where there are signals', async () => {
    const without = await run('overnightScan', { selectSignals: async () => ({ symbolIndexes: [] }) });
    expect(work(without.book)).toEqual(['planScan', 'score', 'selectSignals', 'writeSignals']);
    expect(without.result).toEqual({ signals: 0, attempt: 1 });
  });

  it('asks for the same folds as training, so that whoever comes second reads them', async () => {
    const asked: Record<string, string[]> = { training: [], backtest: [] };
    const { activities } = createFakes();
    for (const task of ['training', 'backtest'] as const) {
      await run(task, {
        fitFold: async (job) => {
          asked[task]?.push(JSON.stringify(job));
          return activities.fitFold(job);
        },
      });
      await rigs.current.endTest();
    }
    expect(asked['backtest']?.sort()).toEqual(asked['training']?.sort());
    expect(asked['backtest']).toHaveLength(4);
  });
});

describe('maintenance and drift', () => {
  it('removes before it vacuums', async () => {
    const { book, result } = await run('weeklyMaintenance');
    expect(work(book)).toEqual(['applyRetention', 'vacuumDatabase', 'cleanArtifacts', 'archiveLogs']);
    expect(Object.keys(result ?? {})).toEqual(['database', 'artifacts', 'logs', 'retention', 'attempt']);
  });

  it('reports an activity that never answers as a time-out of that activity', async () => {
    const { failure } = await run('driftMonitoring', { runDrift: () => Context.current().cancelled }, 1_500);
    expect(failure).toMatchObject({ type: 'ActivityTimeout', nonRetryable: false });
    expect(failure?.message).toContain('runDrift did not answer in time');
  });

  it('closes its row as cancelled when it is cancelled', async () => {
    const rig = rigs.current;
    const { activities, book } = createFakes({ runDrift: () => Context.current().cancelled });
    rig.use(activities);
    const input = taskInput(taskPlan('driftMonitoring'), { universe: rig.universe });
    const handle = await rig.client.workflow.start('driftMonitoring', {
      workflowId: `drift/${rig.universe}`,
      taskQueue: 'pipeline',
      args: [input],
    });
    await eventually('it runs', () => book.calls.includes('runDrift'));
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    expect(book.attempts).toMatchObject([{ end: 'cancelled' }]);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
});
