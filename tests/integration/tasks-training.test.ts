import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTrainingActivities } from '../../src/activities/training/activities.ts';
import type { TaskResult } from '../../src/contracts/activities.ts';
import { estimateSchema, reportModelSchema } from '../../src/contracts/schemas/report.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { readTableFingerprints } from '../../src/db/queries/fingerprint.ts';
import { findCurrentVersion, findModelVersion } from '../../src/db/queries/training.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { TaskNight } from '../support/task-night.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';
import { QUICK_SETTINGS } from '../support/task-settings.ts';

const FIRST = '2018-01-29';
const SECOND = '2018-01-30';

let rig: TaskRig;
let ml: MlBridge;
let night: TaskNight;
let universeVersion: string;
let trained: TaskResult;

beforeAll(async () => {
  rig = await TaskRig.start({ settings: QUICK_SETTINGS });
  ml = startMlBridge(rig.artifacts.url);
  night = new TaskNight(rig, ml);
  universeVersion = await night.ingest(FIRST);
  trained = await night.train(FIRST, universeVersion);
}, 600_000);
afterAll(async () => {
  await ml.stop();
  await rig.stop();
});

const explainedRows = (result: TaskResult) =>
  (result['models'] as unknown[]).map((model) => reportModelSchema.parse(model).explainedRows);
const rowsOf = async (of = rig) => await readTableFingerprints(of.db('owner').sql);

describe('training of a night', () => {
  it('registers the version with everything needed to make it again', async () => {
    const version = await findModelVersion(rig.db('api').sql, String(trained['modelVersion']));
    expect(trained).toMatchObject({
      accepted: true,
      foldsFitted: 16,
      foldsReused: 0,
      survivorship: 'biased',
    });
    expect(version).toMatchObject({
      sessionDate: FIRST,
      universeVersion,
      datasetHash: trained['datasetHash'],
      seed: rig.config.model.seed,
      threads: 2,
      state: 'accepted',
      survivorship: 'biased',
    });
    expect(new Set(Object.keys(version?.models ?? {}))).toEqual(new Set(MODELS));
    expect(version?.libraryVersions).toHaveProperty('lightgbm');
    for (const hash of [
      ...Object.values(version?.models ?? {}),
      version?.metaHash ?? '',
      version?.oofHash ?? '',
    ]) {
      expect(await rig.artifacts.has(hash)).toBe(true);
    }
  });

  it('shows eight models and the stack beside their baselines, with intervals and a verdict in words', () => {
    const models = (trained['models'] as unknown[]).map((model) => reportModelSchema.parse(model));
    expect(models.map(({ name }) => name)).toEqual([...MODELS, 'meta']);
    for (const model of models.slice(0, -1)) {
      const { value, low, high } = estimateSchema.parse(model.metrics['logLoss']);
      expect(value).toBeGreaterThan(0.6);
      expect(value).toBeLessThan(1);
      expect((low ?? 0) < (value ?? 0) && (value ?? 0) < (high ?? 0)).toBe(true);
      expect(Object.keys(model.baselines)).toEqual([
        'baseRate',
        'majorityClass',
        'yesterdaySign',
        'meanLogit',
      ]);
      expect(model.verdict).toBe('no_edge');
      expect(model.verdictInWords).toMatch(/^No edge, because /);
    }
    expect(JSON.stringify(trained)).not.toMatch(/NaN|Infinity/);
  });

  it('keeps metrics with and without doubtful bars, and the explanations of all eight in one file', async () => {
    const { sql } = rig.db('api');
    const [counts] = await sql<{ metrics: number; withFlagged: number; shap: number; fits: number }[]>`
      select (select count(*) from turbomode.model_metrics) as metrics,
        (select count(*) from turbomode.model_metrics where metric like 'withFlagged.%') as with_flagged,
        (select count(*) from turbomode.shap_runs) as shap,
        (select count(*) from turbomode.fold_fits) as fits`;
    const [beside] = await sql<{ baseline: Record<string, number> }[]>`
      select baseline from turbomode.model_metrics where model = 'lightgbm' and metric = 'logLoss'`;
    expect(Object.keys(beside?.baseline ?? {}).sort()).toEqual([
      'baseRate',
      'majorityClass',
      'meanLogit',
      'yesterdaySign',
    ]);
    expect(counts?.withFlagged).toBe((counts?.metrics ?? 0) / 2);
    expect(counts).toMatchObject({ shap: 8, fits: 24 });
    const bytes = await rig.artifacts.getNamed(String(trained['shapFile']));
    const run = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())) as {
      models: { model: string; top10: unknown[]; top20: unknown[]; rows: unknown[] }[];
    };
    expect(run.models.map(({ model }) => model)).toEqual([...MODELS]);
    for (const { top10, top20, rows } of run.models) {
      expect([top10.length, top20.length, rows.length]).toEqual([10, 20, 100]);
    }
    expect(explainedRows(trained)).toEqual([...MODELS.map(() => 100), null]);
  });

  it('stores the feature values of S, one row per member', async () => {
    const [row] = await rig.db('api').sql<{ symbols: number; features: number }[]>`
      select count(*) as symbols, min(cardinality("values")) as features from turbomode.session_features
      where session_date = ${FIRST}`;
    expect(row).toEqual({ symbols: 8, features: trained['features'] });
  });

  it('run again, finds dataset and fits, gives the same version and changes no row', async () => {
    const before = await rowsOf();
    const again = await night.train(FIRST, universeVersion);
    expect(await rowsOf()).toEqual(before);
    expect(again).toMatchObject({
      modelVersion: trained['modelVersion'],
      datasetReused: true,
      foldsFitted: 0,
      foldsReused: 16,
      finalsFitted: 0,
      models: trained['models'],
    });
  });

  it('builds the dataset again where its artifact is gone, with the same hash', async () => {
    const [row] = await rig.db('api').sql<{ parquetHash: string }[]>`
      select parquet_hash from turbomode.datasets where dataset_hash = ${String(trained['datasetHash'])}`;
    const hash = row?.parquetHash ?? '';
    await rig.artifacts.delete(`objects/${hash.slice(0, 2)}/${hash}`);
    const step = await rig.begin({ task: 'training', sessionDate: FIRST, universeVersion });
    const { result, heartbeats } = await runActivity(createTrainingActivities(rig.deps()), 'planFits', step);
    expect(result.dataset).toMatchObject({ datasetHash: trained['datasetHash'], reused: false });
    expect(await rig.artifacts.has(hash)).toBe(true);
    expect(heartbeats).toContainEqual({ phase: 'features', done: 8, total: expect.any(Number) });
    await rig.finish(step);
  });

  it('writes nothing for an attempt that is no longer the current one', async () => {
    const late = await rig.begin({ task: 'training', sessionDate: FIRST, universeVersion });
    const given = await night.trained(late);
    const newer = await rig.begin({
      task: 'training',
      sessionDate: FIRST,
      universeVersion,
      taskRunId: late.taskRunId,
      attempt: 2,
    });
    const before = await rowsOf();
    const training = createTrainingActivities(rig.deps());
    await expect(runActivity(training, 'registerTraining', given)).rejects.toMatchObject({
      type: 'SupersededAttempt',
      nonRetryable: true,
    });
    await expect(runActivity(training, 'planFits', late)).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
    expect(await rowsOf()).toEqual(before);
    await rig.finish(newer);
  });

  it('says in words when the universe was never ingested', async () => {
    const step = await rig.begin({ task: 'training', sessionDate: FIRST, universeVersion: 'unknown' });
    const training = createTrainingActivities(rig.deps());
    await expect(runActivity(training, 'planFits', step)).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringMatching(/run ingestion first/),
    });
    await rig.finish(step);
  });
});

