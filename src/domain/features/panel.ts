import { listedAt } from '../labels.ts';
import { crossSectionalRank } from './rank.ts';
import { FEATURES } from './registry.ts';
import { createSymbolSeries, type SymbolBars } from './series.ts';
import type { FeatureDefinition, RankFeature } from './types.ts';

/**
 * Bars of a universe on the exchange calendar: `close[symbol][session]`, every array as long as `sessions`, NaN =
 * missing. The caller has masked for the night's session S: sessions end at S, and quarantined bars and bars whose
 * flag was known by S are NaN in all fields.
 */
export interface FeatureInput {
  sessions: readonly string[];
  /** The members; ranks count those that are listed by the session. */
  symbols: readonly string[];
  /** Session from which each symbol has had bars; absent: from the first one on. */
  listedFrom?: Int32Array;
  open: readonly Float64Array[];
  high: readonly Float64Array[];
  low: readonly Float64Array[];
  close: readonly Float64Array[];
  volume: readonly Float64Array[];
  /** Default: the registry. */
  features?: readonly FeatureDefinition[];
}

/** One array per name; `values[f][session * symbolCount + symbol]`, NaN = no value. */
export interface FeatureMatrix<A extends Float32Array | Float64Array = Float32Array> {
  names: string[];
  sessionCount: number;
  symbolCount: number;
  values: A[];
}

export interface FeatureProgress {
  done: number;
  total: number;
}

/**
 * All features of all symbols, in steps: one per symbol and one per ranked feature. The caller decides what to do
 * between steps (heartbeat, yield to the event loop, stop). RangeError for arrays that do not fit the calendar.
 */
export function featureSteps(input: FeatureInput): Generator<FeatureProgress, FeatureMatrix> {
  return panelSteps(input, (length) => new Float32Array(length));
}

/** All features in one go; 505 symbols x 1,259 sessions take a few seconds. */
export function computeFeatures(input: FeatureInput): FeatureMatrix {
  return drain(featureSteps(input));
}

/** As `computeFeatures`, unrounded: for checks finer than a float32. */
export function computeExactFeatures(input: FeatureInput): FeatureMatrix<Float64Array> {
  return drain(panelSteps(input, (length) => new Float64Array(length)));
}

function drain<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function* panelSteps<A extends Float32Array | Float64Array>(
  input: FeatureInput,
  allocate: (length: number) => A,
): Generator<FeatureProgress, FeatureMatrix<A>> {
  const { sessions, symbols, features = FEATURES } = input;
  requireAligned(input);
  const columns = new Map(
    features.map(({ name }) => {
      const values = allocate(sessions.length * symbols.length);
      values.fill(Number.NaN);
      return [name, values] as const;
    }),
  );
  if (columns.size !== features.length) throw new RangeError('two features have the same name');
  const ranks = features.filter((feature) => feature.source === 'rank');
  const total = symbols.length + ranks.length;
  const calendar = calendarValues(sessions, features);
  for (let symbol = 0; symbol < symbols.length; symbol += 1) {
    const bars = barsOf(input, symbol);
    const series = createSymbolSeries(bars);
    for (const feature of features) {
      if (feature.source === 'rank') continue;
      const values = feature.source === 'symbol' ? feature.compute(series) : calendar.get(feature.name)!;
      scatter({
        values,
        close: bars.close,
        column: columns.get(feature.name)!,
        symbol,
        stride: symbols.length,
        lookbackSessions: feature.lookbackSessions,
      });
    }
    yield { done: symbol + 1, total };
  }
  for (const [i, rank] of ranks.entries()) {
    rankColumn({ rank, columns, stride: symbols.length, input });
    yield { done: symbols.length + i + 1, total };
  }
  return {
    names: [...columns.keys()],
    sessionCount: sessions.length,
    symbolCount: symbols.length,
    values: [...columns.values()],
  };
}

function calendarValues(
  sessions: readonly string[],
  features: readonly FeatureDefinition[],
): Map<string, Float64Array> {
  const calendar = features.filter((feature) => feature.source === 'calendar');
  return new Map(calendar.map(({ name, compute }) => [name, compute(sessions)]));
}

/**
 * Writes one symbol's values from the look-back on and where it has a close. What is not finite (a logarithm of 0,
 * 0 / 0) is no value, and a window that begins before the series is none either, however well it is covered.
 */
function scatter(job: {
  values: Float64Array;
  close: Float64Array;
  column: Float32Array | Float64Array;
  symbol: number;
  stride: number;
  lookbackSessions: number;
}): void {
  const { values, close, column, symbol, stride, lookbackSessions } = job;
  for (let session = lookbackSessions; session < values.length; session += 1) {
    const value = values[session]!;
    if (Number.isFinite(value) && !Number.isNaN(close[session]!)) column[session * stride + symbol] = value;
  }
}

function rankColumn(job: {
  rank: RankFeature;
  columns: ReadonlyMap<string, Float32Array | Float64Array>;
  stride: number;
  input: FeatureInput;
}): void {
  const { rank, columns, stride, input } = job;
  const source = columns.get(rank.of);
  const target = columns.get(rank.name);
  if (source === undefined || target === undefined) {
    throw new RangeError(`${rank.name} ranks ${rank.of}, which is not among the features`);
  }
  const values = new Float32Array(stride);
  const scratch = new Float32Array(stride);
  for (let from = 0; from < source.length; from += stride) {
    const to = from + stride;
    values.set(source.subarray(from, to));
    crossSectionalRank(values, target.subarray(from, to), scratch, listedAt(input, from / stride));
  }
}

function barsOf(input: FeatureInput, symbol: number): SymbolBars {
  return {
    open: input.open[symbol]!,
    high: input.high[symbol]!,
    low: input.low[symbol]!,
    close: input.close[symbol]!,
    volume: input.volume[symbol]!,
  };
}

function requireAligned(input: FeatureInput): void {
  const { sessions, symbols } = input;
  for (let i = 1; i < sessions.length; i += 1) {
    if (!(sessions[i - 1]! < sessions[i]!)) throw new RangeError('sessions must ascend without repetition');
  }
  for (const field of ['open', 'high', 'low', 'close', 'volume'] as const) {
    if (input[field].length !== symbols.length) {
      throw new RangeError(
        `${field} has ${String(input[field].length)} symbols, not ${String(symbols.length)}`,
      );
    }
    const odd = input[field].findIndex((values) => values.length !== sessions.length);
    if (odd >= 0) {
      throw new RangeError(`${field} of ${symbols[odd]!} has not one value per session`);
    }
  }
}
