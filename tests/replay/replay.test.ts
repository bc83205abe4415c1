import { readFile } from 'node:fs/promises';

import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

import { testTemporal } from '../support/env.ts';
import { type History, quietRuntime } from '../support/rig.ts';
import { readHistories } from './histories.ts';

const histories = await readHistories();
let code = '';
/** What became of each history, by its run id; one worker replays all. */
const replayed = new Map<string, Error | undefined>();
beforeAll(async () => {
  quietRuntime();
  code = await readFile(testTemporal().workflowBundlePath, 'utf8');
  for await (const { runId, error } of Worker.runReplayHistories({ workflowBundle: { code } }, histories)) {
    replayed.set(runId, error);
  }
});

function runIdOf(history: History): string {
  return history.events?.[0]?.workflowExecutionStartedEventAttributes?.originalExecutionRunId ?? '';
}

describe('committed histories', () => {
  it('cover every workflow type and are at least one each', () => {
    const types = new Set(histories.map(({ name }) => name.split('-')[1]?.replace('.json', '') ?? name));
    expect(types).toEqual(
      new Set([
        'backtest',
        'driftMonitoring',
        'ingestion',
        'jobQueue',
        'maintenanceRun',
        'manualRun',
        'nightlyPipeline',
        'overnightScan',
        'quarantineDecision',
        'sessionOverride',
        'training',
        'weeklyMaintenance',
      ]),
    );
  });

  it.each(histories)('replay with the code of today: $name', ({ history }) => {
    expect(replayed.has(runIdOf(history))).toBe(true);
    expect(replayed.get(runIdOf(history))).toBeUndefined();
  });

  it('are each a run of their own', () => {
    expect(replayed.size).toBe(histories.length);
  });

  it('fail when steps change places', async () => {
    const reordered = swap(code, 'applyRetention', 'vacuumDatabase');
    const maintenance = histories.find(({ name }) => name === 'single-weeklyMaintenance.json');
    if (maintenance === undefined) throw new Error('no history of maintenance');
    const replay = Worker.runReplayHistory(
      { workflowBundle: { code: reordered } },
      maintenance.history,
      maintenance.workflowId,
    );
    await expect(replay).rejects.toThrow(DeterminismViolationError);
  });

  it('fail when a night starts its tasks in another order', async () => {
    const reordered = swap(code, "'planNight'", "'finishNight'").replaceAll('.planNight(', '.finishNight(');
    const night = histories.find(({ name }) => name === 'night-nightlyPipeline.json');
    if (night === undefined) throw new Error('no history of a night');
    const replay = Worker.runReplayHistory(
      { workflowBundle: { code: reordered } },
      night.history,
      night.workflowId,
    );
    await expect(replay).rejects.toThrow(DeterminismViolationError);
  });
});

function swap(text: string, a: string, b: string): string {
  return text.replaceAll(a, '\u0000').replaceAll(b, a).replaceAll('\u0000', b);
}
