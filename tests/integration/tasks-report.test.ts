import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { beginAttempt, finishAttempt } from '../../src/db/queries/attempts.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import {
  insertPredictions,
  insertSignals,
  type PredictionRow,
  PROBABILITY_NAMES,
} from '../../src/db/queries/predictions.ts';
import { readNightReport } from '../../src/db/queries/report.ts';
import { insertTaskRuns, transitionTaskRuns } from '../../src/db/queries/task-runs.ts';
import { readDatabaseBytes } from '../../src/db/queries/report-sizes.ts';
import { insertShapRows } from '../../src/db/queries/training.ts';
import { insertUniverseList } from '../../src/db/queries/universes.ts';
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
          ...common,
          symbol: 'CVX',
          rank: 2,
          side: 'hold',
          probability: 0.5,
          reasonCode: 'inside_quantiles',
          reasonWords: 'hold: rank 2 of 3 is outside the top and bottom 1',
          reasons: [],
        },
        {
          // As a version with the label `direction` leaves it.
          ...common,
          symbol: 'KO',
          rank: 3,
          side: 'sell',
          probability: 0.47,
          reasonCode: 'sell',
          reasonWords: 'sell, rank 3 of 3',
          reasons: [],
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

/** Training fails once and then ends well, each attempt with a run of its own. */
async function runTraining(): Promise<void> {
  const { sql } = rig.db('pipeline');
  for (const attempt of [1, 2]) {
    const fence = {
      taskRunId: 'run/training',
      workflowId: 'training/2018-02-07/tiny',
      runId: `training-${attempt}`,
      attempt,
    };
    await beginAttempt(sql, fence);
    const failure = {
      type: 'FitFailed',
      message: 'catboost did not converge',
      activity: 'fitFold',
      attempt: 1,
      nonRetryable: false,
    };
    await finishAttempt(
      sql,
      attempt === 1
        ? { fence, end: 'failed', failure, result: null }
        : {
            fence,
            end: 'succeeded',
            failure: null,
            result: {
              modelVersion: set.modelVersion,
              shapFile: 'shap/shap_run_run_training.json',
              models: ['lightgbm', 'meta'].map((name) => ({
                name,
                version: set.modelVersion,
                verdict: 'no_edge',
                verdictInWords: 'No edge.',
                metrics: {},
                baselines: {},
              })),
            },
          },
    );
  }
  const ranking = Array.from({ length: 20 }, (_, index) => ({
    rank: index + 1,
    feature: `feature${index}`,
    meanAbsShap: 0.2 - index / 100,
    share: 0.1 - index / 200,
  }));
  await sql.begin((tx) =>
    insertShapRows(tx, [
      {
        taskRunId: 'run/training',
        version: set.modelVersion,
        model: 'lightgbm',
        shapHash: 'a'.repeat(64),
        space: 'logOdds',
        additive: true,
        additivityMaxError: 0,
        top10: [],
        top20: ranking,
      },
    ]),
  );
}

describe('run report', () => {
  it('is null for a night nobody knows', async () => {
    expect(await readNightReport(rig.db('api').sql, { workflowId: 'x', runId: 'y' })).toBeNull();
  });

  it('tells an open night and an ended one as the published schema says', async () => {
    await planNight();
    const { sql } = rig.db('api');
    const databaseBytes = await readDatabaseBytes(sql);
    expect(databaseBytes).toBeGreaterThan(1_000_000);
    const sizes = {
      databaseBytes,
      artifactBytes: null,
      temporalBytes: null,
      logBytes: 0,
      totalBytes: databaseBytes,
      freeBytes: 1,
    };
    const open = await readNightReport(sql, night);
    expect(open).toMatchObject({
      status: 'running',
      completedAt: null,
      durationMs: null,
      signals: [],
      drift: null,
    });

    await storeSignals();
    await runTraining();
    await transitionTaskRuns(rig.db('pipeline').sql, [
      { taskRunId: 'run/ingestion', state: 'succeeded', result: { coverage: { rows: 2400 } } },
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
      urlOfRun: ({ workflowId, runId }) => `http://127.0.0.1/${workflowId}/${runId}`,
      urlOfArtifact: (name) => `s3://bucket/${name}`,
      sizes,
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
      models: [
        {
          name: 'lightgbm',
          topFeatures: [
            { feature: 'feature0', share: 0.1 },
            { feature: 'feature1', share: 0.095 },
            { feature: 'feature2' },
            { feature: 'feature3' },
            { feature: 'feature4' },
          ],
        },
        { name: 'meta', version: set.modelVersion },
      ],
      backtest: null,
      sizes,
      signals: [
        {
          symbol: 'AAPL',
          signal: 'buy',
          reading: 'outperform',
          rank: 1,
          reasons: [{ feature: 'return5', contribution: 0.02 }],
        },
        { symbol: 'CVX', signal: 'hold', reading: 'hold', rank: 2 },
        { symbol: 'KO', signal: 'sell', reading: 'sell', rank: 3 },
        {
          symbol: 'GE',
          signal: 'not_scored',
          reading: 'not_scored',
          rank: null,
          reason: expect.stringMatching(/doubtful/),
        },
      ],
    });
    await insertUniverseList(rig.db('pipeline').sql, {
      universe: set.universe,
      version: set.universeVersion,
      members: ['AAPL'],
      survivorship: 'unbiased',
    });
    expect(await readNightReport(sql, set)).toMatchObject({ survivorship: 'unbiased' });
    expect(report?.urls).toEqual({
      night: 'http://127.0.0.1/ui',
      training: 'http://127.0.0.1/training/2018-02-07/tiny/training-2',
      shap: 's3://bucket/shap/shap_run_run_training.json',
    });
    expect(report?.tasks[1]).toMatchObject({ task: 'training', attempts: 2, reason: null });
    expect(report?.tasks[1]?.history).toMatchObject([
      { attempt: 1, status: 'failed', reason: 'catboost did not converge' },
      { attempt: 2, status: 'succeeded', reason: null },
    ]);
    const schema = JSON.parse(
      readFileSync(join(projectRoot, 'contract', 'run-report.schema.json'), 'utf8'),
    ) as object;
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).toBe(true);
  });
});
