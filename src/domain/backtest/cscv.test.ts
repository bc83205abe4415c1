import { describe, expect, it } from 'vitest';
import { mean } from '../statistics/quantile.ts';
import { createRng } from '../statistics/rng.ts';
import reference from '../testdata/overfitting-reference.json' with { type: 'json' };
import { cscv } from './cscv.ts';

function noise(options: { seed: number; series: number; sessions: number }): Float64Array[] {
  const rng = createRng(options.seed);
  return Array.from({ length: options.series }, () =>
    Float64Array.from({ length: options.sessions }, () => 0.01 * rng.normal()),
  );
}

describe('against every split written out with numpy', () => {
  it.each(reference.cases)('$name', ({ series, subBlocks, expected }) => {
    const result = cscv(
      series.map((column) => Float64Array.from(column)),
      subBlocks,
    );
    expect(result.combinations).toBe(expected.combinations);
    expect(result.probability).toBe(expected.probability);
    expect(result.medianLogit).toBeCloseTo(expected.medianLogit, 12);
    expect(result.probabilityOfLoss).toBe(expected.probabilityOfLoss);
    expect(result.bestInSample).toBeCloseTo(expected.bestInSample, 12);
    expect(result.bestOutOfSample).toBeCloseTo(expected.bestOutOfSample, 12);
  });
});

describe('two parts by hand', () => {
  const first = Float64Array.of(0.03, 0.01, -0.01, -0.03);
  const second = Float64Array.of(-0.01, 0.0, 0.01, 0.03);

  it('the best of one half is the worst of the other, both ways', () => {
    expect(cscv([first, second], 2)).toMatchObject({
      combinations: 2,
      sessionsPerSubBlock: 2,
      probability: 1,
      probabilityOfLoss: 1,
      medianLogit: Math.log(1 / 2),
    });
  });

  it('equal series share their rank: the middle one counts as not better', () => {
    const result = cscv([first, Float64Array.from(first)], 2);
    expect(result).toMatchObject({ probability: 1, medianLogit: 0 });
  });
});

describe('what it says of strategies', () => {
  it('one that is truly best stays best', () => {
    const columns = noise({ seed: 1, series: 10, sessions: 160 });
    columns[6] = (columns[6] ?? new Float64Array()).map((value) => value + 0.006);
    expect(cscv(columns, 16).probability).toBeLessThan(0.02);
  });

  it('useless ones: one half on average over many markets', () => {
    const found = Array.from({ length: 300 }, (_, seed) =>
      cscv(noise({ seed, series: 10, sessions: 80 }), 8),
    );
    expect(Math.abs(mean(found.map(({ probability }) => probability)) - 0.5)).toBeLessThan(0.05);
    // The best of ten looks good where it was chosen, and is nothing elsewhere.
    expect(mean(found.map(({ bestInSample }) => bestInSample ?? 0))).toBeGreaterThan(0.2);
    expect(Math.abs(mean(found.map(({ bestOutOfSample }) => bestOutOfSample ?? 1)))).toBeLessThan(0.03);
  });

  it('those that pay for each good stretch with a bad one: nearly always overfitted', () => {
    const columns = noise({ seed: 3, series: 10, sessions: 160 }).map((column) => {
      const centre = mean(column);
      return column.map((value) => value - centre);
    });
    const result = cscv(columns, 16);
    expect(result.probability).toBeGreaterThan(0.95);
    expect(result.medianLogit).toBeLessThan(-1);
    expect(result.probabilityOfLoss).toBeGreaterThan(0.95);
  });
});

describe('cscv', () => {
  it('goes through all 12,870 halves of sixteen parts well within a second of processor time', () => {
    const columns = noise({ seed: 4, series: 30, sessions: 288 });
    const before = process.cpuUsage();
    expect(cscv(columns, 16).combinations).toBe(12_870);
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
  });

  it('a half without variation has a ratio of zero, or of infinity where it earned something', () => {
    const idle = Float64Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.001 * (i % 3)));
    const paid = Float64Array.from({ length: 16 }, (_, i) => (i < 8 ? 0.001 : -0.01 * (i % 2)));
    const result = cscv([idle, paid], 2);
    expect(result).toMatchObject({ bestInSample: null, probability: 1 });
  });

  it('refuses what cannot be cut', () => {
    const columns = noise({ seed: 5, series: 3, sessions: 40 });
    expect(() => cscv(columns.slice(0, 1), 8)).toThrow(/two series/);
    expect(() => cscv(columns, 7)).toThrow(/even/);
    expect(() => cscv(columns, 22)).toThrow(/even/);
    expect(() => cscv(columns, 16)).toThrow(/40 sessions/);
    expect(() => cscv([...columns, new Float64Array(39)], 8)).toThrow(/same sessions/);
    expect(() => cscv([...columns, new Float64Array(40).fill(Number.NaN)], 8)).toThrow(/not a number/);
  });
});
