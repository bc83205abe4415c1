import type { FeatureInput, FeatureMatrix } from './panel.ts';

/**
 * Checks that any feature set must pass, registry or not; each throws with the first feature that fails. They work
 * on the whole panel, so that a leak through ranks or the calendar shows as well.
 */
export type FeatureFunction = (input: FeatureInput) => FeatureMatrix<Float32Array | Float64Array>;

type PriceField = 'open' | 'high' | 'low' | 'close';
const PRICES: readonly PriceField[] = ['open', 'high', 'low', 'close'];

/** The input reduced to sessions `[from, to)`. */
export function sliceSessions(input: FeatureInput, from: number, to?: number): FeatureInput {
  const cut = (rows: readonly Float64Array[]): Float64Array[] => rows.map((row) => row.slice(from, to));
  return {
    ...input,
    sessions: input.sessions.slice(from, to),
    open: cut(input.open),
    high: cut(input.high),
    low: cut(input.low),
    close: cut(input.close),
    volume: cut(input.volume),
  };
}

/** Every bar after `last` replaced by one a thousand times as high, so that a peek cannot stay small. */
function withOtherFuture(input: FeatureInput, last: number): FeatureInput {
  const change = (rows: readonly Float64Array[]): Float64Array[] =>
    rows.map((row) => row.map((x, i) => (i > last ? x * (1000 + (i % 7)) : x)));
  return {
    ...input,
    open: change(input.open),
    high: change(input.high),
    low: change(input.low),
    close: change(input.close),
    volume: change(input.volume),
  };
}

/**
 * Nothing up to a session may depend on what comes later: cut the future off, then replace it, at each of `cuts`
 * (indices of the last session kept); every value up to there must stay exactly the same.
 */
export function assertNoLookAhead(
  compute: FeatureFunction,
  input: FeatureInput,
  options: { cuts: readonly number[] },
): void {
  const whole = compute(input);
  for (const last of options.cuts) {
    const kept = (last + 1) * input.symbols.length;
    for (const changed of [sliceSessions(input, 0, last + 1), withOtherFuture(input, last)]) {
      const other = compute(changed);
      for (const [f, name] of whole.names.entries()) {
        const expected = whole.values[f]!;
        const actual = other.values[f]!;
        for (let i = 0; i < kept; i += 1) {
          if (Object.is(actual[i], expected[i])) continue;
          throw new Error(
            `${name} looks ahead: at ${place(input, i)} it is ${String(expected[i])}, but ` +
              `${String(actual[i])} when what follows ${input.sessions[last] ?? 'the end'} is another future`,
          );
        }
      }
    }
  }
}

/**
 * Starting `skip` sessions later changes nothing beyond `tolerance` once the declared warm-up is over. Relative to
 * the value or, near 0, to the root mean square of the feature.
 */
export function assertSettles(
  compute: FeatureFunction,
  input: FeatureInput,
  options: { skip: number; warmupSessions: (name: string) => number; tolerance?: number },
): void {
  const { skip, warmupSessions, tolerance = 1e-8 } = options;
  const whole = compute(input);
  const later = compute(sliceSessions(input, skip));
  const members = input.symbols.length;
  for (const [f, name] of whole.names.entries()) {
    const expected = whole.values[f]!.subarray((skip + warmupSessions(name)) * members);
    const actual = later.values[f]!.subarray(warmupSessions(name) * members);
    if (expected.length === 0) throw new Error(`${name}: no session is left to compare`);
    const difference = largestDifference(actual, expected);
    if (difference <= tolerance) continue;
    throw new Error(
      `${name} has not settled after ${String(warmupSessions(name))} sessions: ${String(difference)}`,
    );
  }
}

/** Prices times `factor` and volumes divided by it (a split) change nothing beyond `tolerance`. */
export function assertScaleInvariant(
  compute: FeatureFunction,
  input: FeatureInput,
  options: { factor: number; tolerance?: number },
): void {
  const { factor, tolerance = 1e-8 } = options;
  const scaled = { ...input, volume: input.volume.map((row) => row.map((x) => x / factor)) };
  for (const field of PRICES) scaled[field] = input[field].map((row) => row.map((x) => x * factor));
  const whole = compute(input);
  const other = compute(scaled);
  for (const [f, name] of whole.names.entries()) {
    const difference = largestDifference(other.values[f]!, whole.values[f]!);
    if (difference <= tolerance) continue;
    throw new Error(`${name} changes with the price scale ${String(factor)}: ${String(difference)}`);
  }
}

/** Relative to max(|expected|, root mean square of all expected); Infinity where only one of the two is NaN. */
function largestDifference(
  actual: Float32Array | Float64Array,
  expected: Float32Array | Float64Array,
): number {
  let squares = 0;
  let count = 0;
  for (const x of expected) {
    if (Number.isNaN(x)) continue;
    squares += x * x;
    count += 1;
  }
  const scale = count === 0 ? 1 : Math.sqrt(squares / count);
  let worst = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Number.isNaN(a) !== Number.isNaN(e)) return Number.POSITIVE_INFINITY;
    if (a !== e && !Number.isNaN(e)) worst = Math.max(worst, Math.abs(a - e) / Math.max(Math.abs(e), scale));
  }
  return worst;
}

function place(input: FeatureInput, i: number): string {
  const session = input.sessions[Math.floor(i / input.symbols.length)] ?? '?';
  return `${session} ${input.symbols[i % input.symbols.length] ?? '?'}`;
}
