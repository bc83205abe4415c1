import { describe, expect, it } from 'vitest';
import {
  adx,
  atr,
  bollinger,
  cci,
  ema,
  macd,
  mfi,
  obv,
  roc,
  rsi,
  sma,
  stochastic,
  williamsR,
} from './indicators.ts';
import reference from './testdata/indicators.json' with { type: 'json' };
import { parseSeries } from './testdata/series.ts';

interface Bars {
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  volume: Float64Array;
}
type Lines = Record<string, Float64Array>;

/** Every line of every indicator, under the names of the reference file. */
function allLines({ high, low, close, volume }: Bars): Lines {
  const convergence = macd(close);
  const slow = stochastic(high, low, close);
  const slow14 = stochastic(high, low, close, { fastK: 14, slowD: 5 });
  return {
    sma30: sma(close),
    sma1: sma(close, 1),
    ema30: ema(close),
    ema5: ema(close, 5),
    rsi14: rsi(close),
    rsi2: rsi(close, 2),
    macd: convergence.macd,
    macdSignal: convergence.signal,
    macdHistogram: convergence.histogram,
    atr14: atr(high, low, close),
    atr1: atr(high, low, close, 1),
    ...bollinger(close),
    adx14: adx(high, low, close),
    adx3: adx(high, low, close, 3),
    obv: obv(close, volume),
    stochasticK: slow.k,
    stochasticD: slow.d,
    stochasticK14: slow14.k,
    stochasticD14: slow14.d,
    cci14: cci(high, low, close),
    williamsR14: williamsR(high, low, close),
    roc10: roc(close),
    mfi14: mfi(high, low, close, volume),
  };
}

/** Largest difference relative to max(1, |expected|); Infinity where only one of the two is NaN. */
function largestDifference(actual: Float64Array, expected: Float64Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  return expected.reduce((worst, e, i) => {
    const a = actual[i]!;
    if (Number.isNaN(e) || Number.isNaN(a)) {
      return Number.isNaN(e) && Number.isNaN(a) ? worst : Number.POSITIVE_INFINITY;
    }
    return Math.max(worst, Math.abs(a - e) / Math.max(1, Math.abs(e)));
  }, 0);
}

function parseBars(input: Record<keyof Bars, string>): Bars {
  return {
    high: parseSeries(input.high),
    low: parseSeries(input.low),
    close: parseSeries(input.close),
    volume: parseSeries(input.volume),
  };
}

const sliceBars = (bars: Bars, from: number, to?: number): Bars => ({
  high: bars.high.slice(from, to),
  low: bars.low.slice(from, to),
  close: bars.close.slice(from, to),
  volume: bars.volume.slice(from, to),
});

describe('indicators against TA-Lib', () => {
  for (const [name, { input, expected }] of Object.entries(reference.cases)) {
    it(`equal TA-Lib within 1e-8, undefined values included: ${name}`, () => {
      const actual = allLines(parseBars(input));
      const lines = Object.entries(expected);
      expect(Object.keys(actual).sort()).toEqual(lines.map(([line]) => line).sort());
      for (const [line, values] of lines) {
        expect(largestDifference(actual[line]!, parseSeries(values)), line).toBeLessThan(1e-8);
      }
    });
  }
});

