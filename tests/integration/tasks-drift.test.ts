import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import { writeParquet } from '../../src/artifacts/parquet.ts';
import type { DriftActivities, TaskResult } from '../../src/contracts/activities.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { readDriftLog, findDriftAnchor, findRetrainingFlag } from '../../src/db/queries/drift.ts';
import { insertPredictions, PROBABILITY_NAMES } from '../../src/db/queries/predictions.ts';
import { insertDataset, insertModelVersion, insertPromotion } from '../../src/db/queries/training.ts';
import { manifestBytes } from '../../src/domain/dataset.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';

const SYMBOLS = Array.from({ length: 12 }, (_, i) => `S${String(i).padStart(2, '0')}`);
const HISTORY = 520;
const FEATURES = ['ret1', 'vol21', 'rankRet1', 'weekday'];
/** Sessions from which `ret1` is another distribution. */
const SHIFT_FROM = 499;
const UNIVERSE_VERSION = 'v1';

let rig: TaskRig;
let drift: DriftActivities;
/** Dates of weekdays, as long as the market lives here. */
const dates = Array.from({ length: HISTORY }, (_, i) => {
  const day = Date.UTC(2016, 0, 4) + (Math.floor(i / 5) * 7 + (i % 5)) * 86_400_000;
  return new Date(day).toISOString().slice(0, 10);
});

beforeAll(async () => {
  rig = await TaskRig.start({ settings: { drift: { minComparisonWindows: 10 } } });
  drift = createDriftActivities(rig.deps());
});
afterAll(async () => {
  await rig.stop();
});

function columns(sessions: number): { name: string; values: Float32Array | Float64Array | Int32Array }[] {
  const rows = sessions * SYMBOLS.length;
  const rng = createRng(5);
  const ret1 = new Float32Array(rows);
  const vol21 = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const session = Math.floor(row / SYMBOLS.length);
    ret1[row] = (session >= SHIFT_FROM ? 4 : 1) * rng.normal();
    vol21[row] = rng.uniform() < 0.02 ? Number.NaN : rng.normal();
  }
  const position = (f: (session: number, symbol: number) => number) =>
    Float32Array.from({ length: rows }, (_, row) =>
      f(Math.floor(row / SYMBOLS.length), row % SYMBOLS.length),
    );
  return [
    { name: 'ret1', values: ret1 },
    { name: 'vol21', values: vol21 },
    { name: 'rankRet1', values: position((_, symbol) => (symbol + 0.5) / SYMBOLS.length) },
    { name: 'weekday', values: position((session) => (session % 5) + 1) },
  ];
}

/** The dataset of a session as training leaves it: the same market, cut at that session. */
async function storeDataset(last: number): Promise<string> {
  const sessions = last + 1;
  const parquet = await rig.artifacts.put(await writeParquet(columns(sessions)));
  const manifest = {
    schemaVersion: 1 as const,
    sessionDate: dates[last] ?? '',
    universe: 'tiny',
    universeVersion: UNIVERSE_VERSION,
    featureSetVersion: featureSetVersion(),
    labelKind: 'excess' as const,
    horizonSessions: 1,
    embargoSessions: 5,
    sessions: dates.slice(0, sessions),
    symbols: SYMBOLS,
    features: FEATURES,
    rows: sessions * SYMBOLS.length,
    rowStartBySession: Array.from({ length: sessions + 1 }, (_, s) => s * SYMBOLS.length),
    blocks: [],
    finalTrain: { firstSessionIndex: 0, lastSessionIndex: last - 1 },
    scoreSessionIndex: last,
  };
  const { hash } = await rig.artifacts.put(manifestBytes(manifest, parquet.hash));
  await rig.db('pipeline').sql.begin((tx) =>
    insertDataset(tx, {
      ...manifest,
      datasetHash: hash,
      parquetHash: parquet.hash,
      symbols: SYMBOLS.length,
      sessions,
      inputHash: `input ${String(last)}`,
      manifest: { ...manifest, parquetHash: parquet.hash },
      coverage: {},
    }),
  );
  return hash;
}

async function night(last: number): Promise<TaskResult> {
  const step = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[last] ?? '' });
  const { result, heartbeats } = await runActivity(drift, 'runDrift', step);
  expect(heartbeats.length).toBeGreaterThan(0);
  await rig.finish(step, result);
  return result;
}

/** Row versions: a row that was written again, even equal, makes another print. */
async function fingerprint(): Promise<Record<string, string>> {
  const prints: Record<string, string> = {};
  for (const table of ['drift_log', 'drift_baselines', 'drift_anchors', 'retraining_flags']) {
    const [row] = await rig.db('owner').sql.unsafe<{ print: string }[]>(
      `select count(*) || ':' || coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') as print
         from turbomode.${table} t`,
    );
    prints[table] = row?.print ?? '';
  }
  return prints;
}

const logOf = (last: number) =>
  readDriftLog(rig.db('pipeline').sql, { sessionDate: dates[last] ?? '', universe: 'tiny' });
