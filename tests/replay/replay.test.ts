import { readFile } from 'node:fs/promises';

import { DeterminismViolationError } from '@temporalio/workflow';
import { type InjectedSinks, type ReplayWorkerOptions, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

import type { TracingSinks } from '../../src/contracts/wire/tracing.ts';
import { tracedCode } from '../../src/worker/traced.ts';
import { testTemporal } from '../support/env.ts';
import { type History, quietRuntime } from '../support/rig.ts';
import { readHistories } from './histories.ts';

const histories = await readHistories();
let code = '';
type Outcomes = Map<string, Error | undefined>;
/** What became of each history, by its run id, in a worker without and in one with tracing. */
let untraced: Outcomes;
let traced: Outcomes;
/** Names of the spans that were handed out on the way; only here a replay hands out any. */
const spans = new Set<string>();
beforeAll(async () => {
  quietRuntime();
  code = await readFile(testTemporal().workflowBundlePath, 'utf8');
  untraced = await replayAll({ workflowBundle: { code } });
  const sinks: InjectedSinks<TracingSinks> = {
    tracing: { export: { fn: (_info, { name }) => void spans.add(name), callDuringReplay: true } },
  };
  traced = await replayAll({ workflowBundle: { code: tracedCode(code) }, sinks });
});

async function replayAll(options: ReplayWorkerOptions): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  for await (const { runId, error } of Worker.runReplayHistories(options, histories))
    outcomes.set(runId, error);
  return outcomes;
}

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
        'nightBackfill',
        'nightlyPipeline',
        'overnightScan',
        'quarantineDecision',
        'sessionOverride',
        'training',
        'weeklyMaintenance',
      ]),
    );
  });

  it.each(histories)('replay with the code of today, traced or not: $name', ({ history }) => {
    for (const outcomes of [untraced, traced]) {
      expect(outcomes.has(runIdOf(history))).toBe(true);
      expect(outcomes.get(runIdOf(history))).toBeUndefined();
    }
  });

  it('are traced indeed', () => {
    const kinds = ['RunWorkflow:nightlyPipeline', 'StartChildWorkflow:training', 'StartActivity:runBacktest'];
    expect([...spans]).toEqual(expect.arrayContaining(kinds));
    expect([...spans]).not.toContain('RunWorkflow:jobQueue');
  });

  it('are each a run of their own', () => {
    expect(untraced.size).toBe(histories.length);
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