describe('indicators on hard input', () => {
  const real = parseBars(reference.cases.AAPL.input);

  it('give NaN only for series shorter than the period, and nothing for empty ones', () => {
    for (const length of [0, 1]) {
      for (const [line, values] of Object.entries(allLines(sliceBars(real, 0, length)))) {
        expect(values.length, line).toBe(length);
        const defined = ['sma1', 'obv'].includes(line);
        if (!defined) expect(values.every(Number.isNaN), line).toBe(true);
      }
    }
  });

  it('look at nothing later than the index', () => {
    const whole = allLines(real);
    for (const [line, values] of Object.entries(allLines(sliceBars(real, 0, 133)))) {
      expect(values, line).toEqual(whole[line]!.slice(0, 133));
    }
  });

  it('start afresh behind a gap, as if the series began there', () => {
    const gap = 100;
    const holed = sliceBars(real, 0);
    for (const field of [holed.high, holed.low, holed.close, holed.volume]) field[gap] = Number.NaN;
    const after = allLines(sliceBars(real, gap + 1));
    const before = allLines(sliceBars(real, 0, gap));
    for (const [line, values] of Object.entries(allLines(holed))) {
      expect(values[gap], line).toBeNaN();
      expect(values.slice(0, gap), line).toEqual(before[line]!);
      // The rate of change needs its two end points only, so it alone can reach across the gap.
      if (line === 'roc10') continue;
      expect(largestDifference(values.slice(gap + 1), after[line]!), line).toBeLessThan(1e-12);
    }
    const rate = roc(holed.close, 10);
    expect(rate[gap + 10]).toBeNaN();
    expect(rate[gap + 9]).toBeCloseTo(roc(real.close, 10)[gap + 9]!, 12);
  });

  it('treat a missing volume as a missing bar where volume counts', () => {
    const volume = real.volume.slice();
    volume[50] = Number.NaN;
    const flow = mfi(real.high, real.low, real.close, volume);
    expect(flow.subarray(50, 64).every(Number.isNaN)).toBe(true);
    expect(flow[64]).toBeCloseTo(mfi(real.high, real.low, real.close, real.volume)[64]!, 9);
    expect(obv(real.close, volume)[51]).toBe(volume[51]);
  });

  it('have neutral values on constant series, never NaN or -0', () => {
    const flat = (x: number): Float64Array => new Float64Array(80).fill(x);
    for (const price of [0.1, 1e-9, 3e9]) {
      const bars = { high: flat(price), low: flat(price), close: flat(price), volume: flat(0) };
      const last = Object.fromEntries(
        Object.entries(allLines(bars)).map(([line, values]) => [line, values[79]!]),
      );
      for (const line of ['sma30', 'sma1', 'upper', 'middle', 'lower']) expect(last[line]).toBe(price);
      for (const line of ['ema30', 'ema5']) expect(last[line]! / price).toBeCloseTo(1, 12);
      for (const line of ['rsi14', 'atr14', 'adx14', 'cci14', 'williamsR14', 'roc10', 'mfi14', 'obv']) {
        expect(last[line], line).toBe(0);
      }
      for (const line of ['stochasticK', 'stochasticD']) expect(last[line], line).toBe(0);
    }
  });

  it('allow a period of 1', () => {
    const { high, low, close, volume } = real;
    expect(ema(close, 1)).toEqual(close);
    expect(new Set(rsi(close, 1).subarray(1))).toEqual(new Set([0, 100]));
    expect(bollinger(close, { period: 1 }).upper).toEqual(close);
    expect(cci(high, low, close, 1).every((x) => x === 0)).toBe(true);
    expect(williamsR(high, low, close, 1)[5]).toBeCloseTo(
      (-100 * (high[5]! - close[5]!)) / (high[5]! - low[5]!),
      9,
    );
    expect(stochastic(high, low, close, { fastK: 1, slowK: 1, slowD: 1 }).k[0]).toBeGreaterThanOrEqual(0);
    expect(
      adx(high, low, close, 1)
        .subarray(1)
        .every((x) => x >= 0 && x <= 100),
    ).toBe(true);
    expect(new Set(mfi(high, low, close, volume, 1).subarray(1))).toEqual(new Set([0, 100]));
    expect(macd(close, { fast: 1, slow: 1, signal: 1 }).histogram.every((x) => x === 0)).toBe(true);
  });

  it('swap fast and slow like TA-Lib', () => {
    expect(macd(real.close, { fast: 26, slow: 12 })).toEqual(macd(real.close));
  });

  it('stay exact on long series and large offsets', () => {
    const length = 200_000;
    const close = Float64Array.from({ length }, (_, i) => 1e7 + 50 * Math.sin(i / 7) + ((i * 7919) % 13));
    const high = close.map((x) => x + 2);
    const low = close.map((x) => x - 2);
    const volume = close.map((_, i) => 1e9 + (i % 97));
    const whole = allLines({ high, low, close, volume });
    const tail = allLines(sliceBars({ high, low, close, volume }, length - 2000));
    for (const [line, values] of Object.entries(tail)) {
      if (line === 'obv') continue;
      expect(largestDifference(whole[line]!.slice(length - 500), values.slice(-500)), line).toBeLessThan(
        1e-8,
      );
    }
    const { upper, lower } = bollinger(close);
    expect(upper.subarray(19).every((x, i) => x - lower[i + 19]! > 1)).toBe(true);
  });

  it('refuse a bad period or length, naming the field', () => {
    const { high, low, close, volume } = real;
    for (const bad of [0, -3, 2.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const calls: [RegExp, () => unknown][] = [
        [/period/, () => sma(close, bad)],
        [/period/, () => ema(close, bad)],
        [/period/, () => rsi(close, bad)],
        [/fast/, () => macd(close, { fast: bad })],
        [/slow/, () => macd(close, { slow: bad })],
        [/signal/, () => macd(close, { signal: bad })],
        [/period/, () => atr(high, low, close, bad)],
        [/period/, () => bollinger(close, { period: bad })],
        [/period/, () => adx(high, low, close, bad)],
        [/fastK/, () => stochastic(high, low, close, { fastK: bad })],
        [/slowK/, () => stochastic(high, low, close, { slowK: bad })],
        [/slowD/, () => stochastic(high, low, close, { slowD: bad })],
        [/period/, () => cci(high, low, close, bad)],
        [/period/, () => williamsR(high, low, close, bad)],
        [/period/, () => roc(close, bad)],
        [/period/, () => mfi(high, low, close, volume, bad)],
      ];
      for (const [field, call] of calls) {
        expect(call).toThrow(RangeError);
        expect(call).toThrow(field);
      }
    }
    expect(() => bollinger(close, { deviations: -1 })).toThrow(/deviations/);
    expect(() => atr(high, low.slice(1), close)).toThrow(/low/);
    expect(() => obv(close, volume.slice(1))).toThrow(/volume/);
  });
});
