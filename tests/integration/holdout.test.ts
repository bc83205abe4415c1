import { afterEach, describe, expect, it } from 'vitest';
import { holdoutResult, openingRows, readHoldouts } from '../../src/activities/backtest/holdout.ts';
import { readRunConfig } from '../../src/activities/config.ts';
import { readCalendar } from '../../src/activities/datasets/market-panel.ts';
import { insertHoldoutOpening } from '../../src/db/queries/holdouts.ts';
import { judgeHoldouts } from '../../src/domain/backtest/holdout.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';
import { MaturedMarket } from './matured-market.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
const DECEMBER = [
  '2017-12-21',
  '2017-12-22',
  '2017-12-26',
  '2017-12-27',
  '2017-12-28',
  '2017-12-29',
] as const;
const JANUARY = ['2018-01-02', '2018-01-03', '2018-01-04', '2018-01-05'] as const;
const SESSIONS = [...DECEMBER, ...JANUARY];
/** Its night was missed. */
const MISSED = '2017-12-22';
/** No bar of it on 2018-01-02 until a night later. */
const LATE = 'SC';

let market: MaturedMarket | null = null;
afterEach(async () => {
  await market?.close();
  market = null;
});

async function openMarket(): Promise<{ nights: MaturedMarket; provider: ScriptedProvider }> {
  const provider = new ScriptedProvider('first');
  const rng = createRng(17);
  for (const [index, symbol] of SYMBOLS.entries()) {
    for (const session of SESSIONS) {
      const [, high, low, , volume] = bar(20 + index);
      const close = (20 + index) * (1 + 0.008 * (rng.uniform() - 0.5));
      provider.set(symbol, session, [20 + index, high, low, close, volume]);
    }
  }
  const settings = { historySessions: 4 };
  market = await MaturedMarket.open({ universe: 'live', symbols: SYMBOLS, settings }, [provider]);
  return { nights: market, provider };
}

/** What the backtest of a night does with its quarters, with the number of trials it counted. */
async function openQuarters(nights: MaturedMarket, sessionDate: string, trials: number) {
  const { sql } = nights.house.db('pipeline');
  const step = await nights.begin(sessionDate);
  const calendar = await readCalendar(sql, await readRunConfig(sql, step));
  const found = await readHoldouts(sql, { ...step, writtenThrough: 'infinity', calendar });
  const judged = judgeHoldouts(found.due, { replicates: 200, seed: 1 });
  const openings = openingRows(found.due, { judged, night: step, trials });
  await sql.begin(async (tx) => {
    for (const opening of openings) await insertHoldoutOpening(tx, opening);
  });
  return { taskRunId: step.taskRunId, ...holdoutResult(step, found, openings) };
}

/** The rows, with what tells that one was written again. */
async function stored(nights: MaturedMarket) {
  return await nights.house.sql<Record<string, unknown>[]>`
    select t.xmin::text as xmin, t.* from turbomode.holdout_openings t order by quarter`;
}

/** Mean over sessions of the rank correlation, as the database itself computes it. */
async function icBySql(nights: MaturedMarket, through: string): Promise<number> {
  const [row] = await nights.house.sql<{ ic: number }[]>`
    with ranked as (
      select p.session_date, rank() over (partition by p.session_date order by p.p_meta) as said,
        rank() over (partition by p.session_date order by m.forward_return) as came
      from turbomode.predictions p join turbomode.matured_predictions m
        using (session_date, universe, universe_version, model_version, revision, symbol)
      where not p.simulated and p.session_date <= ${through} and m.forward_return is not null
        and m.invalid_from is null)
    select avg(c.ic) as ic from (select corr(said, came) as ic from ranked group by session_date) c`;
  return row?.ic ?? Number.NaN;
}

