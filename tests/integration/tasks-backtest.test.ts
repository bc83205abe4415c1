import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import type { BacktestActivities, MetaFit, TaskResult } from '../../src/contracts/activities.ts';
import { reportBacktestSchema } from '../../src/contracts/schemas/report.ts';
import { findBacktest, readBacktestMetrics } from '../../src/db/queries/backtests.ts';
import { issueLivePredictions } from '../support/live-predictions.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { TaskNight } from '../support/task-night.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';

const FIRST = '2018-01-30';
const SECOND = '2018-01-31';
const SCORED = 10;

let rig: TaskRig;
let ml: MlBridge;
let night: TaskNight;
let backtests: BacktestActivities;
let universeVersion: string;
const results = new Map<string, TaskResult>();
let trained: TaskResult;
let scanned: TaskResult;

/** The backtest task as its workflow runs it. */
async function backtest(
  sessionDate: string,
  change: (meta: MetaFit) => Promise<MetaFit> = async (meta) => meta,
): Promise<TaskResult> {
  const step = await rig.begin({ task: 'backtest', sessionDate, universeVersion });
  const { plan, folds, meta } = await night.fits(step);
  const { result: matured } = await runActivity(backtests, 'maturePredictions', step);
  const { result } = await runActivity(backtests, 'runBacktest', {
    ...step,
    dataset: plan.dataset,
    folds,
    meta: await change(meta),
    matured,
  });
  await rig.finish(step, result);
  return result;
}

/** The stack as other code or other libraries would have left it. */
const spoiled =
  (name: string, digit = 'f') =>
  async (meta: MetaFit): Promise<MetaFit> => {
    const artifact: unknown = JSON.parse(Buffer.from(await rig.artifacts.get(meta.metaHash)).toString());
    const changed = JSON.stringify({ ...(artifact as object), [name]: digit.repeat(64) });
    return { ...meta, metaHash: (await rig.artifacts.put(Buffer.from(changed))).hash };
  };

/** Row versions: a row that was written again, even equal, makes another print. */
async function fingerprint(): Promise<Record<string, string>> {
  const prints: Record<string, string> = {};
  for (const table of [
    'matured_predictions',
    'backtest_runs',
    'backtest_metrics',
    'equity_curves',
    'holdout_openings',
  ]) {
    const [row] = await rig.db('owner').sql.unsafe<{ print: string }[]>(
      `select count(*) || ':' || coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') as print
         from turbomode.${table} t`,
    );
    prints[table] = row?.print ?? '';
  }
  return prints;
}

beforeAll(async () => {
  // Intervals of fewer samples are as good an example; the models are those of `tiny`.
  rig = await TaskRig.start({ settings: { model: { bootstrapSamples: 100 } } });
  ml = startMlBridge(rig.artifacts.url);
  night = new TaskNight(rig, ml);
  backtests = createBacktestActivities(rig.deps());
  universeVersion = await night.ingest(FIRST);
  trained = await night.train(FIRST, universeVersion);
  scanned = await night.scan(FIRST, universeVersion);
  results.set(FIRST, await backtest(FIRST));
  await night.ingest(SECOND);
  results.set(SECOND, await backtest(SECOND));
}, 600_000);
afterAll(async () => {
  await ml?.stop();
  await rig?.stop();
});

describe('maturePredictions', () => {
  it('waits for the exit session', () => {
    expect(results.get(FIRST)).toMatchObject({ matured: 0, pending: 8 });
    expect(results.get(SECOND)).toMatchObject({ matured: 8, pending: 0, trackSessions: { simulated: 1 } });
  });

  it('stores open to close of the next session, as the bars of the database have it', async () => {
    const { sql } = rig.db('pipeline');
    const rows = await sql<{ symbol: string; forwardReturn: number; excessReturn: number; direct: number }[]>`
      select m.symbol, m.forward_return, m.excess_return, b.close / b.open - 1 as direct
      from turbomode.matured_predictions m
      join market.bars b on b.symbol = m.symbol and b.session_date = ${SECOND}
      where m.session_date = ${FIRST} and m.entry_session = ${SECOND} and m.exit_session = ${SECOND}
        and m.missing_reason is null and m.simulated`;
    expect(rows).toHaveLength(8);
    const sorted = rows.map(({ direct }) => direct).sort((a, b) => a - b);
    const median = ((sorted[3] ?? 0) + (sorted[4] ?? 0)) / 2;
    for (const row of rows) {
      expect(row.forwardReturn).toBeCloseTo(row.direct, 12);
      expect(row.excessReturn).toBeCloseTo(row.direct - median, 12);
    }
  });
});

