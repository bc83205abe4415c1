import { atr, bollinger, type Bollinger } from '../indicators.ts';
import { combine, lagged } from './windows.ts';

/** Bars of one symbol on the exchange calendar: one element per session, NaN = missing (or masked) bar. */
export interface SymbolBars {
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  volume: Float64Array;
}

/** A hole of at most this many sessions is bridged for the smoothing indicators; a longer one restarts them. */
export const MAX_BRIDGED_SESSIONS = 5;

/**
 * One symbol's bars and what several features share, computed once.
 *
 * Missing bars, the rule of the whole feature set: (1) a session without a close has no features; (2) a change from
 * one session to the next needs both closes, so returns over a hole are NaN and never span it; (3) window
 * statistics use the bars that are there, at least 80 % of their sessions (`windows.ts`); (4) smoothing
 * indicators (EMA, Wilder, stochastic, CCI, money flow, bands) see a no-trade bar in a hole: last close, no range,
 * no volume; behind more than five such sessions they start afresh. Sessions are never compressed.
 */
export interface SymbolSeries extends SymbolBars {
  /** High, low, close and volume with short holes bridged. */
  readonly bridged: Omit<SymbolBars, 'open'>;
  /** ln(c / c[-1]). */
  readonly returns: Float64Array;
  /** ln(o / c[-1]). */
  readonly overnight: Float64Array;
  /** ln(h / l). */
  readonly logRange: Float64Array;
  /** c * v: not changed by a split. */
  readonly dollarVolume: Float64Array;
  /** Average true range over 14 sessions, in price units, on bridged bars. */
  readonly atr14: Float64Array;
  /** Bands of 2 deviations over 20 sessions, on bridged closes. */
  readonly bands20: Bollinger;
}

/** Fills short holes with no-trade bars; knows nothing of a hole's end before it comes. */
export function bridge({ high, low, close, volume }: SymbolBars): SymbolSeries['bridged'] {
  const out = {
    high: high.slice(),
    low: low.slice(),
    close: close.slice(),
    volume: volume.slice(),
  };
  let last = Number.NaN;
  let missing = 0;
  for (let i = 0; i < close.length; i += 1) {
    const usable = Number.isFinite(high[i]! + low[i]! + close[i]! + volume[i]!);
    if (usable) {
      last = close[i]!;
      missing = 0;
      continue;
    }
    missing += 1;
    const price = missing <= MAX_BRIDGED_SESSIONS ? last : Number.NaN;
    out.high[i] = price;
    out.low[i] = price;
    out.close[i] = price;
    out.volume[i] = price - price;
  }
  return out;
}

const logRatio = (a: number, b: number): number => Math.log(a / b);

/** The series of one symbol; shared parts are computed when first asked for. */
export function createSymbolSeries(bars: SymbolBars): SymbolSeries {
  const { open, high, low, close, volume } = bars;
  const before = lagged(close, 1);
  const bridged = once(() => bridge(bars));
  const returns = once(() => combine(close, before, logRatio));
  const overnight = once(() => combine(open, before, logRatio));
  const logRange = once(() => combine(high, low, logRatio));
  const dollarVolume = once(() => combine(close, volume, (c, v) => c * v));
  const atr14 = once(() => atr(bridged().high, bridged().low, bridged().close, 14));
  const bands20 = once(() => bollinger(bridged().close, { period: 20, deviations: 2 }));
  return {
    open,
    high,
    low,
    close,
    volume,
    get bridged() {
      return bridged();
    },
    get returns() {
      return returns();
    },
    get overnight() {
      return overnight();
    },
    get logRange() {
      return logRange();
    },
    get dollarVolume() {
      return dollarVolume();
    },
    get atr14() {
      return atr14();
    },
    get bands20() {
      return bands20();
    },
  };
}

function once<T>(make: () => T): () => T {
  let value: { made: T } | undefined;
  return () => (value ??= { made: make() }).made;
}
