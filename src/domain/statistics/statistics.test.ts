import { array, assert, double, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import reference from '../testdata/statistics-reference.json' with { type: 'json' };
import { toJsonNumber, toJsonNumbers } from './json.ts';
import { benjaminiHochberg, holm } from './multiple-testing.ts';
import { lowerBound, quantileSorted, upperBound } from './quantile.ts';
import { averageRanks, pearson, spearman } from './rank.ts';
import { createRng } from './rng.ts';
import { argsort, isAscending, sortAscending } from './sort.ts';
import { detectableShift, noncentralTSf, studentTUpper } from './power.ts';
import { logGamma, normalCdf, normalQuantile, normalSf, studentTSf } from './special.ts';

function expectRelative(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * Math.abs(expected) + 1e-300);
}

describe('distributions against scipy', () => {
  it('normal tail, also far out', () => {
    for (const [x = 0, p = 0] of reference.normalSf) expectRelative(normalSf(x), p, 1e-12);
    expect(normalCdf(0)).toBe(0.5);
    expect(normalSf(Infinity)).toBe(0);
    expect(normalSf(-Infinity)).toBe(1);
  });

  it('normal quantile', () => {
    for (const [p = 0, x = 0] of reference.normalQuantile) {
      expect(Math.abs(normalQuantile(p) - x)).toBeLessThan(1e-9 * Math.max(1, Math.abs(x)));
    }
    expect(normalQuantile(0)).toBe(-Infinity);
    expect(normalQuantile(1)).toBe(Infinity);
    expect(normalQuantile(1.1)).toBeNaN();
  });

  it('Student t and log gamma', () => {
    for (const [t = 0, degrees = 1, p = 0] of reference.studentTSf) {
      expectRelative(studentTSf(t, degrees), p, 1e-10);
    }
    for (const [x = 1, value = 0] of reference.logGamma) {
      expect(Math.abs(logGamma(x) - value)).toBeLessThan(1e-12 * Math.max(1, Math.abs(value)));
    }
    expect(studentTSf(Infinity, 5)).toBe(0);
    expect(studentTSf(-Infinity, 5)).toBe(1);
    expect(studentTSf(1, 0)).toBeNaN();
  });

  it('power of a t test, against scipy (t.isf, nct.sf)', () => {
    for (const [tail = 0, degrees = 0, bound = 0, shift = 0] of [
      [0.025, 2.5, 3.5746548420036834, 4.741038068792689],
      [0.025, 30.1, 2.0419879761876274, 2.8950362142230595],
      [0.025 / 9, 5.4, 4.454512072310001, 5.63752008241513],
      [0.025 / 9, 200, 2.803345839102099, 3.6496756596104896],
    ]) {
      expectRelative(studentTUpper(tail, degrees), bound, 1e-8);
      expectRelative(detectableShift({ tail, degrees, power: 0.8 }), shift, 1e-5);
    }
    expectRelative(noncentralTSf(4.2, 5, 6.75), 0.7406639095633915, 1e-8);
    expectRelative(noncentralTSf(2, 1, 3), 0.25637013159233457, 1e-5);
    expect(studentTUpper(0.5, 3)).toBeNaN();
    expect(detectableShift({ tail: 0.025, degrees: 0, power: 0.8 })).toBeNaN();
  });
});

describe('ranks and quantiles against scipy and numpy', () => {
  it('correlations with ties', () => {
    for (const example of reference.correlations) {
      const a = Float64Array.from(example.a);
      const b = Float64Array.from(example.b);
      expect(Array.from(averageRanks(a))).toEqual(example.ranks);
      expect(pearson(a, b)).toBeCloseTo(example.pearson, 12);
      expect(spearman(a, b)).toBeCloseTo(example.spearman, 12);
    }
    expect(spearman(Float64Array.of(1, 1, 1), Float64Array.of(1, 2, 3))).toBeNaN();
    expect(pearson(Float64Array.of(1), Float64Array.of(1))).toBeNaN();
  });

  it('type-7 quantiles', () => {
    const { sorted, pairs } = reference.quantiles;
    for (const [q = 0, value = 0] of pairs) expect(quantileSorted(sorted, q)).toBe(value);
    expect(quantileSorted([], 0.5)).toBeNaN();
    expect(quantileSorted([-Infinity, 1, 2, Infinity], 0.1)).toBe(-Infinity);
    expect(quantileSorted([-Infinity, 1, 2, Infinity], 0.9)).toBe(Infinity);
    expect(quantileSorted([-Infinity, Infinity], 0.6)).toBe(Infinity);
  });

  it('bounds', () => {
    expect([lowerBound([1, 2, 2, 3], 2), upperBound([1, 2, 2, 3], 2)]).toEqual([1, 3]);
    expect([lowerBound([], 2), upperBound([1], 2)]).toEqual([0, 1]);
  });
});

