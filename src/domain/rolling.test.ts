import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  requireSameLength,
  rollingMax,
  rollingMean,
  rollingMin,
  rollingMoments,
  rollingSum,
} from './rolling.ts';

/** Straight from the definition, one window at a time. */
function naive(values: Float64Array, period: number, reduce: (window: number[]) => number): Float64Array {
  return values.map((_, i) => {
    const window = i < period - 1 ? [Number.NaN] : [...values.subarray(i - period + 1, i + 1)];
    return window.some(Number.isNaN) ? Number.NaN : reduce(window);
  });
}

const sum = (window: number[]): number => window.reduce((a, b) => a + b, 0);
const mean = (window: number[]): number => sum(window) / window.length;
const deviation = (window: number[]): number => {
  const centre = mean(window);
  return Math.sqrt(mean(window.map((x) => (x - centre) ** 2)));
};

function expectClose(actual: Float64Array, expected: Float64Array, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i += 1) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Number.isNaN(e) !== Number.isNaN(a) || Math.abs(a - e) > tolerance) {
      throw new Error(`index ${String(i)}: ${String(a)}, expected ${String(e)}`);
    }
  }
}

const series = fc
  .array(
    fc.oneof(
      { weight: 9, arbitrary: fc.double({ min: -1e3, max: 1e3 }) },
      { weight: 1, arbitrary: fc.constant(Number.NaN) },
    ),
    {
      maxLength: 60,
    },
  )
  .map((values) => Float64Array.from(values));

describe('rolling windows', () => {
  it('equal their definitions, gaps included', () => {
    fc.assert(
      fc.property(series, fc.integer({ min: 1, max: 20 }), (values, period) => {
        expectClose(rollingSum(values, period), naive(values, period, sum), 1e-9);
        expectClose(rollingMean(values, period), naive(values, period, mean), 1e-10);
        expectClose(
          rollingMax(values, period),
          naive(values, period, (w) => Math.max(...w)),
          0,
        );
        expectClose(
          rollingMin(values, period),
          naive(values, period, (w) => Math.min(...w)),
          0,
        );
        const moments = rollingMoments(values, period);
        expectClose(moments.mean, naive(values, period, mean), 1e-10);
        // sqrt turns a rounding error of 1e-13 in a variance of 0 into 3e-7.
        expectClose(moments.deviation, naive(values, period, deviation), 1e-6);
      }),
    );
  });

  it('does not drift on a long series with a large offset', () => {
    const length = 300_000;
    const values = Float64Array.from({ length }, (_, i) => 1e9 + Math.sin(i));
    values[1000] = 1e18;
    const { mean: means, deviation: deviations } = rollingMoments(values, 20);
    const window = [...values.subarray(length - 20)].map((x) => x - 1e9);
    expect(means[length - 1]! - 1e9).toBeCloseTo(mean(window), 6);
    expect(deviations[length - 1]!).toBeCloseTo(deviation(window), 7);
    expect(rollingMean(values, 20)[length - 1]! - 1e9).toBeCloseTo(mean(window), 6);
  });

  it('gives a constant window exactly its constant and no deviation', () => {
    const values = new Float64Array(50).fill(0.1);
    expect(
      rollingMean(values, 7)
        .subarray(6)
        .every((x) => x === 0.1),
    ).toBe(true);
    expect(
      rollingMoments(values, 7)
        .deviation.subarray(6)
        .every((x) => x === 0),
    ).toBe(true);
  });

  it('refuses bad periods and lengths by name', () => {
    for (const period of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => rollingMax(new Float64Array(3), period)).toThrow(RangeError);
      expect(() => rollingMean(new Float64Array(3), period)).toThrow(/period/);
    }
    expect(() => requireSameLength({ high: new Float64Array(2), low: new Float64Array(3) })).toThrow(
      /low has 3/,
    );
  });
});
