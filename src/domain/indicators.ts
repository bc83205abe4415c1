/**
 * Technical indicators on typed arrays, equal to TA-Lib (0.8) within 1e-8, defaults included.
 *
 * All are pure: `Float64Array` in, new `Float64Array` of the same length out, NaN where not yet defined. A value
 * at index i uses indices <= i only. A NaN input is a missing bar: a window is NaN while it contains one, and
 * everything recursive (ema, rsi, macd, atr, adx, obv) starts afresh behind it, seed and warm-up included
 * (TA-Lib stays NaN, or wrong, to the end). Periods that are no positive integer, and arrays of unequal length,
 * throw a RangeError that names the field. Ratios without a denominator are 0, as in TA-Lib.
 */
export { atr, adx, ema, macd, obv, rsi } from './indicators-recursive.ts';
export { bollinger, cci, mfi, roc, sma, stochastic, williamsR } from './indicators-window.ts';
export type { Bollinger } from './indicators-window.ts';
