import { allFinite, nanArray, requirePeriod, requireSameLength } from './rolling.ts';

/** Indices `[start, end)` in which every array is finite; behind each gap everything starts afresh. */
type Run = readonly [start: number, end: number];

function finiteRuns(...arrays: readonly Float64Array[]): readonly Run[] {
  const length = arrays[0]?.length ?? 0;
  if (arrays.every(allFinite)) return [[0, length]];
  const runs: Run[] = [];
  let start = -1;
  for (let i = 0; i <= length; i += 1) {
    const present = i < length && arrays.every((values) => Number.isFinite(values[i]));
    if (present && start < 0) start = i;
    if (!present && start >= 0) {
      runs.push([start, i]);
      start = -1;
    }
  }
  return runs;
}

/** Exponential average of `values` into `out` up to `end`, seeded at `seed` by the mean of `period` values. */
function emaRun(job: {
  values: Float64Array;
  out: Float64Array;
  period: number;
  seed: number;
  end: number;
}): void {
  const { values, out, period, seed, end } = job;
  if (seed >= end) return;
  let sum = 0;
  for (let i = seed - period + 1; i <= seed; i += 1) sum += values[i]!;
  let average = sum / period;
  out[seed] = average;
  const weight = 2 / (period + 1);
  for (let i = seed + 1; i < end; i += 1) {
    average += (values[i]! - average) * weight;
    out[i] = average;
  }
}

/** Exponential moving average, weight 2 / (period + 1), seeded by the SMA (TA-Lib EMA). From `period - 1`. */
export function ema(values: Float64Array, period = 30): Float64Array {
  requirePeriod('period', period);
  const out = nanArray(values.length);
  for (const [start, end] of finiteRuns(values)) {
    emaRun({ values, out, period, seed: start + period - 1, end });
  }
  return out;
}

/** TA-Lib's defaults: `fast` 12, `slow` 26, `signal` 9. */
export interface MacdOptions {
  fast?: number;
  slow?: number;
  signal?: number;
}

export interface Macd {
  macd: Float64Array;
  signal: Float64Array;
  histogram: Float64Array;
}

/**
 * Moving average convergence divergence (TA-Lib MACD): all three lines start at `slow + signal - 2`, and the fast
 * average is seeded where the slow one is. A `fast` above `slow` is swapped, as TA-Lib does.
 */
export function macd(values: Float64Array, options: MacdOptions = {}): Macd {
  const { fast = 12, slow = 26, signal: smoothing = 9 } = options;
  requirePeriod('fast', fast);
  requirePeriod('slow', slow);
  requirePeriod('signal', smoothing);
  const lines = {
    macd: nanArray(values.length),
    signal: nanArray(values.length),
    histogram: nanArray(values.length),
  };
  const periods = { shorter: Math.min(fast, slow), longer: Math.max(fast, slow), smoothing };
  for (const run of finiteRuns(values)) macdRun({ values, run, lines, ...periods });
  return lines;
}

function macdRun(job: {
  values: Float64Array;
  run: Run;
  lines: Macd;
  shorter: number;
  longer: number;
  smoothing: number;
}): void {
  const { values, lines, shorter, longer, smoothing } = job;
  const { macd: line, signal, histogram } = lines;
  const [start, end] = job.run;
  const seed = start + longer - 1;
  const first = seed + smoothing - 1;
  if (first >= end) return;
  let fastAverage = 0;
  let slowAverage = 0;
  for (let i = start; i <= seed; i += 1) slowAverage += values[i]!;
  for (let i = seed - shorter + 1; i <= seed; i += 1) fastAverage += values[i]!;
  fastAverage /= shorter;
  slowAverage /= longer;
  const fastWeight = 2 / (shorter + 1);
  const slowWeight = 2 / (longer + 1);
  const weight = 2 / (smoothing + 1);
  let sum = fastAverage - slowAverage;
  for (let i = seed + 1; i <= first; i += 1) {
    fastAverage += (values[i]! - fastAverage) * fastWeight;
    slowAverage += (values[i]! - slowAverage) * slowWeight;
    sum += fastAverage - slowAverage;
  }
  let average = sum / smoothing;
  line[first] = fastAverage - slowAverage;
  signal[first] = average;
  histogram[first] = fastAverage - slowAverage - average;
  for (let i = first + 1; i < end; i += 1) {
    const x = values[i]!;
    fastAverage += (x - fastAverage) * fastWeight;
    slowAverage += (x - slowAverage) * slowWeight;
    const difference = fastAverage - slowAverage;
    average += (difference - average) * weight;
    line[i] = difference;
    signal[i] = average;
    histogram[i] = difference - average;
  }
}

/** Relative strength index of Wilder, 0..100 (TA-Lib RSI). Defined from `period`; 0 where nothing moved. */
export function rsi(values: Float64Array, period = 14): Float64Array {
  requirePeriod('period', period);
  const out = nanArray(values.length);
  for (const run of finiteRuns(values)) rsiRun({ values, out, period, run });
  return out;
}