const anchorOf = (last: number) =>
  findDriftAnchor(rig.db('pipeline').sql, {
    universe: 'tiny',
    universeVersion: UNIVERSE_VERSION,
    featureSetVersion: featureSetVersion(),
    sessionDate: dates[last] ?? '',
  });

describe('runDrift', () => {
  it('says which dataset is missing, and may be tried again', async () => {
    const step = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[400] ?? '' });
    await expect(runActivity(drift, 'runDrift', step)).rejects.toMatchObject({
      type: 'ArtifactMissing',
      nonRetryable: false,
    });
  });

  it('a quiet night: every series logged raw, none alarms, the first anchor is set', async () => {
    await storeDataset(450);
    const result = await night(450);
    expect(result).toMatchObject({
      status: 'ok',
      features: 4,
      stable: 2,
      alarms: 0,
      notMonitored: 2,
      notEnoughData: PROBABILITY_NAMES.length,
      retrainingFlag: false,
      reasons: [],
      baselineSessions: 430,
      anchoredBaseline: { first: dates[0], last: dates[429], setTonight: true },
      issuedSessions: 0,
      undecided: [
        {
          why: '0 of 20 sessions issued; 0 of 10 past windows in 0 sessions of baseline (110 are needed)',
          series: PROBABILITY_NAMES.map((name) => `prediction:${name}`),
        },
      ],
    });
    const log = await logOf(450);
    expect(log.filter(({ baselineKind }) => baselineKind === 'rolling')).toHaveLength(
      FEATURES.length + PROBABILITY_NAMES.length,
    );
    for (const feature of FEATURES) {
      const row = log.find((one) => one.feature === feature && one.baselineKind === 'rolling');
      expect([feature, row?.currentRows]).toEqual([feature, 20 * SYMBOLS.length]);
      for (const name of ['psi', 'klCurrentGivenBaseline', 'ksStatistic', 'ksPValue'] as const) {
        expect([feature, name, typeof row?.[name]]).toEqual([feature, name, 'number']);
      }
    }
    expect(log.find(({ feature }) => feature === 'rankRet1')?.details).toMatchObject({
      words: expect.stringMatching(/before ranking, ret1/) as string,
    });
    expect(await anchorOf(450)).toMatchObject({ kind: 'first_night', effectiveFromSession: dates[450] });
  });

  it('the same night again changes no row', async () => {
    const before = await fingerprint();
    const result = await night(450);
    expect(await fingerprint()).toEqual(before);
    expect(result).toMatchObject({ status: 'ok', anchoredBaseline: { setTonight: false } });
  });

  it('a shift alarms after two nights, against both baselines, and leaves one flag a month', async () => {
    await storeDataset(510);
    const result = await night(510);
    expect(result).toMatchObject({ status: 'alarm', alarms: 1, stable: 1, retrainingFlag: true });
    expect(result['largest']).toMatchObject([
      { feature: 'ret1', status: 'alarm', percentile: 1 },
      { feature: 'vol21', status: 'stable' },
    ]);
    const flag = await findRetrainingFlag(rig.db('pipeline').sql, {
      sessionDate: dates[510] ?? '',
      universe: 'tiny',
    });
    expect(flag?.reasons).toMatchObject([
      { series: 'ret1', baseline: 'rolling' },
      { series: 'ret1', baseline: 'anchored' },
    ]);
    const log = await logOf(510);
    expect(log.filter(({ alarm }) => alarm).map(({ baselineKind }) => baselineKind)).toEqual([
      'anchored',
      'rolling',
    ]);
    expect((await anchorOf(510))?.lastSession).toBe(dates[429]);

    await storeDataset(515);
    expect(await night(515)).toMatchObject({
      status: 'alarm',
      retrainingFlag: false,
      suppressedBy: 'cool_down',
    });
  });

  it('a night of the past says what it said, whatever came later', async () => {
    const before = await fingerprint();
    await night(510);
    await night(450);
    expect(await fingerprint()).toEqual(before);
  });

  it('the anchor moves when a person promotes, not with the gate', async () => {
    const { sql } = rig.db('pipeline');
    const datasetHash = await storeDataset(516);
    const oofHash = await storeOof(516);
    const metaHash = await storeStack();
    const version = 'model-1';
    await sql.begin(async (tx) => {
      await insertModelVersion(tx, {
        version,
        sessionDate: dates[516] ?? '',
        universe: 'tiny',
        universeVersion: UNIVERSE_VERSION,
        featureSetVersion: featureSetVersion(),
        datasetHash,
        codeHash: 'c'.repeat(64),
        lockHash: 'd'.repeat(64),
        labelKind: 'excess',
        horizonSessions: 1,
        parameters: {},
        seed: 1,
        threads: 2,
        libraryVersions: {},
        platform: 'test',
        models: {},
        metaHash,
        oofHash,
        verdicts: {},
        gate: {},
        accepted: true,
        createdByRun: 'test',
      });
    });
    const promote = (kind: 'gate' | 'promote') =>
      sql.begin((tx) =>
        insertPromotion(tx, {
          universe: 'tiny',
          version,
          effectiveFromSession: dates[516] ?? '',
          kind,
          decidedBy: kind === 'gate' ? 'gate' : 'ann',
          why: 'test',
        }),
      );
    await promote('gate');
    expect(await night(516)).toMatchObject({ modelVersion: version, anchoredBaseline: { last: dates[429] } });
    await promote('promote');
    expect(await night(516)).toMatchObject({ anchoredBaseline: { last: dates[495], setTonight: true } });
    expect(await anchorOf(516)).toMatchObject({ kind: 'promotion', decidedBy: 'ann' });
  });

  it('the first nights say how many sessions were issued, and how many are needed', async () => {
    await issue(514, 516, { modelVersion: 'model-1', shift: 0.2 });
    const result = await night(516);
    expect(result).toMatchObject({
      issuedSessions: 3,
      notEnoughData: PROBABILITY_NAMES.length,
      undecided: [
        {
          why: '3 of 20 sessions issued',
          series: PROBABILITY_NAMES.map((name) => `prediction:${name}`),
        },
      ],
    });
    const words = (await logOf(516)).find(({ feature }) => feature === 'prediction:meta')?.details;
    expect(words).toMatchObject({ words: 'not enough data: 3 of 20 sessions issued' });
  });

  it('compares predictions as first issued with out-of-fold ones', async () => {
    await issue(490, 513, { modelVersion: 'model-1', shift: 0.2 });
    const before = await night(516);
    expect(before).toMatchObject({ issuedSessions: 21, status: 'alarm', notEnoughData: 0 });
    expect(before['alarms']).toBe(1 + PROBABILITY_NAMES.length);
    // Made again later by another version: not what was issued.
    await issue(510, 516, { modelVersion: 'model-2', shift: 0 });
    const prints = await fingerprint();
    await night(516);
    expect(await fingerprint()).toEqual(prints);
  });

  it('an attempt that is no longer current writes nothing', async () => {
    const late = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[450] ?? '' });
    await rig.begin({ task: 'driftMonitoring', taskRunId: late.taskRunId, attempt: 2 });
    const before = await fingerprint();
    await expect(runActivity(drift, 'runDrift', late)).rejects.toMatchObject({ type: 'SupersededAttempt' });
    expect(await fingerprint()).toEqual(before);
  });
});

