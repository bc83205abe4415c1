import { describe, expect, it } from 'vitest';
import reference from '../testdata/backtest-reference.json' with { type: 'json' };
import { buyAndHold } from './benchmarks.ts';
import { deflatedSharpe, equityCurve, maxDrawdown, sharpePerSession, summarise } from './performance.ts';
import { planLongShort, planUniverse, sessionDeciles } from './plan.ts';
import { simulate, type PriceGrid } from './simulate.ts';

function numbers(values: readonly (number | null)[]): Float64Array {
  return Float64Array.from(values, (value) => value ?? Number.NaN);
}

/** Rows of `prices` are sessions, columns symbols. */
function grid(open: number[][], close: number[][]): PriceGrid {
  return {
    sessions: open.length,
    symbols: open[0]?.length ?? 0,
    open: Float64Array.from(open.flat()),
    close: Float64Array.from(close.flat()),
  };
}

/** Four symbols A, B, C, D; decisions after sessions 0 and 1. */
const PRICES = grid(
  [
    [100, 50, 20, 10],
    [100, 50, 20, 10],
    [102, 51, 19, 10],
  ],
  [
    [100, 50, 20, 10],
    [104, 49, 18, 10],
    [102, 53, 19.5, 9],
  ],
);
const ROWS = {
  session: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1),
  symbol: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3),
  probability: Float64Array.of(0.6, 0.52, 0.4, 0.5, 0.45, 0.55, 0.51, 0.44),
};
const ONE_SESSION = { quantile: 0.25, horizonSessions: 1, costBpsPerSide: 5, borrowBpsPerYear: 252 };

describe('four symbols by hand', () => {
  // Night 0: long A 100 -> 104 = +4 %, short C 20 -> 18 = +10 %. Night 1: long B 51 -> 53, short D 10 -> 9.
  const { daily, fills } = simulate(planLongShort(ROWS, ONE_SESSION), PRICES, ONE_SESSION);

  it('earns half the capital times each leg', () => {
    expect(daily.firstSession).toBe(1);
    expect(daily.gross[0]).toBeCloseTo(0.5 * 0.04 + 0.5 * 0.1, 12);
    expect(daily.gross[1]).toBeCloseTo(0.5 * (2 / 51) + 0.5 * 0.1, 12);
    expect(fills).toEqual({ filled: 4, missing_entry: 0, missing_exit: 0, pending: 0 });
  });

  it('pays both sides on what was traded, and the borrow on the short', () => {
    const traded = 0.5 + 0.5 * 1.04 + 0.5 + 0.5 * 0.9;
    expect(daily.traded[0]).toBeCloseTo(traded, 12);
    expect(daily.cost[0]).toBeCloseTo(traded * 0.0005, 15);
    expect(daily.borrow[0]).toBeCloseTo(0.5 * 0.0001, 15);
    expect(daily.net[0]).toBeCloseTo(0.07 - traded * 0.0005 - 0.00005, 12);
    expect([daily.longExposure[0], daily.shortExposure[0]]).toEqual([0.5, 0.5]);
  });

  it('at h = 2 a tranche has half the capital, is marked at the close in between and overlaps the next', () => {
    const options = { ...ONE_SESSION, horizonSessions: 2, costBpsPerSide: 0, borrowBpsPerYear: 0 };
    const twoDay = simulate(planLongShort(ROWS, options), PRICES, options);
    expect(twoDay.fills).toMatchObject({ filled: 2, pending: 2 });
    expect(twoDay.daily.gross[0]).toBeCloseTo(0.25 * 0.04 + 0.25 * 0.1, 12);
    expect(twoDay.daily.gross[1]).toBeCloseTo(0.25 * (-2 / 100) - 0.25 * (1.5 / 20), 12);
    const total = twoDay.daily.gross.reduce((a, b) => a + b, 0);
    expect(total).toBeCloseTo(0.25 * 0.02 - 0.25 * (19.5 / 20 - 1), 12);
  });
});

