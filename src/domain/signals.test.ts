import { describe, expect, it } from 'vitest';
import { edgeHistory, makeSignals, quantileSize, type SignalInput } from './signals.ts';

/** 20 symbols S00..S19 with probabilities falling from 0.59 to 0.40. */
const ROWS = Array.from({ length: 20 }, (_, i) => ({
  symbol: `S${String(i).padStart(2, '0')}`,
  probability: 0.59 - 0.01 * i,
}));
const INPUT: SignalInput = {
  rows: ROWS,
  notScored: [],
  baseRate: 0.495,
  labelKind: 'excess',
  verdict: 'edge',
};

describe('makeSignals', () => {
  it('top and bottom tenth outperform and underperform, the rest holds with the reason', () => {
    const { signals, perSide, issued } = makeSignals(INPUT);
    expect([perSide, issued]).toEqual([2, 4]);
    expect(signals.slice(0, 3).map(({ action }) => action)).toEqual(['outperform', 'outperform', 'hold']);
    expect(signals.slice(-3).map(({ action }) => action)).toEqual(['hold', 'underperform', 'underperform']);
    expect(signals[2]).toMatchObject({ symbol: 'S02', rank: 3, reason: 'inside_quantiles' });
    expect(signals[2]?.words).toBe('hold: rank 3 of 20 is outside the top and bottom 2');
    expect(signals[0]?.edge).toBeCloseTo(0.095, 12);
  });

  it('says buy and sell under the direction label', () => {
    const { signals } = makeSignals({ ...INPUT, labelKind: 'direction' });
    expect([signals[0]?.action, signals[19]?.action]).toEqual(['buy', 'sell']);
  });

  it('without an edge everything holds, still ranked', () => {
    const { signals, issued } = makeSignals({ ...INPUT, verdict: 'no_edge' });
    expect(issued).toBe(0);
    expect(signals.map(({ rank }) => rank)).toEqual(ROWS.map((_, i) => i + 1));
    expect(signals[0]).toMatchObject({ symbol: 'S00', action: 'hold', reason: 'no_edge' });
  });

  it('needs the smallest edge, exactly reached is enough', () => {
    const rows = [
      { symbol: 'A', probability: 0.5625 },
      { symbol: 'B', probability: 0.5 },
      { symbol: 'C', probability: 0.49 },
    ];
    const exact = { ...INPUT, rows, baseRate: 0.5, minEdge: 0.0625, quantile: 0.34 };
    expect(makeSignals(exact).signals.map(({ action, reason }) => reason ?? action)).toEqual([
      'outperform',
      'inside_quantiles',
      'below_min_edge',
    ]);
  });

  it('never calls a symbol below the base rate an outperformer, however high its rank', () => {
    const { signals } = makeSignals({ ...INPUT, baseRate: 0.7 });
    expect(signals[0]).toMatchObject({ action: 'hold', reason: 'wrong_side' });
    expect(signals[19]?.action).toBe('underperform');
  });

  it('breaks ties by symbol, whatever the order of the rows', () => {
    const rows = ['Z', 'a', 'B', 'A'].map((symbol) => ({ symbol, probability: 0.6 }));
    const order = (list: typeof rows) =>
      makeSignals({ ...INPUT, rows: list }).signals.map(({ symbol }) => symbol);
    expect(order(rows)).toEqual(['A', 'B', 'Z', 'a']);
    expect(order([...rows].reverse())).toEqual(order(rows));
  });

  it('ranks equal probabilities by the tie-break', () => {
    const rows = ['A', 'B', 'C'].map((symbol, i) => ({
      symbol,
      probability: 0.5,
      tieBreak: [0.1, 0.3, 0.2][i] ?? 0,
    }));
    expect(makeSignals({ ...INPUT, rows }).signals.map(({ symbol }) => symbol)).toEqual(['B', 'C', 'A']);
  });

  it('lists what was not scored, with the reason, after the rest', () => {
    const { signals, scored } = makeSignals({
      ...INPUT,
      rows: [...ROWS, { symbol: 'NAN', probability: Number.NaN }],
      notScored: [{ symbol: 'HALT', reason: 'no bar at the session' }],
    });
    expect(scored).toBe(20);
    expect(signals.slice(-2)).toMatchObject([
      {
        symbol: 'HALT',
        action: 'not_scored',
        reason: 'no bar at the session',
        rank: null,
        probability: null,
      },
      { symbol: 'NAN', action: 'not_scored', reason: 'prediction_not_finite' },
    ]);
  });

  it('confidence is the percentile of |edge| in the out-of-fold history', () => {
    const history = edgeHistory(
      Float64Array.of(0.51, 0.46, 0.5, Number.NaN, 0.6),
      Float64Array.of(0.5, 0.5, 0.5, 0.5, 0.5),
    );
    expect(Array.from(history, (x) => Number(x.toFixed(6)))).toEqual([0, 0.01, 0.04, 0.1]);
    const { signals } = makeSignals({ ...INPUT, history });
    expect(signals[0]?.confidence).toBe(0.75);
    expect(makeSignals(INPUT).signals[0]?.confidence).toBeNull();
  });

  it('handles one symbol and none', () => {
    expect(makeSignals({ ...INPUT, rows: ROWS.slice(0, 1) }).signals[0]?.reason).toBe('inside_quantiles');
    expect(makeSignals({ ...INPUT, rows: [] })).toEqual({ signals: [], scored: 0, perSide: 0, issued: 0 });
  });

  it('refuses bad options and doubled symbols', () => {
    expect(() => makeSignals({ ...INPUT, quantile: 0.6 })).toThrow(/quantile/);
    expect(() => makeSignals({ ...INPUT, minEdge: -0.1 })).toThrow(/minEdge/);
    expect(() => makeSignals({ ...INPUT, notScored: [{ symbol: 'S00', reason: 'x' }] })).toThrow(/S00/);
  });

  it('is plain JSON', () => {
    const list = makeSignals(INPUT);
    expect(JSON.parse(JSON.stringify(list))).toEqual(list);
  });
});

it('quantileSize: floor, at least one, at most half', () => {
  expect([30, 505, 8, 2, 1, 0].map((n) => quantileSize(n, 0.1))).toEqual([3, 50, 1, 1, 0, 0]);
  expect([5, 6].map((n) => quantileSize(n, 0.5))).toEqual([2, 3]);
});