/** Out-of-fold predictions of the sessions from 100 on, as `fitMeta` writes them. */
async function storeOof(last: number): Promise<string> {
  const rows = (last - 100) * SYMBOLS.length;
  const rng = createRng(11);
  const constant = (value: number) => new Float64Array(rows).fill(value);
  const { hash } = await rig.artifacts.put(
    await writeParquet([
      {
        name: 'sessionIndex',
        values: Int32Array.from({ length: rows }, (_, row) => 100 + Math.floor(row / SYMBOLS.length)),
      },
      { name: 'symbolIndex', values: Int32Array.from({ length: rows }, (_, row) => row % SYMBOLS.length) },
      { name: 'blockIndex', values: new Int32Array(rows) },
      ...['target', 'forwardReturn', 'excessReturn', 'baseRate', 'majorityClass', 'yesterdaySign'].map(
        (name) => ({ name, values: constant(0.5) }),
      ),
      ...PROBABILITY_NAMES.map((name) => ({
        name: `p_${name}`,
        values: constant(0).map(() => 0.5 + 0.05 * rng.normal()),
      })),
      { name: 'metaLogit', values: constant(0) },
    ]),
  );
  return hash;
}

/** A stack as `fitMeta` stores it: the mean of the base models' log-odds. */
async function storeStack(): Promise<string> {
  const stack = {
    coefficients: Object.fromEntries(MODELS.map((model) => [model, 1 / MODELS.length])),
    intercept: 0,
    calibrator: { a: 1, b: 0 },
    usable: true,
    reason: null,
  };
  return (await rig.artifacts.put(new TextEncoder().encode(JSON.stringify(stack)))).hash;
}

async function issue(from: number, to: number, set: { modelVersion: string; shift: number }): Promise<void> {
  const rng = createRng(13);
  for (let session = from; session <= to; session += 1) {
    const rows = SYMBOLS.map((symbol) => ({
      symbol,
      probabilities: Object.fromEntries(
        PROBABILITY_NAMES.map((name) => [name, 0.5 + set.shift + 0.05 * rng.normal()]),
      ) as Record<(typeof PROBABILITY_NAMES)[number], number>,
      metaLogit: 0,
      baseRate: 0.5,
    }));
    await rig.db('pipeline').sql.begin((tx) =>
      insertPredictions(tx, {
        header: {
          sessionDate: dates[session] ?? '',
          universe: 'tiny',
          universeVersion: UNIVERSE_VERSION,
          modelVersion: set.modelVersion,
          datasetHash: 'a'.repeat(64),
          featureSetVersion: featureSetVersion(),
          labelKind: 'excess',
          horizonSessions: 1,
          simulated: true,
          taskRunId: 'test',
        },
        revision: 1,
        rows,
      }),
    );
  }
}