describe('missing prices', () => {
  it('a missing exit is not filled: its capital stays in cash, the other leg is untouched', () => {
    const close = Float64Array.from(PRICES.close);
    close[4] = Number.NaN;
    const { daily, fills, positions } = simulate(
      planLongShort(ROWS, ONE_SESSION),
      { ...PRICES, close },
      ONE_SESSION,
    );
    expect(fills).toMatchObject({ filled: 3, missing_exit: 1 });
    expect(daily.gross[0]).toBeCloseTo(0.5 * 0.1, 12);
    expect([daily.longExposure[0], daily.shortExposure[0]]).toEqual([0, 0.5]);
    expect([positions.gross[0], positions.cost[0], positions.traded[0]]).toEqual([0, 0, 0]);
  });

  it('with closesLate a missing exit leaves at the next close there is, the entry stays', () => {
    const close = Float64Array.from(PRICES.close);
    close[4] = Number.NaN;
    const costs = { costBpsPerSide: 0, borrowBpsPerYear: 0, horizonSessions: 1, quantile: 0.25 };
    const plan = { session: Int32Array.of(0), symbol: Int32Array.of(0), weight: Float64Array.of(0.5) };
    const { daily, fills, closedLate } = simulate(plan, { ...PRICES, close }, { ...costs, closesLate: true });
    expect({ ...fills, closedLate }).toMatchObject({ filled: 1, missing_exit: 0, closedLate: 1 });
    const entry = PRICES.open[4] ?? Number.NaN;
    const exit = PRICES.close[8] ?? Number.NaN;
    expect(daily.gross.reduce((a, b) => a + b, 0)).toBeCloseTo(0.5 * (exit / entry - 1), 12);
    expect([daily.gross[0], daily.longExposure[0], daily.longExposure[1]]).toEqual([0, 0.5, 0.5]);
    const never = Float64Array.from(close, (value, i) => (i % 4 === 0 && i > 0 ? Number.NaN : value));
    const open = simulate(plan, { ...PRICES, close: never }, { ...costs, closesLate: true });
    expect(open.fills).toMatchObject({ filled: 0, missing_exit: 1 });
  });

  it('a missing entry is not filled either', () => {
    const open = Float64Array.from(PRICES.open);
    open[4] = Number.NaN;
    const { fills } = simulate(planLongShort(ROWS, ONE_SESSION), { ...PRICES, open }, ONE_SESSION);
    expect(fills).toMatchObject({ filled: 3, missing_entry: 1 });
  });

  it('an exit beyond the grid is pending and books nothing', () => {
    const late = { ...ROWS, session: ROWS.session.map((s) => s + 1) };
    const { daily, fills } = simulate(planLongShort(late, ONE_SESSION), PRICES, ONE_SESSION);
    expect(fills).toMatchObject({ filled: 2, pending: 2 });
    expect(daily.net.length).toBe(1);
  });
});

describe('against a walk-forward in plain Python loops', () => {
  reference.cases.forEach((example) => {
    it(`h = ${example.horizonSessions}, quantile ${example.quantile}`, () => {
      const { sessions, symbols, expected } = example;
      const rows = {
        session: Int32Array.from({ length: sessions * symbols }, (_, i) => Math.floor(i / symbols)),
        symbol: Int32Array.from({ length: sessions * symbols }, (_, i) => i % symbols),
        probability: numbers(example.probability),
      };
      const prices = { sessions, symbols, open: numbers(example.open), close: numbers(example.close) };
      const { daily, fills, positions } = simulate(planLongShort(rows, example), prices, example);
      expect(fills).toEqual(expected.fills);
      for (const name of ['gross', 'cost', 'borrow', 'traded', 'net'] as const) {
        expected[name].forEach((value, day) =>
          expect(daily[name][day], `${name} ${day}`).toBeCloseTo(value, 12),
        );
        expect(daily[name].length).toBe(expected[name].length);
      }
      const sum = (column: Float64Array) => column.reduce((a, b) => a + b, 0);
      for (const name of ['gross', 'cost', 'borrow', 'traded'] as const) {
        expect(sum(positions[name]), `positions and days agree on ${name}`).toBeCloseTo(sum(daily[name]), 12);
      }
      const summary = summarise(daily, {
        bootstrap: { blockLength: 10, replicates: 200, seed: 1 },
        trials: { count: 9, sharpeVariance: 0.003 },
      });
      expect(summary.totalNet).toBeCloseTo(expected.totalNet, 12);
      expect(summary.sharpe.value).toBeCloseTo(expected.sharpe, 10);
      expect(summary.deflatedSharpe).toBeCloseTo(expected.deflatedSharpe, 10);
      expect(summary.drawdown.depth).toBeCloseTo(expected.drawdown, 12);
      expect(summary.breakEvenCostBps).toBeCloseTo(expected.breakEvenCostBps, 8);
    });
  });
});

