/**
 * Columnar daily bars: one symbol, one row per session, typed arrays of equal length.
 *
 * The provider port, the validation, the COPY writer of the database layer and the feature
 * code all speak this type, so that 620,000 rows never become 620,000 objects.
 */

/** Days since 1970-01-01 of the exchange's own date (no time zone involved). */
export type EpochDay = number;

/** `YYYY-MM-DD`, the date of an exchange session. */
export type SessionDate = string;

/** Rows ordered by `epochDays` ascending. `NaN` in a Float64Array means null (not delivered). */
export interface BarColumns {
  readonly symbol: string;
  /** Exchange date of each row as epoch days; see `sessionDateOf`. */
  readonly epochDays: Int32Array;
  /** Prices in the instrument's currency (USD), on the basis named beside the batch. */
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  /** Shares, on the same split basis as the prices. */
  readonly volume: Float64Array;
}

/**
 * What was done to the prices already. `asOf` is the last date whose actions are included, null
 * if nothing was adjusted. Reads apply only the actions that are not yet included.
 */
export interface PriceBasis {
  readonly splits: 'asTraded' | 'adjusted';
  readonly dividends: 'asTraded' | 'adjusted';
  readonly asOf: SessionDate | null;
}

export const AS_TRADED: PriceBasis = { splits: 'asTraded', dividends: 'asTraded', asOf: null };

const MS_PER_DAY = 86_400_000;
const DATE_PATTERN = /^\d{4}-\d{2}-\d{2}$/;

/** Epoch day of a `YYYY-MM-DD` date. Throws RangeError for anything that is not a real date. */
export function epochDayOf(date: SessionDate): EpochDay {
  const ms = DATE_PATTERN.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  // `Date.parse` turns 2015-02-30 into NaN on V8, but rolls over elsewhere: compare back.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== date) {
    throw new RangeError(`not a date (YYYY-MM-DD): ${JSON.stringify(date)}`);
  }
  return ms / MS_PER_DAY;
}

/** `YYYY-MM-DD` of an epoch day. */
export function sessionDateOf(epochDay: EpochDay): SessionDate {
  return new Date(epochDay * MS_PER_DAY).toISOString().slice(0, 10);
}

/** Stable one-word form for database columns and reports, e.g. `split-adjusted@2018-02-07`. */
export function priceBasisKey(basis: PriceBasis): string {
  if (basis.splits === 'asTraded' && basis.dividends === 'asTraded') return 'as-traded';
  const parts = [
    ...(basis.splits === 'adjusted' ? ['split'] : []),
    ...(basis.dividends === 'adjusted' ? ['dividend'] : []),
  ];
  return `${parts.join('-')}-adjusted@${basis.asOf ?? 'unknown'}`;
}

/** The inverse of `priceBasisKey`. Throws RangeError for an unknown form. */
export function parsePriceBasisKey(key: string): PriceBasis {
  if (key === 'as-traded') return AS_TRADED;
  const match = /^(split|dividend|split-dividend)-adjusted@(unknown|\d{4}-\d{2}-\d{2})$/.exec(key);
  const kind = match?.[1];
  const asOf = match?.[2];
  if (kind === undefined || asOf === undefined) throw new RangeError(`unknown price basis: ${key}`);
  return {
    splits: kind.startsWith('split') ? 'adjusted' : 'asTraded',
    dividends: kind.endsWith('dividend') ? 'adjusted' : 'asTraded',
    asOf: asOf === 'unknown' ? null : asOf,
  };
}

/** New columns of `length` rows: dates 0, everything else NaN. */
export function createBarColumns(symbol: string, length: number): BarColumns {
  return {
    symbol,
    epochDays: new Int32Array(length),
    open: new Float64Array(length).fill(Number.NaN),
    high: new Float64Array(length).fill(Number.NaN),
    low: new Float64Array(length).fill(Number.NaN),
    close: new Float64Array(length).fill(Number.NaN),
    volume: new Float64Array(length).fill(Number.NaN),
  };
}

/** Rows `[from, to)` as views on the same memory. */
export function viewBars(bars: BarColumns, from: number, to: number): BarColumns {
  return {
    symbol: bars.symbol,
    epochDays: bars.epochDays.subarray(from, to),
    open: bars.open.subarray(from, to),
    high: bars.high.subarray(from, to),
    low: bars.low.subarray(from, to),
    close: bars.close.subarray(from, to),
    volume: bars.volume.subarray(from, to),
  };
}

/** First row whose epoch day is >= `epochDay` (= length if none). Needs ordered rows. */
export function lowerBound(epochDays: Int32Array, epochDay: EpochDay): number {
  let low = 0;
  let high = epochDays.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((epochDays[middle] ?? 0) < epochDay) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The rows between two epoch days, both included, as views. */
export function sliceBars(bars: BarColumns, from: EpochDay, to: EpochDay): BarColumns {
  return viewBars(bars, lowerBound(bars.epochDays, from), lowerBound(bars.epochDays, to + 1));
}
