import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTrainingActivities } from '../../src/activities/training/activities.ts';
import type { DatasetRef, MlActivities } from '../../src/contracts/activities.ts';
import { insertBarSource, readCurrentBars } from '../../src/db/queries/bars.ts';
import { replaceBars } from '../../src/db/queries/bars-write.ts';
import { findBacktest, insertBacktestRun } from '../../src/db/queries/backtests.ts';
import { mergeDriftLog } from '../../src/db/queries/drift.ts';
import { storeCorporateActions, storeFundamentals } from '../../src/db/queries/reference.ts';
import { findSessionDataset } from '../../src/db/queries/training.ts';
import { epochDayOf } from '../../src/domain/bars.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { TaskNight } from '../support/task-night.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';

const BEFORE = '2018-02-06';
const SESSION = '2018-02-07';
const CHANGED = '2018-02-05';
const SYMBOL = 'AAPL';

let rig: TaskRig;
let universeVersion: string;

beforeAll(async () => {
  rig = await TaskRig.start();
  // Nothing here is fitted: ingestion and datasets need no model job.
  universeVersion = await new TaskNight(rig, {} as MlActivities).ingest(SESSION);
}, 300_000);
afterAll(() => rig?.stop());

/** What training asks first: the dataset of a night. */
async function dataset(sessionDate: string): Promise<DatasetRef> {
  const step = await rig.begin({ task: 'training', sessionDate, universeVersion });
  const { result } = await runActivity(createTrainingActivities(rig.deps()), 'planFits', step);
  await rig.finish(step);
  return result.dataset;
}

/** The provider says something else about one bar; the night of SESSION can know it. */
async function revise(factor: number, availableAt: string): Promise<void> {
  const ingest = rig.db('ingest').sql;
  const range = { symbols: [SYMBOL], fromSession: CHANGED, throughSession: CHANGED };
  const { symbols, sources } = await readCurrentBars(ingest, range);
  const stored = symbols.get(SYMBOL);
  const [source] = sources.values();
  if (stored === undefined || source === undefined) throw new Error(`no bar of ${SYMBOL} ${CHANGED}`);
  const times = (column: Float64Array): Float64Array => column.map((value) => value * factor);
  const { open, high, low, close, volume } = stored.bars;
  await ingest.begin(async (tx) => {
    const sourceId = await insertBarSource(tx, {
      ...source,
      dataset: 'sample',
      nightSession: SESSION,
      taskRunId: 'revision',
    });
    const counts = await replaceBars(tx, {
      bars: {
        rows: 1,
        symbols: [SYMBOL],
        codes: Int32Array.of(0),
        epochDays: Int32Array.of(epochDayOf(CHANGED)),
        open,
        high,
        low,
        close: times(close),
        volume,
        availableAtMs: Float64Array.of(Date.parse(availableAt)),
        states: Int32Array.of(1),
        sourceId,
      },
      expectedRevisions: Int32Array.from(stored.revisions),
      sessionDate: SESSION,
      taskRunId: 'revision',
    });
    expect(counts).toEqual({ revised: 1, finalized: 0 });
  });
}

const marks = async (table: string, sessionDate: string) =>
  (
    await rig
      .db('owner')
      .sql.unsafe<{ reason: string | null }[]>(
        `select distinct invalid_reason as reason from turbomode.${table} where session_date = '${sessionDate}'`,
      )
  ).map(({ reason }) => reason);
const featuresOf = async (sessionDate: string) =>
  await rig.db('owner').sql`
    select symbol, "values", dataset_hash, invalid_reason from turbomode.session_features
    where session_date = ${sessionDate} order by symbol`;
const newest = async (sessionDate: string) =>
  await findSessionDataset(rig.db('pipeline').sql, {
    sessionDate,
    universe: 'tiny',
    universeVersion,
    featureSetVersion: featureSetVersion(),
    labelKind: rig.config.model.labelKind,
    horizonSessions: rig.config.model.horizonSessions,
  });

/** Rows that the night's other tasks leave: their own tests make real ones. */
async function leaveResults(sessionDate: string, datasetHash: string): Promise<void> {
  const common = { sessionDate, universe: 'tiny', universeVersion, featureSetVersion: featureSetVersion() };
  await rig.db('pipeline').sql.begin(async (tx) => {
    await insertBacktestRun(tx, {
      ...common,
      backtestId: `backtest of ${datasetHash}`,
      taskRunId: 't',
      datasetHash,
      oofHash: 'o',
      metaHash: 'm',
      survivorship: 'biased',
      parameters: {},
      summary: {},
      knownAt: '2018-02-07T03:45:00Z',
    });
    await mergeDriftLog(tx, { ...common, taskRunId: 't', knownAt: '2018-02-07T03:45:00Z' }, [
      {
        feature: 'return1',
        baselineKind: 'rolling',
        baselineId: datasetHash,
        baselineRows: 1,
        currentRows: 1,
        windows: 1,
        psi: 0.1,
        klCurrentGivenBaseline: null,
        klBaselineGivenCurrent: null,
        jensenShannon: null,
        ksStatistic: null,
        ksPValue: null,
        psiCritical: null,
        klCritical: null,
        ksCritical: null,
        pValue: null,
        qValue: null,
        exceeded: false,
        alarm: false,
        status: 'stable',
        details: {},
      },
    ]);
  });
}

