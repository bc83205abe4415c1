import {
  nanArray,
  requirePeriod,
  requireSameLength,
  rollingMax,
  rollingMean,
  rollingMin,
  rollingMoments,
  rollingSum,
} from './rolling.ts';

/** Simple moving average (TA-Lib SMA). Defined from index `period - 1`. */
export function sma(values: Float64Array, period = 30): Float64Array {
  return rollingMean(values, period);
}

/** `period` defaults to 20, `deviations` (of the population standard deviation, to both sides) to 2. */
export interface BollingerOptions {
  period?: number;
  deviations?: number;
}

export interface Bollinger {
  upper: Float64Array;
  middle: Float64Array;
  lower: Float64Array;
}

/** Bollinger bands around the simple moving average (TA-Lib BBANDS). Defined from index `period - 1`. */
export function bollinger(values: Float64Array, options: BollingerOptions = {}): Bollinger {
  const { period = 20, deviations = 2 } = options;
  if (!Number.isFinite(deviations) || deviations < 0) {
    throw new RangeError(`deviations must be a finite number >= 0, got ${String(deviations)}`);
  }
  const { mean: middle, deviation } = rollingMoments(values, period);
  const upper = new Float64Array(values.length);
  const lower = deviation;
  for (let i = 0; i < upper.length; i += 1) {
    const width = deviation[i]! * deviations;
    upper[i] = middle[i]! + width;
    lower[i] = middle[i]! - width;
  }
  return { upper, middle, lower };
}

/** TA-Lib's defaults: `fastK` 5 (the window of highs and lows), `slowK` 3 and `slowD` 3 (simple averages). */
export interface StochasticOptions {
  fastK?: number;
  slowK?: number;
  slowD?: number;
}

export interface Stochastic {
  k: Float64Array;
  d: Float64Array;
}

/** Slow stochastic, 0..100 (TA-Lib STOCH). Both lines start at `fastK + slowK + slowD - 3`; 0 without a range. */
export function stochastic(
  high: Float64Array,
  low: Float64Array,
  close: Float64Array,
  options: StochasticOptions = {},
): Stochastic {
  const { fastK = 5, slowK = 3, slowD = 3 } = options;
  requirePeriod('fastK', fastK);
  requirePeriod('slowK', slowK);
  requirePeriod('slowD', slowD);
  requireSameLength({ high, low, close });
  const highest = rollingMax(high, fastK);
  const lowest = rollingMin(low, fastK);
  const raw = highest;
  for (let i = 0; i < raw.length; i += 1) {
    const bottom = lowest[i]!;
    const range = highest[i]! - bottom;
    // x - x is 0, or NaN for a missing close.
    raw[i] = range === 0 ? close[i]! - close[i]! : 100 * ((close[i]! - bottom) / range);
  }
  const k = rollingMean(raw, slowK);
  const d = rollingMean(k, slowD);
  for (let i = 0; i < k.length; i += 1) {
    if (Number.isNaN(d[i]!)) k[i] = Number.NaN;
  }
  return { k, d };
}

/** Commodity channel index of the typical price (TA-Lib CCI). Defined from index `period - 1`. */
export function cci(high: Float64Array, low: Float64Array, close: Float64Array, period = 14): Float64Array {
  requirePeriod('period', period);
  const typical = typicalPrice(high, low, close);
  const out = rollingMean(typical, period);
  for (let i = period - 1; i < out.length; i += 1) {
    const mean = out[i]!;
    let spread = 0;
    for (let j = i - period + 1; j <= i; j += 1) spread += Math.abs(typical[j]! - mean);
    out[i] = spread === 0 ? 0 : (typical[i]! - mean) / (0.015 * (spread / period));
  }
  return out;
}

/** Williams %R, -100..0 (TA-Lib WILLR). Defined from index `period - 1`; 0 without a range. */
export function williamsR(
  high: Float64Array,
  low: Float64Array,
  close: Float64Array,
  period = 14,
): Float64Array {
  requirePeriod('period', period);
  requireSameLength({ high, low, close });
  const highest = rollingMax(high, period);
  const lowest = rollingMin(low, period);
  const out = lowest;
  for (let i = 0; i < out.length; i += 1) {
    const top = highest[i]!;
    const range = top - lowest[i]!;
    // Adding 0 keeps a close at the top from becoming -0.
    out[i] = (range === 0 ? close[i]! - close[i]! : -100 * ((top - close[i]!) / range)) + 0;
  }
  return out;
}

/** Rate of change in percent (TA-Lib ROC): both end points must be there. Defined from index `period`. */
export function roc(values: Float64Array, period = 10): Float64Array {
  requirePeriod('period', period);
  const length = values.length;
  const out = nanArray(length);
  for (let i = period; i < length; i += 1) {
    const before = values[i - period]!;
    out[i] = before === 0 ? values[i]! - values[i]! : (values[i]! / before - 1) * 100;
  }
  return out;
}

/** Typical prices nearer than this are the same: a rounding error of the division by 3 has no direction. */
const SAME_TYPICAL_PRICE = 1e-12;

/** Money flow index, 0..100 (TA-Lib MFI). Defined from index `period`; 0 where no money flowed either way. */
export function mfi(
  high: Float64Array,
  low: Float64Array,
  close: Float64Array,
  volume: Float64Array,
  period = 14,
): Float64Array {
  requirePeriod('period', period);
  requireSameLength({ high, low, close, volume });
  const length = close.length;
  const up = new Float64Array(length);
  const both = new Float64Array(length);
  // The first bar, and one behind a missing bar, has no direction: its change is NaN and spoils its windows.
  let previous = Number.NaN;
  for (let i = 0; i < length; i += 1) {
    const price = (high[i]! + low[i]! + close[i]!) / 3;
    const change = price - previous;
    // Number(condition) compiles without a branch, and these directions are as random as branches get.
    const flow = price * volume[i]! + (change - change);
    const rose = Number(change > SAME_TYPICAL_PRICE);
    up[i] = flow * rose;
    both[i] = flow * (rose + Number(change < -SAME_TYPICAL_PRICE));
    previous = price;
  }
  const rising = rollingSum(up, period);
  const total = rollingSum(both, period);
  const out = rising;
  for (let i = 0; i < length; i += 1) {
    out[i] = total[i] === 0 ? 0 : 100 * (rising[i]! / total[i]!);
  }
  return out;
}

function typicalPrice(high: Float64Array, low: Float64Array, close: Float64Array): Float64Array {
  requireSameLength({ high, low, close });
  const out = new Float64Array(close.length);
  for (let i = 0; i < out.length; i += 1) out[i] = (high[i]! + low[i]! + close[i]!) / 3;
  return out;
}
