import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskResult } from '../../src/contracts/activities.ts';
import { readDriftLog, findDriftAnchor, findRetrainingFlag } from '../../src/db/queries/drift.ts';
import { PROBABILITY_NAMES } from '../../src/db/queries/predictions.ts';
import { insertModelVersion, insertPromotion } from '../../src/db/queries/training.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { issuePredictions, storeOof, storeStack } from '../support/drift-inputs.ts';
import { dates, DriftMarket, FEATURES, SYMBOLS, UNIVERSE_VERSION } from '../support/drift-market.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';

let rig: TaskRig;
let market: DriftMarket;

beforeAll(async () => {
  rig = await TaskRig.start({ settings: { drift: { minComparisonWindows: 10 } } });
  market = new DriftMarket(rig);
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

async function night(last: number, universeVersion?: string): Promise<TaskResult> {
  const { result, heartbeats } = await market.night(last, universeVersion);
  expect(heartbeats.length).toBeGreaterThan(0);
  return result;
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
    await expect(runActivity(market.activities, 'runDrift', step)).rejects.toMatchObject({
      type: 'ArtifactMissing',
      nonRetryable: false,
    });
  });

  it('a quiet night: every series logged raw, none alarms, the first anchor is set', async () => {
    await market.storeDataset(450);
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
    const before = await market.fingerprint();
    const result = await night(450);
    expect(await market.fingerprint()).toEqual(before);
    expect(result).toMatchObject({ status: 'ok', anchoredBaseline: { setTonight: false } });
  });

  it('a shift alarms after two nights, against both baselines, and leaves one flag a month', async () => {
    await market.storeDataset(510);
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

    await market.storeDataset(515);
    expect(await night(515)).toMatchObject({
      status: 'alarm',
      retrainingFlag: false,
      suppressedBy: 'cool_down',
    });
  });

  it('a night of the past says what it said, whatever came later', async () => {
    const before = await market.fingerprint();
    await night(510);
    await night(450);
    expect(await market.fingerprint()).toEqual(before);
  });

  it('a flag that a night filled in later raises does not hold back one that has run', async () => {
    await market.storeDataset(507);
    expect(await night(507)).toMatchObject({ retrainingFlag: true });
    const before = await market.fingerprint();
    expect(await night(510)).toMatchObject({ retrainingFlag: true, suppressedBy: null });
    expect(await market.fingerprint()).toEqual(before);
  });

  it('the anchor moves when a person promotes, not with the gate', async () => {
    const { sql } = rig.db('pipeline');
    const datasetHash = await market.storeDataset(516);
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
    await market.storeDataset(517);
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
    const prints = await market.fingerprint();
    expect(await night(517)).toMatchObject({ issuedSessions: 3, notEnoughData: PROBABILITY_NAMES.length });
    expect(await market.fingerprint()).toEqual(prints);
    const [row] = await rig.db('pipeline').sql<{ bounded: boolean }[]>`
      select bool_and(known_at < (select min(written_at) from turbomode.predictions
        where session_date = ${dates[498] ?? ''})) as bounded
      from turbomode.drift_log where session_date = ${dates[517] ?? ''}`;
    expect(row?.bounded).toBe(true);
  });

  it('what it had not issued itself by then it may issue yet', async () => {
    await market.storeDataset(518);
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
    const prints = await market.fingerprint();
    await night(518);
    expect(await market.fingerprint()).toEqual(prints);
  });

  it('a changed list of members moves no baseline and forgets no prediction, and that is said', async () => {
    const other = 'v2';
    await market.storeDataset(519, other);
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
    const prints = await market.fingerprint();
    expect(await night(519, other)).toMatchObject({ anchoredBaseline: { setTonight: false, why: null } });
    await night(518);
    expect(await market.fingerprint()).toEqual(prints);
    expect(await anchorOf(518)).toEqual(before);
  });

  it('an attempt that is no longer current writes nothing', async () => {
    const late = await rig.begin({ task: 'driftMonitoring', sessionDate: dates[450] ?? '' });
    await rig.begin({ task: 'driftMonitoring', taskRunId: late.taskRunId, attempt: 2 });
    const before = await market.fingerprint();
    await expect(runActivity(market.activities, 'runDrift', late)).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
    expect(await market.fingerprint()).toEqual(before);
  });
});