describe('runBacktest', () => {
  it('says for every model what it earned before and after costs', () => {
    const result = results.get(SECOND) ?? {};
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    expect(result).toMatchObject({
      survivorship: 'biased',
      horizonSessions: 1,
      costBpsPerSide: 5,
      lastSession: SECOND,
      trials: SCORED,
    });
    const models = result['models'] as { model: string; grossReturn: number; netReturn: number }[];
    expect(models).toHaveLength(SCORED);
    // Two blocks leave the stack nothing to be fitted on before its first test block.
    expect(models.find(({ model }) => model === 'meta')).toMatchObject({
      sessions: 0,
      netReturn: null,
      topDecileExposure: null,
    });
    for (const { grossReturn, netReturn } of models.filter(({ model }) => model !== 'meta')) {
      expect(netReturn).toBeLessThan(grossReturn);
    }
    expect(result['benchmarks']).toMatchObject([
      { name: 'equalWeight', holdsOvernight: false },
      { name: 'zero', totalReturn: 0 },
      { name: 'buyAndHold', holdsOvernight: true },
    ]);
  });

  it('stores metrics with intervals by month, sector and decile, clean, with doubtful bars, and the track', async () => {
    const { sql } = rig.db('pipeline');
    const run = await findBacktest(sql, { sessionDate: SECOND, universe: 'tiny' });
    expect(run).toMatchObject({ backtestId: results.get(SECOND)?.['backtestId'], survivorship: 'biased' });
    const metrics = await readBacktestMetrics(sql, run?.backtestId ?? '');
    const dimensions = new Set(metrics.map(({ dimension }) => dimension));
    expect([...dimensions].sort()).toEqual([
      'all',
      'allWithFlagged',
      'benchmark',
      'decile',
      'exposure',
      'leftOutDoubtful',
      'month',
      'overfitting',
      'portfolio',
      'portfolioClosedLate',
      'portfolioWithFlagged',
      'sector',
      'sectorExposure',
      'track',
    ]);
    const leftOut = metrics.filter(({ dimension }) => dimension === 'leftOutDoubtful');
    expect(leftOut.map(({ bucket }) => bucket)).toEqual(['0', '1']);
    const spans = (results.get(SECOND) ?? {})['leftOutDoubtful'] as { firstSession: string }[];
    const first = spans[0]?.firstSession ?? '';
    const [doubtful] = await sql<{ rows: number }[]>`
      select count(distinct (symbol, session_date)) as rows from market.bar_flags
      where severity = 'doubtful' and available_session <= ${SECOND}
        and session_date >= ${first}`;
    expect(leftOut.reduce((sum, { value }) => sum + (value ?? 0), 0)).toBe(doubtful?.rows);
    expect(results.get(SECOND)?.['notes']).toContainEqual(
      expect.stringMatching(/^\d+ rows whose decision bar is doubtful by now/),
    );
    const sharpe = metrics.find(
      (row) => row.model === 'lightgbm' && row.dimension === 'portfolio' && row.metric === 'sharpe',
    );
    expect(sharpe?.lower).toBeLessThan(sharpe?.value ?? Number.NaN);
    expect(sharpe?.upper).toBeGreaterThan(sharpe?.value ?? Number.NaN);
    const costs = (model: string) =>
      metrics.find(
        (row) => row.model === model && row.dimension === 'portfolio' && row.metric === 'costTotal',
      );
    // All capital goes in and out each session at 5 bp a side; small trees tie, and ties are not traded.
    const full = 0.001 * (costs('logisticRegression')?.n ?? 0);
    expect(costs('logisticRegression')?.value).toBeCloseTo(full, 3);
    expect(costs('lightgbm')?.value).toBeLessThan(full);
  });

  it('says what the top decile holds more of, with the figures of the rows', async () => {
    const result = reportBacktestSchema.parse(results.get(SECOND));
    const stored = await readBacktestMetrics(rig.db('pipeline').sql, String(result['backtestId']));
    const valueOf = (dimension: string, bucket: string, metric: string) =>
      stored.find(
        (row) =>
          row.model === 'mlp' &&
          row.dimension === dimension &&
          row.bucket === bucket &&
          row.metric === metric,
      );
    const exposure = result.models?.find(({ model }) => model === 'mlp')?.topDecileExposure;
    expect(exposure?.beta.top).toBe(valueOf('exposure', 'all', 'betaTop')?.value);
    expect(exposure?.beta.universe).toBeCloseTo(1, 1);
    const { value, lower, upper } = valueOf('exposure', 'all', 'sizeRankDifference') ?? {};
    expect(exposure?.sizeRank.difference).toEqual({ value, low: lower, high: upper });
    expect(lower).toBeLessThan(upper ?? Number.NaN);
    expect(exposure?.sectors.length).toBeGreaterThan(2);
    for (const { sector, top, universe } of exposure?.sectors ?? []) {
      expect(valueOf('sectorExposure', sector, 'topShare')?.value).toBe(top);
      expect(valueOf('sectorExposure', sector, 'universeShare')?.value).toBe(universe);
    }
  });

  it('says how likely the best score is overfitted, in words, rows and figures', async () => {
    const result = results.get(SECOND) ?? {};
    expect(result['overfitting']).toMatchObject({
      reason: null,
      series: SCORED - 1,
      earlierTrials: 0,
      leftOut: [{ name: 'meta', why: 'never trades' }],
      lastSession: SECOND,
      words: expect.stringMatching(
        /^Probability of backtest overfitting [01]\.\d\d: of [\d,]+ ways/,
      ) as string,
    });
    const { probability, subBlocks, combinations } = result['overfitting'] as Record<string, number>;
    expect(subBlocks).toBeGreaterThanOrEqual(8);
    const rows = await readBacktestMetrics(rig.db('pipeline').sql, String(result['backtestId']));
    const row = rows.find(({ dimension, metric }) => dimension === 'overfitting' && metric === 'probability');
    expect(row).toMatchObject({ model: 'all', value: probability, n: combinations });
  });

  it('the equity curve ends at the net return', async () => {
    const { sql } = rig.db('pipeline');
    const rows = await sql<{ series: string; sessionDate: string; equityNet: number; drawdown: number }[]>`
      select distinct on (series) series, session_date, equity_net, drawdown from turbomode.equity_curves
      where backtest_id = ${String(results.get(SECOND)?.['backtestId'])} order by series, session_date desc`;
    expect(rows.map(({ series }) => series)).toContain('buyAndHold');
    const models = results.get(SECOND)?.['models'] as { model: string; netReturn: number | null }[];
    const traded = models.filter(({ netReturn }) => netReturn !== null);
    expect(traded).toHaveLength(SCORED - 1);
    for (const { model, netReturn } of traded) {
      const last = rows.find(({ series }) => series === model);
      expect(last?.sessionDate).toBe(SECOND);
      expect((last?.equityNet ?? 0) - 1).toBeCloseTo(netReturn ?? Number.NaN, 12);
    }
  });

  it('the same nights again, the older one last, change no row', async () => {
    const before = await fingerprint();
    for (const session of [SECOND, FIRST]) {
      const again = await backtest(session);
      const known = results.get(session);
      expect(again['backtestId']).toBe(known?.['backtestId']);
      expect(again).toMatchObject({ models: known?.['models'], matured: known?.['matured'] });
    }
    expect(await fingerprint()).toEqual(before);
  });

  it('an attempt that is no longer current writes nothing', async () => {
    const late = await rig.begin({ task: 'backtest', sessionDate: SECOND, universeVersion });
    await rig.begin({ task: 'backtest', taskRunId: late.taskRunId, attempt: 2, universeVersion });
    await expect(runActivity(backtests, 'maturePredictions', late)).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
  });
});