function rsiRun(job: { values: Float64Array; out: Float64Array; period: number; run: Run }): void {
  const { values, out, period } = job;
  const [start, end] = job.run;
  const seed = start + period;
  if (seed >= end) return;
  // RSI is gain / (gain + |loss|): the smoothed absolute move is carried instead of the loss.
  let gain = 0;
  let move = 0;
  for (let i = start + 1; i <= seed; i += 1) {
    const change = values[i]! - values[i - 1]!;
    move += Math.abs(change);
    gain += change + Math.abs(change);
  }
  gain /= 2 * period;
  move /= period;
  out[seed] = move === 0 ? 0 : 100 * (gain / move);
  const keep = (period - 1) / period;
  const add = 1 / period;
  const halfAdd = 0.5 / period;
  let previous = values[seed]!;
  for (let i = seed + 1; i < end; i += 1) {
    const value = values[i]!;
    const change = value - previous;
    const size = Math.abs(change);
    previous = value;
    gain = gain * keep + (change + size) * halfAdd;
    move = move * keep + size * add;
    out[i] = move === 0 ? 0 : 100 * (gain / move);
  }
}

/** Average true range of Wilder, in price units (TA-Lib ATR). Defined from index `period`. */
export function atr(high: Float64Array, low: Float64Array, close: Float64Array, period = 14): Float64Array {
  requirePeriod('period', period);
  requireSameLength({ high, low, close });
  const out = nanArray(close.length);
  for (const run of finiteRuns(high, low, close)) atrRun({ high, low, close, out, period, run });
  return out;
}

interface BarJob {
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  out: Float64Array;
  period: number;
  run: Run;
}

function atrRun(job: BarJob): void {
  const { high, low, close, out, period } = job;
  const [start, end] = job.run;
  const seed = start + period;
  if (seed >= end) return;
  let average = 0;
  for (let i = start + 1; i <= seed; i += 1) {
    const before = close[i - 1]!;
    average += (high[i]! > before ? high[i]! : before) - (low[i]! < before ? low[i]! : before);
  }
  average /= period;
  out[seed] = average;
  const keep = (period - 1) / period;
  const add = 1 / period;
  let before = close[seed]!;
  for (let i = seed + 1; i < end; i += 1) {
    const top = high[i]!;
    const bottom = low[i]!;
    average = average * keep + ((top > before ? top : before) - (bottom < before ? bottom : before)) * add;
    out[i] = average;
    before = close[i]!;
  }
}

/** Average directional movement index of Wilder, 0..100 (TA-Lib ADX). Defined from index `2 * period - 1`. */
export function adx(high: Float64Array, low: Float64Array, close: Float64Array, period = 14): Float64Array {
  requirePeriod('period', period);
  requireSameLength({ high, low, close });
  const out = nanArray(close.length);
  for (const run of finiteRuns(high, low, close)) adxRun({ high, low, close, out, period, run });
  return out;
}

function adxRun(job: BarJob): void {
  const { high, low, out, period } = job;
  const [start, end] = job.run;
  const first = start + 2 * period - 1;
  if (first >= end) return;
  let plus = 0;
  let minus = 0;
  let average = 0;
  const keep = (period - 1) / period;
  const add = 1 / period;
  let previousHigh = high[start]!;
  let previousLow = low[start]!;
  for (let i = start + 1; i < end; i += 1) {
    const up = high[i]! - previousHigh;
    const down = previousLow - low[i]!;
    previousHigh = high[i]!;
    previousLow = low[i]!;
    if (i - start >= period) {
      plus *= keep;
      minus *= keep;
    }
    minus += down * (Number(down > 0) * Number(down > up));
    plus += up * (Number(up > 0) * Number(up > down));
    const total = plus + minus;
    const index = total > 0 ? 100 * (Math.abs(plus - minus) / total) : 0;
    if (i > first) {
      // Without direction the average stands still, as in TA-Lib.
      if (total > 0) average = average * keep + index * add;
      out[i] = average;
    } else if (i - start >= period) {
      average += index * add;
      if (i === first) out[i] = average;
    }
  }
}

/** On-balance volume, in shares (TA-Lib OBV): starts with the first volume. Defined from index 0. */
export function obv(close: Float64Array, volume: Float64Array): Float64Array {
  requireSameLength({ close, volume });
  const out = nanArray(close.length);
  for (const [start, end] of finiteRuns(close, volume)) {
    let total = 0;
    let previous = Number.NEGATIVE_INFINITY;
    for (let i = start; i < end; i += 1) {
      const value = close[i]!;
      // Number(condition) compiles without a branch, and the direction of a market is as random as they get.
      total += volume[i]! * (Number(value > previous) - Number(value < previous));
      previous = value;
      out[i] = total;
    }
  }
  return out;
}
