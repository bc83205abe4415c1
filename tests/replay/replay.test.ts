import { readFile } from 'node:fs/promises';

import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

import { testTemporal } from '../support/env.ts';
import { quietRuntime } from '../support/rig.ts';
import { readHistories } from './histories.ts';

const histories = await readHistories();
let code = '';
beforeAll(async () => {
  quietRuntime();
  code = await readFile(testTemporal().workflowBundlePath, 'utf8');
});

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

  it.each(histories)('replay with the code of today: $name', async ({ history, workflowId }) => {
    await Worker.runReplayHistory({ workflowBundle: { code } }, history, workflowId);
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
