import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import { writeParquet } from '../../src/artifacts/parquet.ts';
import type { DriftActivities, TaskResult } from '../../src/contracts/activities.ts';
import { readDriftLog, findDriftAnchor, findRetrainingFlag } from '../../src/db/queries/drift.ts';
import { PROBABILITY_NAMES } from '../../src/db/queries/predictions.ts';
import { insertDataset, insertModelVersion, insertPromotion } from '../../src/db/queries/training.ts';
import { manifestBytes } from '../../src/domain/dataset.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';
import { issuePredictions, storeOof, storeStack } from '../support/drift-inputs.ts';
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

/** Predictions of a range of sessions, as a scan would have left them. */
async function issue(
  from: number,
  to: number,
  set: { modelVersion: string; shift: number; universeVersion?: string },
): Promise<void> {
  const sessions = dates.slice(from, to + 1);
  await issuePredictions(rig, { universeVersion: UNIVERSE_VERSION, ...set, sessions, symbols: SYMBOLS });
}

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
async function storeDataset(last: number, universeVersion = UNIVERSE_VERSION): Promise<string> {
  const sessions = last + 1;
  const parquet = await rig.artifacts.put(await writeParquet(columns(sessions)));
  const manifest = {
    schemaVersion: 1 as const,
    sessionDate: dates[last] ?? '',
    universe: 'tiny',
    universeVersion,
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
      inputHash: `input ${String(last)} ${universeVersion}`,
      manifest: { ...manifest, parquetHash: parquet.hash },
      coverage: {},
    }),
  );
  return hash;
}

async function night(last: number, universeVersion = UNIVERSE_VERSION): Promise<TaskResult> {
  const step = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[last] ?? '', universeVersion });
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
const anchorOf = (last: number, universeVersion = UNIVERSE_VERSION) =>
  findDriftAnchor(rig.db('pipeline').sql, {
    universe: 'tiny',
    universeVersion,
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

  it('a flag that a night filled in later raises does not hold back one that has run', async () => {
    await storeDataset(507);
    expect(await night(507)).toMatchObject({ retrainingFlag: true });
    const before = await fingerprint();
    expect(await night(510)).toMatchObject({ retrainingFlag: true, suppressedBy: null });
    expect(await fingerprint()).toEqual(before);
  });

  it('the anchor moves when a person promotes, not with the gate', async () => {
    const { sql } = rig.db('pipeline');
    const datasetHash = await storeDataset(516);
    const oofHash = await storeOof(rig, { sessions: 516, symbols: SYMBOLS.length });
    const metaHash = await storeStack(rig);
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
        survivorship: 'biased',
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
    await storeDataset(517);
    await issue(515, 517, { modelVersion: 'model-1', shift: 0.2 });
    const result = await night(517);
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
    const words = (await logOf(517)).find(({ feature }) => feature === 'prediction:meta')?.details;
    expect(words).toMatchObject({ words: 'not enough data: 3 of 20 sessions issued' });
  });

  it('nights filled in later change nothing of it, whatever they issued', async () => {
    await issue(498, 514, { modelVersion: 'model-1', shift: 0.2 });
    const prints = await fingerprint();
    expect(await night(517)).toMatchObject({ issuedSessions: 3, notEnoughData: PROBABILITY_NAMES.length });
    expect(await fingerprint()).toEqual(prints);
    const [row] = await rig.db('pipeline').sql<{ bounded: boolean }[]>`
      select bool_and(known_at < (select min(written_at) from turbomode.predictions
        where session_date = ${dates[498] ?? ''})) as bounded
      from turbomode.drift_log where session_date = ${dates[517] ?? ''}`;
    expect(row?.bounded).toBe(true);
  });

  it('what it had not issued itself by then it may issue yet', async () => {
    await storeDataset(518);
    expect(await night(518)).toMatchObject({ issuedSessions: 0 });
    await issue(518, 518, { modelVersion: 'model-1', shift: 0.2 });
    expect(await night(518)).toMatchObject({ issuedSessions: 21 });
  });

  it('compares predictions as first issued with out-of-fold ones', async () => {
    const before = await night(518);
    expect(before).toMatchObject({ issuedSessions: 21, status: 'alarm', notEnoughData: 0 });
    expect(before['alarms']).toBe(1 + PROBABILITY_NAMES.length);
    // Made again later by another version: not what was issued.
    await issue(510, 518, { modelVersion: 'model-2', shift: 0 });
    const prints = await fingerprint();
    await night(518);
    expect(await fingerprint()).toEqual(prints);
  });

  it('a changed list of members moves no baseline and forgets no prediction, and that is said', async () => {
    const other = 'v2';
    await storeDataset(519, other);
    await issue(519, 519, { modelVersion: 'model-1', shift: 0.2, universeVersion: other });
    const before = await anchorOf(518);
    expect(before).toMatchObject({ kind: 'promotion', universeVersion: UNIVERSE_VERSION });
    const result = await night(519, other);
    expect(result).toMatchObject({
      issuedSessions: 21,
      notEnoughData: 0,
      anchoredBaseline: {
        first: before?.firstSession,
        last: before?.lastSession,
        setTonight: true,
        why: expect.stringMatching(
          /^the list of members changed: the anchor of .* keeps its sessions/,
        ) as string,
      },
    });
    expect(await anchorOf(519, other)).toMatchObject({
      kind: 'carried',
      universeVersion: other,
      firstSession: before?.firstSession,
      lastSession: before?.lastSession,
    });
    const stored = await rig.db('pipeline').sql`
      select distinct universe_version, kind from turbomode.drift_baselines
      where session_date = ${dates[519] ?? ''} order by kind`;
    expect(stored).toEqual([
      { universeVersion: other, kind: 'anchored' },
      { universeVersion: other, kind: 'rolling' },
    ]);
    const prints = await fingerprint();
    expect(await night(519, other)).toMatchObject({ anchoredBaseline: { setTonight: false, why: null } });
    await night(518);
    expect(await fingerprint()).toEqual(prints);
    expect(await anchorOf(518)).toEqual(before);
  });

  it('an attempt that is no longer current writes nothing', async () => {
    const late = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[450] ?? '' });
    await rig.begin({ task: 'driftMonitoring', taskRunId: late.taskRunId, attempt: 2 });
    const before = await fingerprint();
    await expect(runActivity(drift, 'runDrift', late)).rejects.toMatchObject({ type: 'SupersededAttempt' });
    expect(await fingerprint()).toEqual(before);
  });
});
