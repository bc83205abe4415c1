import { describe, expect, it } from 'vitest';
import { binOf } from '../drift.ts';
import { countIntoBins, prepareBinSearch } from './bins.ts';
import { createRng } from './rng.ts';

const ascending = (values: readonly number[]) =>
  Float64Array.from([...new Set(values.map((value) => value + 0))].sort((a, b) => a - b));

describe('counting into bins', () => {
  const rng = createRng(9);
  const draw = (count: number, make: () => number) => Array.from({ length: count }, make);
  it.each([
    { name: 'none', edges: [] },
    { name: 'one', edges: [2.5] },
    { name: 'quantiles', edges: draw(99, rng.normal) },
    { name: 'far out', edges: draw(99, () => Math.exp(8 * rng.normal())) },
    { name: 'next to each other', edges: draw(50, () => 1 + 1e-15 * rng.normal()) },
    { name: 'too far apart for their difference', edges: [-1.7e308, 0, 1.7e308] },
    { name: 'too close for their inverse', edges: [0, 5e-324, 1e-323] },
    { name: 'infinite below', edges: [-Infinity, 0, 1] },
    { name: 'infinite above', edges: [0, 1, Infinity] },
  ])('$name: the bins of a plain search, missing values last', ({ edges: given }) => {
    const edges = ascending(given);
    const near = [...edges].flatMap((edge) => [edge, edge - 1e-16, edge + 1e-16, edge * 1.0000001]);
    const values = Float64Array.from([
      ...near,
      ...draw(300, () => 3 * rng.normal()),
      0,
      -0,
      1e300,
      -1e300,
      Infinity,
      -Infinity,
      Number.NaN,
      Number.NaN,
    ]);
    const counts = new Int32Array(edges.length + 2);
    countIntoBins(counts, { values, from: 0, to: values.length }, prepareBinSearch(edges));
    const expected = new Int32Array(edges.length + 2);
    for (const value of values) {
      const slot = Number.isNaN(value) ? edges.length + 1 : binOf(value, edges);
      expected[slot] = (expected[slot] ?? 0) + 1;
    }
    expect(counts).toEqual(expected);
  });

  it('takes the given rows alone, of float32 as of float64', () => {
    const values = Float32Array.of(-1, 0.5, Number.NaN, 7, -1);
    const counts = new Int32Array(3);
    countIntoBins(counts, { values, from: 1, to: 4 }, prepareBinSearch(Float64Array.of(0.5)));
    expect([...counts]).toEqual([0, 2, 1]);
  });
});
