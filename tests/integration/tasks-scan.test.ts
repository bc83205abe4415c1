import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScanActivities } from '../../src/activities/scan/activities.ts';
import { readParquet, writeParquet } from '../../src/artifacts/parquet.ts';
import type { ScanActivities, ScanPlan, TaskStep } from '../../src/contracts/activities.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { readTableFingerprints } from '../../src/db/queries/fingerprint.ts';
import { readSymbolSignal, type StoredSignal } from '../../src/db/queries/predictions.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { TaskNight } from '../support/task-night.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';
import { QUICK_SETTINGS } from '../support/task-settings.ts';

const SESSION = '2018-01-29';

let rig: TaskRig;
let ml: MlBridge;
let night: TaskNight;
let universeVersion: string;
let scan: ScanActivities;

beforeAll(async () => {
  rig = await TaskRig.start({ settings: QUICK_SETTINGS });
  ml = startMlBridge(rig.artifacts.url);
  night = new TaskNight(rig, ml);
  universeVersion = await night.ingest(SESSION);
  scan = createScanActivities(rig.deps());
}, 600_000);
afterAll(async () => {
  await ml.stop();
  await rig.stop();
});

const rowsOf = async () => await readTableFingerprints(rig.db('owner').sql);
const begin = async () => await rig.begin({ task: 'overnightScan', sessionDate: SESSION, universeVersion });

async function planAndScore(step: TaskStep): Promise<{ plan: ScanPlan; predictionsHash: string }> {
  const { result: plan } = await runActivity(scan, 'planScan', step);
  const { models, metaHash, dataset } = plan;
  const { predictionsHash } = await ml.score({ datasetHash: dataset.datasetHash, models, metaHash });
  return { plan, predictionsHash };
}

/** The same scores with the stack's probabilities spread around the base rate. */
async function spread(predictionsHash: string): Promise<string> {
  const { columns } = await readParquet(await rig.artifacts.get(predictionsHash));
  const changed = [...columns].map(([name, values]) => ({
    name,
    values: name === 'p_meta' ? new Float64Array(values.length).map((_, row) => 0.4 + row * 0.025) : values,
  }));
  return (await rig.artifacts.put(await writeParquet(changed))).hash;
}