describe('a quarter of predictions that were issued before their outcome', () => {
  it('is opened once, by the first night after it whose outcomes are all there, and never changes', async () => {
    const { nights, provider } = await openMarket();
    const rng = createRng(23);
    const night = async (session: string, trials = 10) => {
      await nights.ingest(session);
      await nights.mature(session);
      const opened = await openQuarters(nights, session, trials);
      if (session !== MISSED) await nights.predict(session, { probability: () => 0.4 + 0.2 * rng.uniform() });
      return opened;
    };
    // The last night of the quarter has outcomes of nearly all of it, and does not look at them.
    let last = null;
    for (const session of DECEMBER) last = await night(session);
    expect(last).toMatchObject({
      opened: [],
      closed: [{ quarter: '2017-Q4', sessions: 4, predictions: 96, why: 'the quarter is not over' }],
    });
    const missing = provider.rows.get(LATE)?.get('2018-01-02') ?? null;
    provider.set(LATE, '2018-01-02', null);
    expect(await night('2018-01-02')).toMatchObject({
      opened: [],
      closed: [
        { quarter: '2017-Q4', sessions: 5, predictions: 120, why: '1 prediction waits for its outcome' },
      ],
    });
    expect(await stored(nights)).toEqual([]);

    provider.set(LATE, '2018-01-02', missing);
    const opened = await night('2018-01-03', 30);
    expect(opened).toMatchObject({
      opened: [{ quarter: '2017-Q4', openedSession: '2018-01-03', openedTonight: true, trials: 30 }],
      closed: [{ quarter: '2018-Q1', sessions: 1, predictions: 24, why: 'the quarter is not over' }],
    });
    const rows = await stored(nights);
    expect(rows).toMatchObject([
      {
        quarter: '2017-Q4',
        firstSession: '2017-12-21',
        lastSession: '2017-12-29',
        sessions: 5,
        calendarSessions: 63,
        predictions: 120,
        withoutOutcome: 0,
        icSessions: 5,
        verdict: 'no_edge',
        trials: 30,
        openedSession: '2018-01-03',
        taskRunId: opened.taskRunId,
        baseRateLogLoss: Math.LN2,
        words: expect.stringMatching(
          /^Holdout 2017-Q4, opened once by the night of 2018-01-03: 120 predictions issued .* 5 of 63 sessions; 30 trials/,
        ) as string,
        details: { issued: { modelVersions: 1, labelKinds: ['excess'], horizonsSessions: [1] } },
      },
    ]);
    expect(rows[0]?.['ic']).toBeCloseTo(await icBySql(nights, '2017-12-29'), 12);

    // Later nights, the same one again, one of the past, one that is filled in, a bar that changes: nothing moves.
    expect(await night('2018-01-04', 40)).toMatchObject({
      opened: [{ quarter: '2017-Q4', openedTonight: false, trials: 30 }],
    });
    expect(await openQuarters(nights, '2018-01-03', 50)).toMatchObject({
      opened: [{ openedTonight: true, trials: 30 }],
    });
    await nights.predict(MISSED, { simulated: true });
    await nights.mature(MISSED);
    expect(await openQuarters(nights, MISSED, 50)).toMatchObject({ opened: [] });
    provider.set('SA', '2017-12-28', bar(25));
    await nights.ingest('2018-01-05');
    await nights.mature('2018-01-05');
    expect(await openQuarters(nights, '2018-01-05', 60)).toMatchObject({
      opened: [{ quarter: '2017-Q4', openedSession: '2018-01-03', trials: 30 }],
      closed: [{ quarter: '2018-Q1', sessions: 3 }],
    });
    expect(await stored(nights)).toEqual(rows);
  });

  it('waits for nothing where no night issued one in time', async () => {
    const { nights } = await openMarket();
    for (const session of ['2017-12-28', '2017-12-29', '2018-01-02']) {
      await nights.ingest(session);
      await nights.predict(session, { simulated: true });
      await nights.mature(session);
    }
    expect(await openQuarters(nights, '2018-01-02', 10)).toMatchObject({ opened: [], closed: [] });
    expect(await stored(nights)).toEqual([]);
  });
});
