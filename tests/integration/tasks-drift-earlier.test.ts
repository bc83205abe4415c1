import { afterEach, expect, it } from 'vitest';
import {
  findDriftAnchor,
  insertDriftAnchor,
  insertDriftBaselines,
  readDriftLog,
} from '../../src/db/queries/drift.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { dates, DriftMarket, FEATURES, UNIVERSE_VERSION } from '../support/drift-market.ts';
import { TaskRig } from '../support/task-rig.ts';

let rig: TaskRig;
afterEach(() => rig.stop());

/** A house of its own for each test: what earlier nights left is what they are about. */
async function openMarket(drift: Record<string, number> = {}): Promise<DriftMarket> {
  rig = await TaskRig.start({ settings: { drift: { minComparisonWindows: 10, ...drift } } });
  return new DriftMarket(rig);
}
const date = (session: number): string => dates[session] ?? '';
const logOf = async (session: number) =>
  await readDriftLog(rig.db('pipeline').sql, { sessionDate: date(session), universe: 'tiny' });

it('another feature set does not move the anchored baseline: its sessions are measured anew, and that is said', async () => {
  const market = await openMarket();
  const { sql } = rig.db('pipeline');
  const before = {
    universe: 'tiny',
    baselineId: 'b'.repeat(64),
    effectiveFromSession: date(440),
    kind: 'first_night',
    decidedBy: 'nightshift',
    why: 'a night before the feature set changed',
  };
  // As that night left it: one feature that is gone, one whose bins belong to other values.
  await sql.begin(async (tx) => {
    await insertDriftBaselines(
      tx,
      ['gone', 'ret1'].map((feature) => ({
        baselineId: before.baselineId,
        feature,
        kind: 'anchored' as const,
        sessionDate: date(440),
        universe: 'tiny',
        universeVersion: UNIVERSE_VERSION,
        featureSetVersion: 'features before',
        firstSession: date(10),
        lastSession: date(399),
        rows: 4_680,
        edges: [1_000],
        shares: [0.5, 0.5],
        calibration: {},
      })),
    );
    await insertDriftAnchor(tx, before);
  });
  const anchorOf = async (session: number) =>
    await findDriftAnchor(sql, {
      universe: 'tiny',
      universeVersion: UNIVERSE_VERSION,
      featureSetVersion: featureSetVersion(),
      sessionDate: date(session),
    });

  await market.storeDataset(450);
  const { result } = await market.night(450);
  expect(result['anchoredBaseline']).toEqual({
    first: date(10),
    last: date(399),
    setTonight: true,
    why: `the feature set changed: the anchor of ${date(440)} keeps its sessions ${date(10)} to ${date(399)}`,
  });
  const carried = await anchorOf(450);
  expect(carried).toMatchObject({
    kind: 'carried',
    effectiveFromSession: date(450),
    firstSession: date(10),
    lastSession: date(399),
    universeVersion: UNIVERSE_VERSION,
    featureSetVersion: featureSetVersion(),
  });
  expect(carried?.baselineId).not.toBe(before.baselineId);
  const stored = await sql<{ feature: string; inside: boolean }[]>`
    select feature, bool_and(edge between -10 and 10) as inside
    from turbomode.drift_baselines, unnest(edges) as edge
    where baseline_id = ${carried?.baselineId ?? ''} group by feature order by feature`;
  expect(stored).toEqual([...FEATURES].sort().map((feature) => ({ feature, inside: true })));
  // Against the bins of the values before, every return would have been in the lower one.
  const row = (await logOf(450)).find((one) => one.feature === 'ret1' && one.baselineKind === 'anchored');
  expect(row).toMatchObject({ baselineId: carried?.baselineId, status: 'stable' });
  expect(row?.psi).toBeLessThan(0.1);

  const prints = await market.fingerprint();
  expect((await market.night(450)).result['anchoredBaseline']).toMatchObject({
    setTonight: false,
    why: null,
  });
  expect(await market.fingerprint()).toEqual(prints);
  // It was taken over once; nights before still have the old one.
  await market.storeDataset(455);
  expect((await market.night(455)).result['anchoredBaseline']).toEqual({
    first: date(10),
    last: date(399),
    setTonight: false,
    why: null,
  });
  expect(await anchorOf(455)).toEqual(carried);
  expect(await anchorOf(449)).toMatchObject({ ...before, featureSetVersion: 'features before' });
});

it('a night counts what earlier nights had written when it first ran, and nothing filled in since', async () => {
  const market = await openMarket({ consecutiveNights: 3 });
  for (const session of [508, 509, 510, 511]) await market.storeDataset(session);
  const stateOf = async (session: number) =>
    (await logOf(session)).find((one) => one.feature === 'ret1' && one.baselineKind === 'rolling');

  expect((await market.night(510)).result).toMatchObject({ alarms: 0, elevated: 1, retrainingFlag: false });
  // The third night in a row, filled in afterwards.
  await market.night(508);
  expect(await stateOf(508)).toMatchObject({ exceeded: true, alarm: false });
  const prints = await market.fingerprint();
  expect((await market.night(510)).result).toMatchObject({ alarms: 0, elevated: 1, retrainingFlag: false });
  expect(await market.fingerprint()).toEqual(prints);
  expect(await stateOf(510)).toMatchObject({ exceeded: true, alarm: false, status: 'elevated' });

  // Nights that run for the first time after it do count it.
  await market.night(509);
  expect((await market.night(511)).result).toMatchObject({ alarms: 1, elevated: 0, retrainingFlag: true });
  expect(await stateOf(511)).toMatchObject({ exceeded: true, alarm: true });
});
