import { allFinite, requirePeriod, rollingMax, rollingMin, rollingSum } from '../rolling.ts';

/**
 * Windows of features count sessions, never bars: a missing bar shortens the sample, not the calendar. A window
 * has a value when it lies within the series and at least this share of its sessions has one.
 */
export const MIN_WINDOW_COVERAGE = 0.8;

function minCount(sessions: number): number {
  return Math.ceil(sessions * MIN_WINDOW_COVERAGE);
}

/** How many values each window of `sessions` has. */
function countAvailable(values: Float64Array, sessions: number): Float64Array {
  return rollingSum(
    values.map((x) => Number(!Number.isNaN(x))),
    sessions,
  );
}

/** `values` with NaN replaced, and NaN written to `out` where too few values are available. */
function overAvailable(
  values: Float64Array,
  sessions: number,
  options: { filler: number; roll: (filled: Float64Array, sessions: number) => Float64Array },
): { rolled: Float64Array; count: Float64Array | number } {
  requirePeriod('sessions', sessions);
  const { filler, roll } = options;
  if (allFinite(values)) return { rolled: roll(values, sessions), count: sessions };
  const rolled = roll(
    values.map((x) => (Number.isNaN(x) ? filler : x)),
    sessions,
  );
  const count = countAvailable(values, sessions);
  const needed = minCount(sessions);
  for (let i = 0; i < rolled.length; i += 1) {
    if (!(count[i]! >= needed)) rolled[i] = Number.NaN;
  }
  return { rolled, count };
}

/** Mean of the available values of each window of `sessions`. */
export function availableMean(values: Float64Array, sessions: number): Float64Array {
  const { rolled, count } = overAvailable(values, sessions, { filler: 0, roll: rollingSum });
  for (let i = 0; i < rolled.length; i += 1) rolled[i]! /= typeof count === 'number' ? count : count[i]!;
  return rolled;
}

/** Population standard deviation of the available values; meant for returns, whose mean is near 0. */
export function availableDeviation(values: Float64Array, sessions: number): Float64Array {
  const mean = availableMean(values, sessions);
  const square = availableMean(
    values.map((x) => x * x),
    sessions,
  );
  for (let i = 0; i < square.length; i += 1) {
    const variance = square[i]! - mean[i]! * mean[i]!;
    square[i] = variance > 0 ? Math.sqrt(variance) : variance - variance;
  }
  return square;
}

/** Highest available value of each window. */
export function availableMax(values: Float64Array, sessions: number): Float64Array {
  return overAvailable(values, sessions, { filler: -Number.MAX_VALUE, roll: rollingMax }).rolled;
}

/** Lowest available value of each window. */
export function availableMin(values: Float64Array, sessions: number): Float64Array {
  return overAvailable(values, sessions, { filler: Number.MAX_VALUE, roll: rollingMin }).rolled;
}

/** Element by element; all arrays have the length of the first. */
export function combine(
  a: Float64Array,
  b: Float64Array,
  apply: (a: number, b: number) => number,
): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < out.length; i += 1) out[i] = apply(a[i]!, b[i]!);
  return out;
}

/** `values` moved `sessions` later: index i holds the value of `i - sessions`, NaN before. */
export function lagged(values: Float64Array, sessions: number): Float64Array {
  const out = new Float64Array(values.length).fill(Number.NaN);
  if (sessions < values.length) out.set(values.subarray(0, values.length - sessions), sessions);
  return out;
}