describe('a second night', () => {
  it('refits only final models, and a version that the gate refuses leaves the old one current', async () => {
    await night.ingest(SECOND);
    const step = await rig.begin({ task: 'training', sessionDate: SECOND, universeVersion });
    const given = await night.trained(step);
    const explanations = given.explanations.map((one) =>
      one.model === 'mlp'
        ? { ...one, explanation: { ...one.explanation, additive: false, additivityMaxError: 0.5 } }
        : one,
    );
    const finals = given.finals.map((one) =>
      one.model === 'catboost' ? { ...one, fit: { ...one.fit, finite: false } } : one,
    );
    const { result } = await runActivity(createTrainingActivities(rig.deps()), 'registerTraining', {
      ...given,
      explanations,
      finals,
    });
    expect(result).toMatchObject({ accepted: false, comparedWith: trained['modelVersion'] });
    expect(result['gateReason']).toMatch(
      /refused: not finite: catboost \(final model\); explanations do not add up.*mlp/,
    );
    const current = await findCurrentVersion(rig.db('api').sql, { universe: 'tiny', sessionDate: SECOND });
    expect(current?.version).toBe(trained['modelVersion']);
    await rig.finish(step);
  });
});

describe('survivorship', () => {
  it('is stored with the version and each of its metrics, as its universe has it', async () => {
    const { sql } = rig.db('owner');
    await sql`update market.universes set survivorship = 'unbiased'`;
    const result = await night.train('2018-01-09', universeVersion);
    await sql`update market.universes set survivorship = 'biased'`;
    expect(result).toMatchObject({ survivorship: 'unbiased' });
    for (const table of ['model_versions', 'model_metrics']) {
      const rows = await sql.unsafe<{ version: string; survivorship: string }[]>(
        `select distinct version, survivorship from turbomode.${table}`,
      );
      expect(rows).toContainEqual({ version: result['modelVersion'], survivorship: 'unbiased' });
      expect(rows).toContainEqual({ version: trained['modelVersion'], survivorship: 'biased' });
      expect(rows.filter(({ survivorship }) => survivorship === 'unbiased')).toHaveLength(1);
    }
  });
});

describe('the first days of a quarter', () => {
  it('explains on the few rows that the newest block has, and says how many', async () => {
    const result = await night.train('2018-01-08', universeVersion);
    // Five sessions of eight symbols since the second of January.
    expect(explainedRows(result)).toEqual([...MODELS.map(() => 40), null]);
  });
});