describe('identities', () => {
  const example = reference.cases[1]!;
  const rows = {
    session: Int32Array.from({ length: 480 }, (_, i) => Math.floor(i / 12)),
    symbol: Int32Array.from({ length: 480 }, (_, i) => i % 12),
    probability: numbers(example.probability),
  };
  const prices = { sessions: 40, symbols: 12, open: numbers(example.open), close: numbers(example.close) };
  const plan = planLongShort(rows, example);
  const run = (costBpsPerSide: number) =>
    simulate(plan, prices, { horizonSessions: 3, costBpsPerSide, borrowBpsPerYear: 100 });
  const sum = (column: Float64Array) => column.reduce((a, b) => a + b, 0);

  it('costs change net by exactly their rate times the traded notional, and never gross', () => {
    const [free, dear] = [run(0), run(12)];
    expect(dear.daily.gross).toEqual(free.daily.gross);
    expect(sum(free.daily.net) - sum(dear.daily.net)).toBeCloseTo(0.0012 * sum(free.daily.traded), 12);
  });

  it('at the break-even cost the net sum is zero', () => {
    const bootstrap = { blockLength: 10, replicates: 50, seed: 1 };
    const breakEven = summarise(run(7).daily, { bootstrap, trials: { count: 1 } }).breakEvenCostBps ?? 0;
    // A losing strategy breaks even at a negative cost, which the simulation refuses: check the identity itself.
    const free = run(0).daily;
    expect(sum(free.net) - (breakEven / 10_000) * sum(free.traded)).toBeCloseTo(0, 12);
  });

  it('reversed probabilities reverse the book', () => {
    const mirrored = { ...rows, probability: rows.probability.map((p) => 1 - p + 0) };
    const noTies = { ...rows, probability: rows.probability.map((p, i) => p + i * 1e-6) };
    const noTiesMirrored = { ...mirrored, probability: noTies.probability.map((p) => 1 - p) };
    const options = { ...example, costBpsPerSide: 0, borrowBpsPerYear: 0 };
    const a = simulate(planLongShort(noTies, options), prices, options);
    const b = simulate(planLongShort(noTiesMirrored, options), prices, options);
    expect(sum(a.daily.gross)).toBeCloseTo(-sum(b.daily.gross), 12);
  });

  it('long and short weigh half the capital each in every full session', () => {
    const full = simulate(planLongShort(ROWS, { ...ONE_SESSION, quantile: 0.5 }), PRICES, ONE_SESSION);
    expect(full.daily.longExposure[0]).toBeCloseTo(0.5, 12);
    expect(full.daily.shortExposure[0]).toBeCloseTo(0.5, 12);
  });

  it('the universe benchmark earns the mean open-to-close return', () => {
    const { daily } = simulate(planUniverse(ROWS, 1), PRICES, { ...ONE_SESSION, costBpsPerSide: 0 });
    expect(daily.gross[0]).toBeCloseTo((0.04 - 0.02 - 0.1 + 0) / 4, 12);
    expect(daily.longExposure[0]).toBeCloseTo(1, 12);
  });
});