describe('trials', () => {
  it('other code or other libraries of the models are one more', async () => {
    const first = await backtest(SECOND);
    expect(first).toMatchObject({ trials: SCORED, overfitting: results.get(SECOND)?.['overfitting'] });
    // Its returns are those of the trial before, read from the stored equity curves: no other choice.
    expect(await backtest(SECOND, spoiled('codeHash'))).toMatchObject({
      trials: 2 * SCORED,
      overfitting: {
        ...(first['overfitting'] as object),
        duplicates: SCORED - 1,
        earlierTrialsLeftOut: 1,
        words: expect.stringContaining('9 more equal to one of them') as string,
      },
    });
    expect(await backtest(SECOND, spoiled('lockHash'))).toMatchObject({ trials: 3 * SCORED });
    expect(await backtest(SECOND)).toMatchObject({ trials: SCORED });
  });
});

describe('survivorship', () => {
  it('is that of the universe, in training, scan and backtest', async () => {
    const { sql } = rig.db('owner');
    // As it was ingested: the bundled members are those of today.
    const [ingested] = await sql`select distinct survivorship from market.universes`;
    expect(ingested).toEqual({ survivorship: 'biased' });
    for (const result of [trained, scanned, results.get(SECOND)]) {
      expect(result).toMatchObject({ survivorship: 'biased' });
    }
    for (const [stored, said] of [
      ['unbiased', 'unbiased'],
      ['unknown', 'biased'],
    ] as const) {
      await sql`update market.universes set survivorship = ${stored}`;
      expect(await night.train(FIRST, universeVersion)).toMatchObject({ survivorship: said });
      expect(await night.scan(FIRST, universeVersion)).toMatchObject({ survivorship: said });
      expect(await backtest(SECOND)).toMatchObject({ survivorship: said });
    }
    await sql`update market.universes set survivorship = 'biased'`;
  });
});