describe('what nights left that a revised bar went into', () => {
  it('is marked with the reason where the night knows the revision, and made again when it runs', async () => {
    const earlier = await dataset(BEFORE);
    const first = await dataset(SESSION);
    await leaveResults(BEFORE, earlier.datasetHash);
    await leaveResults(SESSION, first.datasetHash);
    const original = await featuresOf(SESSION);

    await revise(1.01, '2018-02-08T06:00:00Z');
    // The night before cannot know it: nothing is marked, its dataset is found again.
    expect(await dataset(BEFORE)).toEqual({ ...earlier, reused: true });
    expect(await marks('datasets', SESSION)).toEqual([null]);

    const second = await dataset(SESSION);
    expect(second.datasetHash).not.toBe(first.datasetHash);
    const reason = expect.stringMatching(/^bar\.revised AAPL 2018-02-05 \(event \d+\)$/) as string;
    const [old] = await rig.db('owner').sql`
      select invalid_reason from turbomode.datasets where dataset_hash = ${first.datasetHash}`;
    expect(old).toEqual({ invalidReason: reason });
    expect((await newest(SESSION))?.datasetHash).toBe(second.datasetHash);
    expect(await marks('backtest_runs', SESSION)).toEqual([reason]);
    expect(await marks('drift_log', SESSION)).toEqual([reason]);
    for (const table of ['datasets', 'backtest_runs', 'drift_log', 'session_features']) {
      expect(await marks(table, BEFORE)).toEqual([null]);
    }
    // Feature values of the session are those of the new dataset, all of them.
    const revised = await featuresOf(SESSION);
    expect(revised.every((row) => row['invalidReason'] === null)).toBe(true);
    expect(revised.find(({ symbol }) => symbol === SYMBOL)?.['values']).not.toEqual(
      original.find(({ symbol }) => symbol === SYMBOL)?.['values'],
    );

    await leaveResults(SESSION, second.datasetHash);
    expect(await marks('drift_log', SESSION)).toEqual([null]);
    const valid = await findBacktest(rig.db('pipeline').sql, { sessionDate: SESSION, universe: 'tiny' });
    expect(valid?.backtestId).toBe(`backtest of ${second.datasetHash}`);
  });

  it('holds again when the bar changes back', async () => {
    const second = await newest(SESSION);
    await revise(1 / 1.01, '2018-02-08T07:00:00Z');
    const [close] = await rig.db('owner').sql`
      select b.close = r.close as same from market.bars b
      join market.bar_revisions r using (symbol, session_date) where r.revision = 0 and b.symbol = ${SYMBOL}`;
    expect(close).toEqual({ same: true });
    const third = await dataset(SESSION);
    expect((await newest(SESSION))?.datasetHash).toBe(third.datasetHash);
    expect(third.datasetHash).not.toBe(second?.datasetHash);
    const datasets = await rig.db('owner').sql`
      select invalid_reason is null as holds, count(*) from turbomode.datasets
      where session_date = ${SESSION} group by 1 order by 1`;
    expect(datasets).toEqual([
      { holds: false, count: 1 },
      { holds: true, count: 1 },
    ]);
    expect(await marks('session_features', SESSION)).toEqual([null]);
    await leaveResults(SESSION, third.datasetHash);
    const valid = await findBacktest(rig.db('pipeline').sql, { sessionDate: SESSION, universe: 'tiny' });
    expect(valid?.backtestId).toBe(`backtest of ${third.datasetHash}`);
  });

  it('so is what a split with that date went into; dividends and statements go into nothing', async () => {
    const symbol = SYMBOL;
    const fact = { symbol, exDate: CHANGED, newShares: 2, oldShares: 1, asked: [], confirmedBy: [] };
    const knowledge = { available_on: SESSION, late: true, changed_on: SESSION, revise: true };
    const dividend = { symbol, exDate: CHANGED, cashAmount: 1, currency: 'USD' };
    const statement = {
      symbol,
      kind: 'annual',
      periodEnd: CHANGED,
      availableAt: SESSION,
      currency: 'USD',
    } as const;
    const known = <Fact>(one: Fact) => ({ fact: one, provider: 'archive', knowledge });
    const context = { knownAt: '2018-02-08T08:00:00Z', taskRunId: 'revision' };
    await rig.db('ingest').sql.begin(async (tx) => {
      await storeCorporateActions(tx, { ...context, splits: [known(fact)], dividends: [known(dividend)] });
      await storeFundamentals(tx, {
        ...context,
        records: [known({ ...statement, metrics: { revenue: 1 } })],
      });
    });
    await dataset(SESSION);
    const reason = expect.stringMatching(/^split\.revised AAPL 2018-02-05 \(event \d+\)$/) as string;
    expect(await marks('backtest_runs', SESSION)).toContainEqual(reason);
    expect(await marks('backtest_runs', SESSION)).not.toContainEqual(
      expect.stringMatching(/dividend|fundamentals/),
    );
    expect(await marks('backtest_runs', BEFORE)).toEqual([null]);
    const open = await rig.db('owner').sql`select 1 from ops.events where handled_at is null`;
    expect(open).toEqual([]);
  });

  it('run again, changes no row', async () => {
    const print = async () =>
      await rig.db('owner').sql`
        select (select sum(hashtextextended(t::text || t.xmin::text, 0))::text from turbomode.datasets t) as datasets,
          (select sum(hashtextextended(t::text || t.xmin::text, 0))::text from turbomode.session_features t) as features,
          (select sum(hashtextextended(t::text || t.xmin::text, 0))::text from ops.events t) as events`;
    const before = await print();
    expect((await dataset(SESSION)).reused).toBe(true);
    expect((await dataset(BEFORE)).reused).toBe(true);
    expect(await print()).toEqual(before);
  });
});
