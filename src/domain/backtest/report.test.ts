import { describe, expect, it } from 'vitest';
import { syntheticMarket } from '../testdata/synthetic-market.ts';
import { createRng } from '../statistics/rng.ts';
import { topDecileExposure } from './exposure.ts';
import { maturePredictions } from './maturing.ts';
import { runBacktest, type BacktestInput } from './report.ts';
import type { PriceGrid } from './simulate.ts';

const SESSIONS = 130;
const SYMBOLS = 24;
const SECTORS = Array.from({ length: SYMBOLS }, (_, i) => `sector${i % 4}`);

/** Prices whose open-to-close return of session t + 1 is the panel's forward return of t. */
function pricesOf(forwardReturn: Float64Array): PriceGrid {
  const size = (SESSIONS + 1) * SYMBOLS;
  const rng = createRng(9);
  const open = Float64Array.from({ length: size }, () => 50 + 10 * rng.uniform());
  const close = Float64Array.from(open);
  forwardReturn.forEach((value, row) => {
    close[row + SYMBOLS] = (open[row + SYMBOLS] ?? 0) * (1 + value);
  });
  return { sessions: SESSIONS + 1, symbols: SYMBOLS, open, close };
}

function makeInput(signal: number): BacktestInput {
  const { panel, models } = syntheticMarket({
    seed: 12,
    sessions: SESSIONS,
    symbols: SYMBOLS,
    models: 2,
    signal,
  });
  const start = Date.UTC(2017, 0, 2);
  return {
    panel,
    models,
    meanLogit: models['model1'] ?? new Float64Array(),
    sessions: Array.from({ length: SESSIONS + 1 }, (_, i) =>
      new Date(start + i * 86_400_000).toISOString().slice(0, 10),
    ),
    sectorOfSymbol: SECTORS,
    prices: pricesOf(panel.forwardReturn),
    horizonSessions: 1,
    replicates: 200,
    survivorship: 'biased',
  };
}

describe('trades without their planned exit', () => {
  it('stand beside the cancelled ones, closed at the next close', () => {
    const input = makeInput(0.25);
    const plain = runBacktest(input).models[0];
    expect(plain?.closedLate).toMatchObject({ trades: 0, totalNet: plain?.performance.totalNet });
    // Of the sessions from 40 on one in three has no close for the first half of the symbols.
    const close = input.prices.close.map((value, i) => {
      const session = Math.floor(i / SYMBOLS);
      return session >= 40 && session % 3 === 0 && i % SYMBOLS < SYMBOLS / 2 ? Number.NaN : value;
    });
    const model = runBacktest({ ...input, prices: { ...input.prices, close } }).models[0];
    expect(model?.fills.missing_exit).toBeGreaterThan(10);
    expect(model?.closedLate.trades).toBe(model?.fills.missing_exit);
    expect(model?.closedLate.totalNet).not.toBe(model?.performance.totalNet);
  });
});