describe('runDrift on the same night', () => {
  it('logs all of the real dataset and honestly has too little history to judge', async () => {
    const drift = createDriftActivities(rig.deps());
    const step = await rig.begin({ task: 'driftMonitoring', sessionDate: SECOND, universeVersion });
    const { result } = await runActivity(drift, 'runDrift', step);
    await rig.finish(step, result);
    expect(result).toMatchObject({
      status: 'not_enough_data',
      features: 50,
      alarms: 0,
      retrainingFlag: false,
    });
    expect(result['modelVersion']).not.toBe('none');
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    const [row] = await rig.db('pipeline').sql<{ rows: number; psi: number }[]>`
      select count(*) as rows, count(psi) as psi from turbomode.drift_log
      where session_date = ${SECOND} and baseline_kind = 'rolling'`;
    expect(row?.rows).toBe(50 + SCORED);
    expect(row?.psi).toBeGreaterThan(35);
  });
});

describe('the quarter before, issued in time', () => {
  const issue = (from: string, to: string): Promise<void> =>
    issueLivePredictions(rig.db('pipeline').sql, { universeVersion, from, to });

  it('is opened by the first backtest that has all its outcomes, and no other one changes it', async () => {
    await issue('2017-10-02', '2017-12-29');
    await issue('2018-01-16', '2018-01-19');
    const opened = await backtest(SECOND);
    expect(opened['holdout']).toMatchObject({
      opened: [
        {
          quarter: '2017-Q4',
          openedSession: SECOND,
          openedTonight: true,
          sessions: 63,
          calendarSessions: 63,
          predictions: 504,
          // All that were tried by then, not those its first run knew.
          trials: 3 * SCORED,
          // Eight symbols are too few for an IC.
          verdict: 'no_edge',
          ic: { value: null },
        },
      ],
      closed: [{ quarter: '2018-Q1', sessions: 4, predictions: 32, why: 'the quarter is not over' }],
    });
    const { sql } = rig.db('pipeline');
    const [row] = await sql<{ gain: number; direct: number }[]>`
      select h.log_loss_gain as gain, o.direct from turbomode.holdout_openings h, lateral (
        select ln(2.0) + avg(ln(case m.target_excess when 1 then p.p_meta else 1 - p.p_meta end)) as direct
        from turbomode.predictions p join turbomode.matured_predictions m
          using (session_date, universe, universe_version, model_version, revision, symbol)
        where p.model_version = 'live' and p.session_date < '2018-01-01' and m.target_excess is not null) o`;
    expect(row?.gain).toBeCloseTo(row?.direct ?? Number.NaN, 12);
    // A new trial reads all that is written by now; what is not opened is not in its track record either.
    const other = await backtest(SECOND, spoiled('codeHash', 'e'));
    expect(other['trackSessions']).toEqual({ live: 63, simulated: 1 });
    expect(other['holdout']).toEqual(opened['holdout']);
    const before = await fingerprint();
    const again = await backtest(SECOND);
    expect(again['backtestId']).toBe(opened['backtestId']);
    expect(again['holdout']).toEqual(opened['holdout']);
    expect(await fingerprint()).toEqual(before);
    const past = await backtest(FIRST);
    expect(past['holdout']).toMatchObject({ opened: [] });
    const after = await fingerprint();
    expect(after['holdout_openings']).toBe(before['holdout_openings']);
  });
});