describe('corrections', () => {
  it('Benjamini-Hochberg as scipy, Holm as defined', () => {
    const { p, benjaminiHochberg: bh, holm: expected } = reference.multiple;
    benjaminiHochberg(p).forEach((value, i) => expect(value).toBeCloseTo(bh[i] ?? 0, 12));
    holm(p).forEach((value, i) => expect(value).toBeCloseTo(expected[i] ?? 0, 12));
    expect(benjaminiHochberg([])).toEqual([]);
  });

  it('Holm counts trials that are not listed', () => {
    expect(holm([0.01, 0.02], 9)).toEqual([0.09, 0.16]);
    expect(() => holm([0.01, 0.02], 1)).toThrow(/tests/);
  });
});

describe('sorting', () => {
  const kinds = {
    normal: (_: number, r: number) => r,
    ties: (_: number, r: number) => Math.round(r),
    narrow: (_: number, r: number) => 1 + r * 1e-12,
    float32: (_: number, r: number) => Math.fround(r * 1e5),
    constant: () => 2.5,
    descending: (i: number) => -i,
    zeros: (i: number) => (i % 2 === 0 ? 0 : -0),
    infinite: (i: number, r: number) => (i % 7 === 0 ? Infinity : i % 11 === 0 ? -Infinity : r),
  };
  for (const [name, make] of Object.entries(kinds)) {
    for (const size of [0, 1, 40, 149, 1499, 5000]) {
      it(`${name}, ${size} values`, () => {
        const rng = createRng(size + 1);
        const values = Float64Array.from({ length: size }, (_, i) => make(i, rng.normal()));
        const before = Float64Array.from(values);
        const sorted = sortAscending(values);
        expect(values).toEqual(before);
        expect(isAscending(sorted)).toBe(true);
        expect(sorted.map((x) => x + 0)).toEqual(
          Float64Array.from(values)
            .sort()
            .map((x) => x + 0),
        );
        const stable = Array.from(values, (value, row) => ({ value, row }))
          .sort((a, b) => (a.value === b.value ? a.row - b.row : a.value - b.value))
          .map(({ row }) => row);
        expect(Array.from(argsort(values))).toEqual(stable);
      });
    }
  }

  it('any doubles', () => {
    assert(
      property(array(double({ noNaN: true }), { minLength: 1600, maxLength: 1700 }), (list) => {
        const values = Float64Array.from(list);
        expect(isAscending(sortAscending(values))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe('random numbers', () => {
  it('the same seed gives the same stream, another seed another one', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createRng(seed).nextUint32);
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(() => createRng(1.5)).toThrow(/seed/);
  });

  it('is pinned, so that stored intervals stay reproducible', () => {
    const rng = createRng(42);
    expect([rng.nextUint32(), rng.nextUint32(), rng.nextUint32()]).toMatchInlineSnapshot(`
      [
        660444221,
        3652823732,
        77672526,
      ]
    `);
    expect([rng.uniform(), rng.normal(), rng.integerBelow(100)]).toMatchInlineSnapshot(`
      [
        0.2119302863992052,
        1.00448289029376,
        39,
      ]
    `);
  });

  it('has the right moments and unbiased integers', () => {
    const rng = createRng(3);
    const values = Array.from({ length: 100_000 }, rng.normal);
    const average = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + b * b, 0) / values.length;
    expect(Math.abs(average)).toBeLessThan(0.012);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i += 1) counts[rng.integerBelow(6)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(() => rng.integerBelow(0)).toThrow(/bound/);
  });
});

it('JSON numbers: what is not finite becomes null', () => {
  expect(toJsonNumbers([1, Number.NaN, Infinity, -2])).toEqual([1, null, null, -2]);
  expect([toJsonNumber(null), toJsonNumber(undefined), toJsonNumber(0)]).toEqual([null, null, 0]);
});