describe('overnight scan', () => {
  it('says what is missing before there is an accepted version', async () => {
    const step = await begin();
    await expect(runActivity(scan, 'planScan', step)).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringMatching(/no accepted model version of tiny.*through 2018-01-29/),
    });
    await rig.finish(step);
  });

  it('writes predictions of all eight and the stack, ranked, each held symbol with its reason', async () => {
    const trained = await night.train(SESSION, universeVersion);
    const result = await night.scan(SESSION, universeVersion);
    expect(result).toMatchObject({
      modelVersion: trained['modelVersion'],
      revision: 1,
      written: true,
      scored: 8,
      issued: 0,
      verdict: 'no_edge',
      entrySession: '2018-01-30',
      dataCutoff: '2018-01-29T23:00:00.000Z',
      simulated: true,
    });
    const { sql } = rig.db('api');
    const predictions = await sql<Record<string, unknown>[]>`select * from turbomode.predictions`;
    expect(predictions).toHaveLength(8);
    for (const row of predictions) {
      for (const model of MODELS)
        expect(row[`p${model[0]?.toUpperCase()}${model.slice(1)}`]).toEqual(expect.any(Number));
      expect(row).toMatchObject({ simulated: true, datasetHash: trained['datasetHash'], horizonSessions: 1 });
    }
    const signals = await sql<StoredSignal[]>`select * from turbomode.signals order by rank`;
    expect(signals.map(({ rank }) => rank)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const signal of signals) {
      expect(signal).toMatchObject({
        side: 'hold',
        reasonCode: 'no_edge',
        modelVersion: trained['modelVersion'],
      });
      expect(signal.reasonWords).toMatch(/hold: the model shows no edge/);
    }
  });

  it('run again, changes no row', async () => {
    const before = await rowsOf();
    const again = await night.scan(SESSION, universeVersion);
    expect(again).toMatchObject({ revision: 1, written: false });
    expect(await rowsOf()).toEqual(before);
  });

  it('is refused by the database itself when it tries to overwrite, whoever asks', async () => {
    for (const role of ['pipeline', 'maintenance', 'owner'] as const) {
      const { sql } = rig.db(role);
      await expect(sql`update turbomode.predictions set p_meta = 0.9`).rejects.toMatchObject({
        code: '42501',
      });
      await expect(sql`update turbomode.signals set side = 'buy'`).rejects.toMatchObject({ code: '42501' });
    }
    await expect(rig.db('pipeline').sql`delete from turbomode.predictions`).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('puts changed predictions beside the old ones as the next revision', async () => {
    const step = await begin();
    const { plan, predictionsHash } = await planAndScore(step);
    const { sql } = rig.db('api');
    const stored = async (revision: number) =>
      await sql`select * from turbomode.predictions where revision = ${revision} order by symbol`;
    const before = await stored(1);
    const { result } = await runActivity(scan, 'writeSignals', {
      ...step,
      plan,
      predictionsHash: await spread(predictionsHash),
      reasonsHash: null,
    });
    expect(result).toMatchObject({ revision: 2, written: true });
    expect(await stored(1)).toEqual(before);
    expect(await stored(2)).toHaveLength(8);
    await rig.finish(step);
  });

  it('gives each issued signal the reasons of the whole stack, and only those', async () => {
    const step = await begin();
    const { plan, predictionsHash } = await planAndScore(step);
    const changed = await spread(predictionsHash);
    // No honest model has an edge on eight symbols: the verdict is set by hand to see what it would do.
    await rig.db('owner').sql`update turbomode.model_versions
      set verdicts = jsonb_set(verdicts, '{meta,verdict}', '"edge"') where version = ${plan.modelVersion}`;
    const { result: chosen } = await runActivity(scan, 'selectSignals', {
      ...step,
      plan,
      predictionsHash: changed,
    });
    expect(chosen.symbolIndexes).toEqual([0, 7]);
    const { models, metaHash, seed, dataset } = plan;
    const { reasonsHash } = await ml.explainSignals({
      datasetHash: dataset.datasetHash,
      models,
      metaHash,
      symbolIndexes: chosen.symbolIndexes,
      seed,
    });
    const given = { ...step, plan, predictionsHash: changed };
    const document: unknown = JSON.parse(new TextDecoder().decode(await rig.artifacts.get(reasonsHash)));
    const wrong = JSON.stringify({ ...Object(document), additive: false, additivityMaxError: 0.25 });
    const { hash } = await rig.artifacts.put(new TextEncoder().encode(wrong));
    await expect(runActivity(scan, 'writeSignals', { ...given, reasonsHash: hash })).rejects.toMatchObject({
      type: 'DataDefect',
      message: expect.stringMatching(/do not add up to the stack's output: off by 2\.5e-1/),
    });
    const { result } = await runActivity(scan, 'writeSignals', { ...given, reasonsHash });
    expect(result).toMatchObject({ revision: 3, issued: 2, buy: 1, sell: 1, hold: 6 });
    const key = { sessionDate: SESSION, universe: 'tiny' };
    const top = await readSymbolSignal(rig.db('api').sql, { ...key, symbol: 'XOM' });
    expect(top).toMatchObject({ side: 'buy', rank: 1, revision: 3, reasonCode: 'outperform' });
    expect(top?.reasons).toHaveLength(10);
    expect(top?.reasons).toContainEqual({
      feature: expect.any(String),
      value: expect.anything(),
      contribution: expect.any(Number),
    });
    const held = await readSymbolSignal(rig.db('api').sql, { ...key, symbol: 'BAC' });
    expect(held).toMatchObject({ side: 'hold', reasonCode: 'inside_quantiles', reasons: [] });
    await rig.finish(step);
  });

  it('names a member that could not be scored, with the reason', async () => {
    const { sql } = rig.db('owner');
    await sql`insert into market.bar_flags (symbol, session_date, kind, severity, reason, available_session)
      values ('GE', ${SESSION}, 'splitLikeJump', 'doubtful', 'test', ${SESSION})`;
    const result = await night.scan(SESSION, universeVersion);
    expect(result).toMatchObject({ scored: 7, notScored: 1 });
    const signal = await readSymbolSignal(sql, { sessionDate: SESSION, universe: 'tiny', symbol: 'GE' });
    expect(signal).toMatchObject({
      side: 'not_scored',
      rank: null,
      probability: null,
      reasonWords: 'not scored: the bar of 2018-01-29 is doubtful',
    });
  });

  it('writes nothing for an attempt that is no longer the current one', async () => {
    const late = await begin();
    const { plan, predictionsHash } = await planAndScore(late);
    await rig.begin({
      task: 'overnightScan',
      sessionDate: SESSION,
      universeVersion,
      taskRunId: late.taskRunId,
      attempt: 2,
    });
    const before = await rowsOf();
    const given = { ...late, plan, predictionsHash: await spread(predictionsHash), reasonsHash: null };
    await expect(runActivity(scan, 'writeSignals', given)).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
    expect(await rowsOf()).toEqual(before);
  });

  it('written before the entry time, counts as live', async () => {
    rig.now = new Date('2018-01-30T05:00:00Z');
    const step = await begin();
    const { plan, predictionsHash } = await planAndScore(step);
    const { result } = await runActivity(scan, 'writeSignals', {
      ...step,
      plan,
      predictionsHash: await spread(predictionsHash),
      reasonsHash: null,
    });
    expect(result).toMatchObject({ simulated: false, written: true });
    await rig.finish(step);
  });
});