describe('runBacktest', () => {
  const report = runBacktest(makeInput(0.25));
  const [strong, idle] = report.models;

  it('says what it is', () => {
    expect(report).toMatchObject({
      survivorship: 'biased',
      horizonSessions: 1,
      quantile: 0.1,
      costBpsPerSide: 5,
      firstSession: '2017-01-03',
      lastSession: '2017-05-12',
    });
    expect(report.notes.join(' ')).toMatch(/dividends.*survivorship.*closedLate/);
    expect(report.models.map(({ name }) => name)).toEqual(['model0', 'model1', 'meanLogit']);
    expect(report.trials.count).toBe(3);
    expect(report.models[2]?.evaluation).toBeNull();
  });

  it('a model with an edge earns money, one without pays its costs', () => {
    expect(strong?.performance.sharpe.low).toBeGreaterThan(1);
    expect(strong?.performance.breakEvenCostBps).toBeGreaterThan(5);
    expect(idle?.performance.turnoverPerSession).toBeCloseTo(2, 1);
    expect(idle?.performance.costTotal).toBeCloseTo(0.0005 * 2 * SESSIONS, 2);
    expect(idle?.performance.totalNet).toBeLessThan(idle?.performance.totalGross ?? 0);
    expect(strong?.performance.deflatedSharpe).toBeGreaterThan(idle?.performance.deflatedSharpe ?? 1);
  });

  it('months and sectors each add up to the whole', () => {
    const net = (strong?.fills.filled ?? 0) > 0 ? sumOfNet(report.curves[0]?.points ?? []) : 0;
    for (const slices of [strong?.byMonth ?? [], strong?.bySector ?? []]) {
      expect(slices.reduce((total, slice) => total + slice.netTotal, 0)).toBeCloseTo(net, 9);
      expect(slices.reduce((total, slice) => total + slice.rows, 0)).toBe(SESSIONS * SYMBOLS);
    }
    expect(strong?.byMonth.map(({ key }) => key)).toEqual([
      '2017-01',
      '2017-02',
      '2017-03',
      '2017-04',
      '2017-05',
    ]);
    expect(strong?.byMonth[0]).toMatchObject({ sessions: 30, blockLength: 6 });
    expect(strong?.byMonth[0]?.ic.low).not.toBeNull();
    expect(strong?.bySector.map(({ key }) => key)).toEqual(['sector0', 'sector1', 'sector2', 'sector3']);
    expect(strong?.bySector[0]?.ic.value).toBeNull();
  });

  it('deciles: as many rows each, probabilities rise, and with an edge so do the returns', () => {
    const deciles = strong?.byDecile ?? [];
    expect(deciles.map(({ decile }) => decile)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(deciles.reduce((total, { rows }) => total + rows, 0)).toBe(SESSIONS * SYMBOLS);
    for (let i = 1; i < 10; i += 1) {
      expect(deciles[i]?.meanProbability).toBeGreaterThan(deciles[i - 1]?.meanProbability ?? 1);
    }
    expect(deciles[9]?.excessReturn.low).toBeGreaterThan(deciles[0]?.excessReturn.high ?? 1);
  });

  it('has the three benchmarks, and only buy and hold is overnight', () => {
    expect(report.benchmarks.map(({ name, holdsOvernight }) => [name, holdsOvernight])).toEqual([
      ['equalWeight', false],
      ['zero', false],
      ['buyAndHold', true],
    ]);
    expect(report.benchmarks[1]?.totalReturn).toBe(0);
    expect(report.benchmarks[2]?.words).toMatch(/overnight.*without dividends/);
    expect(report.curves.map(({ name }) => name)).toEqual([
      'model0',
      'model1',
      'meanLogit',
      'equalWeight',
      'buyAndHold',
    ]);
    const lengths = new Set(report.curves.map(({ points }) => points.length));
    expect(lengths).toEqual(new Set([SESSIONS]));
  });

  it('is plain JSON and the same every time', () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(runBacktest(makeInput(0.25))).toEqual(report);
  });

  it('a meta-learner without predictions in the first blocks is traded only where it has some', () => {
    const input = makeInput(0);
    const late = (input.models['model0'] ?? new Float64Array()).map((p, row) =>
      (input.panel.block[row] ?? 0) >= 1 ? p : Number.NaN,
    );
    const { models } = runBacktest({ ...input, models: { late } });
    expect(models[0]?.performance.sessions).toBe(SESSIONS - 63);
    expect(models[0]?.evaluation?.metrics.sessions).toBe(SESSIONS - 63);
  });

  it('dates must fit the grid', () => {
    expect(() => runBacktest({ ...makeInput(0), sessions: ['2017-01-02'] })).toThrow(/dates/);
  });
});

function sumOfNet(points: readonly { net: number }[]): number {
  return points.reduce((total, { net }, i) => total + net / (points[i - 1]?.net ?? 1) - 1, 0);
}