describe('plans', () => {
  const tied = (...probabilities: number[]) => ({
    session: new Int32Array(probabilities.length),
    symbol: Int32Array.from(probabilities, (_, symbol) => symbol),
    probability: Float64Array.from(probabilities),
  });
  const traded = (rows: ReturnType<typeof tied>, quantile: number) => {
    const plan = planLongShort(rows, { quantile, horizonSessions: 1 });
    return Array.from(plan.symbol, (symbol, i) => [symbol, plan.weight[i]]);
  };

  it('trades nothing, and has no deciles, where all probabilities are equal', () => {
    const rows = tied(0.5, 0.5, 0.5, 0.5, Number.NaN);
    expect(traded(rows, 0.25)).toEqual([]);
    expect(traded(rows, 0.5)).toEqual([]);
    expect(Array.from(sessionDeciles(rows))).toEqual([-1, -1, -1, -1, -1]);
  });

  it('leaves out what ties with the first symbol left out of its side', () => {
    expect(traded(tied(0.4, 0.6, 0.5, 0.5), 0.5)).toEqual([
      [1, 0.25],
      [0, -0.25],
    ]);
    expect(traded(tied(0.4, 0.6, 0.6, 0.5), 0.25)).toEqual([[0, -0.5]]);
  });

  it('ties within a side are both traded; deciles break ties by symbol and ignore rows without prediction', () => {
    const rows = tied(0.6, 0.4, 0.6, 0.4, Number.NaN);
    expect(traded(rows, 0.5).map(([symbol]) => symbol)).toEqual([0, 2, 3, 1]);
    expect(Array.from(sessionDeciles(rows))).toEqual([9, 4, 7, 2, -1]);
  });

  it('equal returns have no Sharpe ratio, whatever rounding leaves of their deviation', () => {
    expect(sharpePerSession(new Float64Array(62).fill(-0.001 / 3))).toBeNaN();
    expect(sharpePerSession(Float64Array.of(0.01, 0.02, 0.03))).toBeCloseTo(2, 12);
  });

  it('trades nothing with fewer than two symbols', () => {
    const one = { session: Int32Array.of(0), symbol: Int32Array.of(0), probability: Float64Array.of(0.6) };
    const plan = planLongShort(one, { quantile: 0.1, horizonSessions: 1 });
    expect(plan.session.length).toBe(0);
    const { daily, fills } = simulate(plan, PRICES, ONE_SESSION);
    expect([daily.net.length, fills.filled]).toEqual([0, 0]);
    const summary = summarise(daily, {
      bootstrap: { blockLength: 10, replicates: 10, seed: 1 },
      trials: { count: 1 },
    });
    expect(summary).toMatchObject({ sessions: 0, totalNet: 0, annualisedNet: null, breakEvenCostBps: null });
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });

  it('refuses bad options and rows off the grid', () => {
    const plan = planLongShort(ROWS, ONE_SESSION);
    expect(() => simulate(plan, PRICES, { ...ONE_SESSION, horizonSessions: 0 })).toThrow(/horizonSessions/);
    expect(() => simulate(plan, PRICES, { ...ONE_SESSION, costBpsPerSide: -1 })).toThrow(/costBpsPerSide/);
    expect(() => simulate(plan, PRICES, { ...ONE_SESSION, borrowBpsPerYear: -1 })).toThrow(
      /borrowBpsPerYear/,
    );
    expect(() => simulate({ ...plan, symbol: plan.symbol.map(() => 9) }, PRICES, ONE_SESSION)).toThrow(
      /off the/,
    );
  });
});

describe('performance', () => {
  it('drawdown: depth, peak, trough, recovery', () => {
    const equity = equityCurve(Float64Array.of(0.1, -0.5, 0.2, 1, -0.1));
    expect(maxDrawdown(equity, 100)).toEqual({
      depth: 0.5,
      peakSession: 100,
      troughSession: 101,
      recoverySession: 103,
    });
    expect(maxDrawdown(Float64Array.of(0.9, 0.8), 5)).toMatchObject({
      peakSession: null,
      recoverySession: null,
    });
    expect(maxDrawdown(Float64Array.of(1.1, 1.2), 5).depth).toBe(0);
  });

  it('deflated Sharpe ratio of the example in the paper', () => {
    const value = deflatedSharpe({
      sharpePerSession: 2.5 / Math.sqrt(250),
      sessions: 1250,
      skewness: -3,
      kurtosis: 10,
      trials: { count: 100, sharpeVariance: 0.5 / 250 },
    });
    expect(value).toBeCloseTo(0.9004, 3);
  });

  it('more trials deflate more; one trial is the probabilistic ratio', () => {
    const input = { sharpePerSession: 0.08, sessions: 500, skewness: 0, kurtosis: 3 };
    const at = (count: number) => deflatedSharpe({ ...input, trials: { count } });
    expect(at(1)).toBeGreaterThan(0.95);
    expect(at(9)).toBeLessThan(at(1));
    expect(at(1000)).toBeLessThan(at(9));
  });
});

describe('buy and hold', () => {
  it('holds equal amounts without rebalancing and carries a missing close forward', () => {
    const prices = grid(
      [
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
      ],
      [
        [10, 20, Number.NaN],
        [20, Number.NaN, 5],
        [10, 30, 6],
      ],
    );
    const hold = buyAndHold(prices, 0, 2);
    expect([hold.symbols, hold.firstSession]).toEqual([2, 1]);
    expect(hold.returns[0]).toBeCloseTo(0.5, 12);
    expect(hold.returns[1]).toBeCloseTo((1 + 1.5) / 3 - 1, 12);
    expect(buyAndHold(prices, 2, 2).returns.length).toBe(0);
  });
});
