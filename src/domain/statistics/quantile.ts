/**
 * Type-7 quantile (Hyndman and Fan 1996) of ascending values, rounding as numpy's `quantile` does, so that a
 * value that equals an edge falls on the same side. NaN for an empty sample; infinities are ordered values.
 */
export function quantileSorted(sorted: ArrayLike<number>, q: number): number {
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const position = (n - 1) * q;
  if (position >= n - 1) return sorted[n - 1] ?? Number.NaN;
  if (position <= 0) return sorted[0] ?? Number.NaN;
  const below = Math.floor(position);
  const gamma = position - below;
  const a = sorted[below] ?? Number.NaN;
  const b = sorted[below + 1] ?? Number.NaN;
  if (a === b || gamma === 0) return a;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return interpolateInfinite(a, b, gamma);
  const difference = b - a;
  return gamma >= 0.5 ? b - difference * (1 - gamma) : a + difference * gamma;
}

/** Where one neighbour is infinite the interpolation is that infinity; between both, the nearer one. */
function interpolateInfinite(a: number, b: number, gamma: number): number {
  if (Number.isFinite(a)) return b;
  if (Number.isFinite(b)) return a;
  return gamma < 0.5 ? a : b;
}

/** First index in `sorted[from..]` whose value is >= `value`. */
export function lowerBound(sorted: ArrayLike<number>, value: number, from = 0): number {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First index in `sorted[from..]` whose value is > `value`. */
export function upperBound(sorted: ArrayLike<number>, value: number, from = 0): number {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i] as number;
  return sum / values.length;
}

/** Sample standard deviation (n - 1); NaN below two values. */
export function standardDeviation(values: ArrayLike<number>): number {
  const n = values.length;
  if (n < 2) return Number.NaN;
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < n; i += 1) {
    const d = (values[i] as number) - centre;
    sum += d * d;
  }
  return Math.sqrt(sum / (n - 1));
}
