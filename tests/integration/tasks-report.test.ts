import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import {
  insertPredictions,
  insertSignals,
  type PredictionRow,
  PROBABILITY_NAMES,
} from '../../src/db/queries/predictions.ts';
import { readNightReport } from '../../src/db/queries/report.ts';
import { insertTaskRuns, transitionTaskRuns } from '../../src/db/queries/task-runs.ts';
import { TaskRig } from '../support/task-rig.ts';

const night = { workflowId: 'nightly/2018-02-07/tiny', runId: 'run-1' };
const set = {
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'v1',
  modelVersion: 'tiny-20180207-0123456789ab',
};
let rig: TaskRig;

beforeAll(async () => {
  rig = await TaskRig.start();
});
afterAll(async () => {
  await rig.stop();
});

async function planNight(): Promise<void> {
  const { sql } = rig.db('pipeline');
  await claimNight(sql, {
    ...night,
    sessionDate: set.sessionDate,
    universe: set.universe,
    universeVersion: set.universeVersion,
    trigger: 'manual',
    configHash: rig.configHash,
    requestedBy: null,
    nominalInstant: null,
    plan: null,
  });
  await insertTaskRuns(
    sql,
    (['backtest', 'overnightScan', 'training', 'ingestion', 'driftMonitoring'] as const).map((task) => ({
      taskRunId: `run/${task}`,
      nightWorkflowId: night.workflowId,
      nightRunId: night.runId,
      starterWorkflowId: night.workflowId,
      starterRunId: night.runId,
      task,
      sessionDate: set.sessionDate,
      universe: set.universe,
      universeVersion: set.universeVersion,
      state: 'pending',
      reason: null,
      trigger: 'manual',
      forced: false,
      requestedBy: null,
      maxAttempts: 1,
      timeoutMs: 60_000,
      dependsOn: [],
      notBefore: null,
      configHash: rig.configHash,
    })),
  );
}

async function storeSignals(): Promise<void> {
  const probabilities = Object.fromEntries(PROBABILITY_NAMES.map((name) => [name, 0.53]));
  const header = { ...set, featureSetVersion: 'f1', taskRunId: 'run/overnightScan' };
  await rig.db('pipeline').sql.begin(async (tx) => {
    await insertPredictions(tx, {
      header: { ...header, datasetHash: 'd1', labelKind: 'excess', horizonSessions: 1, simulated: true },
      revision: 1,
      rows: [{ symbol: 'AAPL', probabilities, metaLogit: 0.1, baseRate: 0.5 } as PredictionRow],
    });
    const common = { baseRate: 0.5, confidence: 0.9 };
    await insertSignals(tx, {
      header: { ...header, dataCutoff: '2018-02-07T23:00:00.000Z' },
      revision: 1,
      rows: [
        {
          ...common,
          symbol: 'AAPL',
          rank: 1,
          side: 'buy',
          probability: 0.53,
          reasonCode: 'outperform',
          reasonWords: 'outperform, rank 1 of 1',
          reasons: [{ feature: 'return5', value: null, contribution: 0.02 }],
        },
        {
          symbol: 'GE',
          rank: null,
          side: 'not_scored',
          probability: null,
          baseRate: null,
          confidence: null,
          reasonCode: 'not_scored',
          reasonWords: 'not scored: the bar of 2018-02-07 is doubtful',
          reasons: [],
        },
      ],
    });
  });
}

describe('run report', () => {
  it('is null for a night nobody knows', async () => {
    expect(await readNightReport(rig.db('api').sql, { workflowId: 'x', runId: 'y' })).toBeNull();
  });

  it('tells an open night and an ended one as the published schema says', async () => {
    await planNight();
    const { sql } = rig.db('api');
    const open = await readNightReport(sql, night);
    expect(open).toMatchObject({
      status: 'running',
      completedAt: null,
      durationMs: null,
      signals: [],
      drift: null,
    });

    await storeSignals();
    await transitionTaskRuns(rig.db('pipeline').sql, [
      { taskRunId: 'run/ingestion', state: 'succeeded', result: { coverage: { rows: 2400 } } },
      {
        taskRunId: 'run/training',
        state: 'succeeded',
        result: {
          models: [
            {
              name: 'meta',
              version: set.modelVersion,
              verdict: 'no_edge',
              verdictInWords: 'No edge.',
              metrics: {},
              baselines: {},
            },
          ],
        },
      },
      {
        taskRunId: 'run/overnightScan',
        state: 'succeeded',
        result: { modelVersion: set.modelVersion, revision: 1 },
      },
      { taskRunId: 'run/backtest', state: 'failed', reason: 'review expired' },
      { taskRunId: 'run/driftMonitoring', state: 'skipped', reason: 'backtest did not succeed' },
    ]);
    await setNightState(rig.db('pipeline').sql, { ...night, state: 'partial', reason: 'backtest failed' });
    const report = await readNightReport(sql, {
      sessionDate: set.sessionDate,
      universe: set.universe,
      urls: { night: 'http://127.0.0.1/ui' },
    });
    expect(report?.tasks.map(({ task, status }) => `${task} ${status}`)).toEqual([
      'ingestion succeeded',
      'training succeeded',
      'overnightScan succeeded',
      'backtest failed',
      'driftMonitoring skipped',
    ]);
    expect(report).toMatchObject({
      ...night,
      status: 'partial',
      survivorship: 'biased',
      coverage: { rows: 2400 },
      models: [{ name: 'meta', version: set.modelVersion }],
      signals: [
        { symbol: 'AAPL', signal: 'buy', rank: 1, reasons: [{ feature: 'return5', contribution: 0.02 }] },
        { symbol: 'GE', signal: 'not_scored', rank: null, reason: expect.stringMatching(/doubtful/) },
      ],
      urls: { night: 'http://127.0.0.1/ui' },
    });
    const schema = JSON.parse(
      readFileSync(join(projectRoot, 'contract', 'run-report.schema.json'), 'utf8'),
    ) as object;
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).toBe(true);
  });
});