describe('exposure of the top decile', () => {
  const rng = createRng(2);
  const n = 40 * 30;
  const session = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 30));
  const symbol = Int32Array.from({ length: n }, (_, i) => i % 30);
  const beta = Float64Array.from({ length: n }, () => 1 + 0.3 * rng.normal());
  const bootstrap = { blockLength: 10, replicates: 200, seed: 1 };

  it('finds a book that only buys beta in one sector', () => {
    const sectorOfSymbol = Array.from({ length: 30 }, (_, i) => (i < 10 ? 'Tech' : 'Other'));
    const probability = beta.map((b, row) => 0.5 + 0.01 * b + ((symbol[row] ?? 0) < 10 ? 0.1 : 0));
    const exposure = topDecileExposure(
      { session, symbol, probability },
      { characteristics: { beta, size: beta.map((b) => -b) }, sectorOfSymbol, bootstrap },
    );
    expect(exposure.beta.difference.low).toBeGreaterThan(0.2);
    expect(exposure.beta.universe).toBeCloseTo(1, 1);
    expect(exposure.sizeRank.difference.high).toBeLessThan(-0.2);
    expect(exposure.sectors).toEqual([
      { sector: 'Other', top: 0, universe: 20 / 30 },
      { sector: 'Tech', top: 1, universe: 10 / 30 },
    ]);
  });

  it('is silent about what is not known', () => {
    const exposure = topDecileExposure(
      { session, symbol, probability: Float64Array.from(beta, (_, row) => 0.4 + 1e-6 * row) },
      { characteristics: {}, sectorOfSymbol: [], bootstrap },
    );
    expect(exposure.beta).toMatchObject({ top: null, universe: null, difference: { value: null } });
    expect(exposure.sectors).toEqual([{ sector: 'unknown', top: 1, universe: 1 }]);
  });

  it('has none where the model prefers nothing', () => {
    const exposure = topDecileExposure(
      { session, symbol, probability: beta.map(() => 0.5) },
      { characteristics: { beta }, sectorOfSymbol: [], bootstrap },
    );
    expect(exposure.beta).toMatchObject({ top: null, universe: null, difference: { value: null } });
    expect(exposure.sectors).toEqual([]);
  });
});

describe('maturing', () => {
  const predictions = {
    session: Int32Array.of(10, 10, 10, 11, 12),
    symbol: Int32Array.of(0, 1, 2, 0, 0),
    probability: Float64Array.of(0.6, 0.4, 0.7, 0.55, 0.5),
    baseRate: new Float64Array(5).fill(0.5),
  };
  const asked: [number, number][] = [];
  const outcomeOf = (session: number, symbol: number) => {
    asked.push([session, symbol]);
    if (symbol === 1) return { target: null, forwardReturn: 0.01, excessReturn: 0, reason: 'tie' };
    if (symbol === 2)
      return { target: null, forwardReturn: null, excessReturn: null, reason: 'exit price flagged' };
    return { target: 1, forwardReturn: 0.02, excessReturn: 0.01, reason: null };
  };
  const result = maturePredictions(predictions, { asOfSession: 12, horizonSessions: 1, outcomeOf });

  it('matures what is due, keeps the rest pending, says why there is no outcome', () => {
    expect(result.counts).toEqual({ matured: 3, pending: 1, no_outcome: 1 });
    expect(result.rows.map(({ status }) => status)).toEqual([
      'matured',
      'matured',
      'no_outcome',
      'matured',
      'pending',
    ]);
    expect(result.rows[0]).toMatchObject({ correct: true, target: 1, exitSession: 11, reason: null });
    expect(result.rows[0]?.logLoss).toBeCloseTo(-Math.log(0.6), 12);
    expect(result.rows[1]).toMatchObject({
      correct: null,
      logLoss: null,
      forwardReturn: 0.01,
      reason: 'tie',
    });
    expect(result.rows[2]?.reason).toBe('exit price flagged');
  });

  it('never asks for an outcome later than the session', () => {
    expect(asked.every(([session]) => session + 1 <= 12)).toBe(true);
    expect(asked).toHaveLength(4);
  });

  it('gives the metrics functions NaN where nothing is known', () => {
    expect(Array.from(result.panel.target)).toEqual([1, Number.NaN, Number.NaN, 1, Number.NaN]);
    expect(result.panel.forwardReturn[2]).toBeNaN();
  });
});
