import { describe, expect, it } from 'vitest';
import { binShares, createBaseline, klDivergence, ksTest, psi, type Samples } from './drift.ts';
import { createRng } from './statistics/rng.ts';
import reference from './testdata/drift-reference.json' with { type: 'json' };

type JsonValue = number | string | null;

function fromJson(values: readonly JsonValue[]): (number | null)[] {
  return values.map((value) => (typeof value === 'string' ? Number(value) : value));
}

/** The deterministic samples of the generator script. */
function spread(shape: readonly number[]): Float64Array {
  const [count = 0, step = 0, modulus = 1] = shape;
  return Float64Array.from({ length: count }, (_, i) => ((i * step) % modulus) / modulus);
}

function inputsOf(inputs: (typeof reference.cases)[number]['inputs']): {
  baseline: Samples;
  current: Samples;
} {
  if (!('formula' in inputs)) {
    return { baseline: fromJson(inputs.baseline), current: fromJson(inputs.current) };
  }
  const current = spread(inputs.current as number[]).map((x) =>
    inputs.squared ? x * x : x + (inputs.shift ?? 0),
  );
  return { baseline: spread(inputs.baseline as number[]), current };
}

const EMPTY_KL = { currentGivenBaseline: Number.NaN, baselineGivenCurrent: Number.NaN };
const EMPTY_KS = { statistic: Number.NaN, pValue: Number.NaN };

describe('against numpy and scipy', () => {
  for (const example of reference.cases) {
    it(example.name, () => {
      const { baseline, current } = inputsOf(example.inputs);
      const options = {
        bins: example.options.bins,
        floor: example.options.floor,
        missing: example.options.missing === 'bin' ? 'bin' : 'drop',
      } as const;
      const shares = binShares(baseline, current, options);
      expect(Array.from(shares?.edges ?? [])).toEqual(fromJson(example.edges));
      example.baselineShares.forEach((share, i) => expect(shares?.baseline[i]).toBeCloseTo(share, 12));
      example.currentShares.forEach((share, i) => expect(shares?.current[i]).toBeCloseTo(share, 12));
      expect(Math.abs(psi(baseline, current, options) - example.psi)).toBeLessThan(1e-9);
      const kl = klDivergence(baseline, current, options);
      expect(Math.abs(kl.currentGivenBaseline - example.currentGivenBaseline)).toBeLessThan(1e-9);
      expect(Math.abs(kl.baselineGivenCurrent - example.baselineGivenCurrent)).toBeLessThan(1e-9);
      const ks = ksTest(baseline, current);
      expect(Math.abs(ks.statistic - example.statistic)).toBeLessThan(1e-9);
      if (example.pValue === null) expect(ks.pValue).toBeNaN();
      else expect(Math.abs(ks.pValue - example.pValue)).toBeLessThan(1e-6);
    });
  }
});

describe('identities', () => {
  const rng = createRng(7);
  const baseline = Float64Array.from({ length: 3000 }, () => rng.normal());
  const current = Float32Array.from({ length: 700 }, () => rng.normal() * 1.2 + 0.1);

  it('PSI is the sum of both KL directions', () => {
    const kl = klDivergence(baseline, current);
    expect(psi(baseline, current)).toBeCloseTo(kl.currentGivenBaseline + kl.baselineGivenCurrent, 12);
  });

  it('a stored baseline gives the same numbers as the raw values, at any number of bins', () => {
    const stored = createBaseline(baseline);
    for (const options of [{}, { bins: 7 }, { missing: 'bin', floor: 0.001 }] as const) {
      expect(psi(stored, current, options)).toBe(psi(baseline, current, options));
      expect(klDivergence(stored, current, options)).toEqual(klDivergence(baseline, current, options));
    }
    expect(ksTest(stored, current)).toEqual(ksTest(baseline, current));
    expect(ksTest(current, stored)).toEqual(ksTest(current, baseline));
  });

  it('sorts a baseline that is already sorted to the same baseline and leaves the input alone', () => {
    const shuffled = Float64Array.from(baseline);
    const stored = createBaseline(shuffled);
    expect(shuffled).toEqual(baseline);
    expect(createBaseline(stored.sorted)).toEqual(stored);
  });

  it('KS is symmetric and identical samples give statistic 0, p 1', () => {
    expect(ksTest(baseline, current)).toEqual(ksTest(current, baseline));
    expect(ksTest(current, current)).toEqual({ statistic: 0, pValue: 1 });
  });

  it('does not care about the order of the values', () => {
    const reversed = Float32Array.from(current).reverse();
    expect(psi(baseline, reversed)).toBe(psi(baseline, current));
    expect(ksTest(baseline, reversed)).toEqual(ksTest(baseline, current));
  });
});

describe('nothing to compare', () => {
  it.each([
    ['empty baseline', [], [1, 2]],
    ['empty current', [1, 2], []],
    ['both empty', [], []],
    ['baseline of missing values', [null, Number.NaN, undefined], [1, 2]],
    ['current of missing values', [1, 2], [null, Number.NaN]],
  ] as [string, Samples, Samples][])('%s is NaN, not an error', (_, baseline, current) => {
    expect(psi(baseline, current)).toBeNaN();
    expect(klDivergence(baseline, current)).toEqual(EMPTY_KL);
    expect(ksTest(baseline, current)).toEqual(EMPTY_KS);
  });

  it('with a bin for missing values a current sample of nothing else is a large drift', () => {
    expect(psi([1, 2, 3, 4], [null, null], { missing: 'bin' })).toBeGreaterThan(5);
    expect(psi([1, 2, 3, 4], [], { missing: 'bin' })).toBeNaN();
    expect(psi([null, null], [1], { missing: 'bin' })).toBeNaN();
  });
});

describe('bad options', () => {
  it.each([
    [{ bins: 1 }, /bins/],
    [{ bins: 2.5 }, /bins/],
    [{ bins: Number.NaN }, /bins/],
    [{ floor: 0 }, /floor/],
    [{ floor: 1 }, /floor/],
    [{ floor: Number.NaN }, /floor/],
    [{ missing: 'keep' as 'bin' }, /missing/],
  ])('%j names the field', (options, message) => {
    expect(() => psi([1, 2], [1, 2], options)).toThrow(RangeError);
    expect(() => psi([1, 2], [1, 2], options)).toThrow(message);
    expect(() => klDivergence([1, 2], [1, 2], options)).toThrow(message);
  });
});

it('40 features, stored baselines of 200,000, 10,000 current values: every statistic in well under a second', () => {
  const rng = createRng(11);
  const stored = createBaseline(Float64Array.from({ length: 200_000 }, () => rng.normal()));
  const current = Float64Array.from({ length: 10_000 }, () => rng.normal());
  const started = performance.now();
  for (let feature = 0; feature < 40; feature += 1) {
    psi(stored, current);
    klDivergence(stored, current);
    ksTest(stored, current);
  }
  // The goal of 0.2 s is measured by bench/drift.ts; this bound only catches a lost fast path on a busy machine.
  expect(performance.now() - started).toBeLessThan(1500);
});
