/**
 * Windows over typed arrays, without running sums: each sum is the end of one block plus the beginning of the
 * next. Nothing is ever subtracted again, so errors do not grow with the length of the series, and a NaN
 * touches exactly the windows that contain it.
 */

/** Throws a RangeError that names the field unless it is a positive integer. */
export function requirePeriod(field: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${field} must be a positive integer, got ${String(value)}`);
  }
}

/** Throws a RangeError that names the first array whose length differs from the first one's. */
export function requireSameLength(arrays: Readonly<Record<string, Float64Array>>): void {
  let expected = -1;
  for (const [name, values] of Object.entries(arrays)) {
    if (expected < 0) expected = values.length;
    else if (values.length !== expected) {
      throw new RangeError(`${name} has ${String(values.length)} values, expected ${String(expected)}`);
    }
  }
}

/** An array of `length` NaN. */
export function nanArray(length: number): Float64Array {
  return new Float64Array(length).fill(Number.NaN);
}

/** True when no value is NaN or infinite. */
export function allFinite(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i += 1) {
    const x = values[i]!;
    if (x - x !== 0) return false;
  }
  return true;
}

/** Sum of each window of `period` values; NaN for the first `period - 1` and where the window has a NaN. */
export function rollingSum(values: Float64Array, period: number): Float64Array {
  requirePeriod('period', period);
  const length = values.length;
  if (period > length) return nanArray(length);
  const out = new Float64Array(length);
  const suffix = new Float64Array(period + 1);
  for (let block = 0; block < length; block += period) {
    const end = Math.min(block + period, length);
    let prefix = 0;
    for (let i = block; i < end; i += 1) {
      prefix += values[i]!;
      out[i] = suffix[i - block + 1]! + prefix;
    }
    if (end - block < period) break;
    let sum = 0;
    for (let i = end - 1; i >= block; i -= 1) {
      sum += values[i]!;
      suffix[i - block] = sum;
    }
  }
  return out.fill(Number.NaN, 0, period - 1);
}

/**
 * Mean of each window of `period` values; NaN for the first `period - 1` and where the window has a NaN.
 * Summed around the block's first value, which lies in every window it serves: a large offset costs no digits,
 * and the mean of a constant window is exactly that constant.
 */
export function rollingMean(values: Float64Array, period: number): Float64Array {
  requirePeriod('period', period);
  const length = values.length;
  if (period > length) return nanArray(length);
  const out = new Float64Array(length);
  const suffix = new Float64Array(period + 1);
  for (let block = 0; block < length; block += period) {
    const end = Math.min(block + period, length);
    const centre = values[block]!;
    let sum = 0;
    for (let i = block - 1; i > block - period && i > 0; i -= 1) {
      sum += values[i]! - centre;
      suffix[i - block + period] = sum;
    }
    let prefix = 0;
    for (let i = block; i < end; i += 1) {
      prefix += values[i]! - centre;
      out[i] = centre + (suffix[i - block + 1]! + prefix) / period;
    }
  }
  return out.fill(Number.NaN, 0, period - 1);
}

/** Highest value of each window; NaN for the first `period - 1` and where the window has a NaN. */
export function rollingMax(values: Float64Array, period: number): Float64Array {
  return rollingExtreme(values, period, 1);
}

/** Lowest value of each window; NaN for the first `period - 1` and where the window has a NaN. */
export function rollingMin(values: Float64Array, period: number): Float64Array {
  return rollingExtreme(values, period, -1);
}

/**
 * Doubles the width of the window in each pass. Weights of 0 and 1 choose without a branch (which of two prices
 * is higher cannot be predicted), are exact, and hand a NaN on by themselves.
 */
function rollingExtreme(values: Float64Array, period: number, sign: 1 | -1): Float64Array {
  requirePeriod('period', period);
  if (period > values.length) return nanArray(values.length);
  const out = values.slice();
  for (let width = 1; width < period; ) {
    const step = Math.min(width, period - width);
    for (let i = out.length - 1; i >= step; i -= 1) {
      const x = out[i]!;
      const y = out[i - step]!;
      const takeX = Number((x - y) * sign > 0);
      out[i] = x * takeX + y * (1 - takeX);
    }
    width += step;
  }
  return out.fill(Number.NaN, 0, period - 1);
}

/**
 * Mean and population standard deviation of each window; NaN and accuracy as in {@link rollingMean}: a constant
 * window has deviation exactly 0.
 */
export function rollingMoments(
  values: Float64Array,
  period: number,
): { mean: Float64Array; deviation: Float64Array } {
  requirePeriod('period', period);
  const length = values.length;
  if (period > length) return { mean: nanArray(length), deviation: nanArray(length) };
  const mean = new Float64Array(length);
  const deviation = new Float64Array(length);
  const suffix1 = new Float64Array(period + 1);
  const suffix2 = new Float64Array(period + 1);
  for (let block = 0; block < length; block += period) {
    const end = Math.min(block + period, length);
    const centre = values[block]!;
    let sum1 = 0;
    let sum2 = 0;
    for (let i = block - 1; i > block - period && i > 0; i -= 1) {
      const x = values[i]! - centre;
      sum1 += x;
      sum2 += x * x;
      suffix1[i - block + period] = sum1;
      suffix2[i - block + period] = sum2;
    }
    let prefix1 = 0;
    let prefix2 = 0;
    for (let i = block; i < end; i += 1) {
      const x = values[i]! - centre;
      prefix1 += x;
      prefix2 += x * x;
      const shift = (suffix1[i - block + 1]! + prefix1) / period;
      const variance = (suffix2[i - block + 1]! + prefix2) / period - shift * shift;
      mean[i] = centre + shift;
      deviation[i] = variance > 0 ? Math.sqrt(variance) : variance - variance;
    }
  }
  mean.fill(Number.NaN, 0, period - 1);
  deviation.fill(Number.NaN, 0, period - 1);
  return { mean, deviation };
}
