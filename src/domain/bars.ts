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
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Days of 400 years, and from 0000-03-01 to 1970-01-01. */
const ERA_DAYS = 146_097;
const EPOCH_OFFSET = 719_468;
/** 1000-01-01 and 9999-12-31: what four digits without padding can name. */
const FIRST_PLAIN_DAY = -354_285;
const LAST_PLAIN_DAY = 2_932_896;

/**
 * Epoch day of a `YYYY-MM-DD` date. Throws RangeError for anything that is not a real date. Whole calendars and
 * archives are read through this: it counts days (Hinnant's days_from_civil), which takes a tenth of `Date.parse`.
 */
export function epochDayOf(date: SessionDate): EpochDay {
  if (!DATE_PATTERN.test(date)) throw noDate(date);
  const year = 100 * twoDigitsAt(date, 0) + twoDigitsAt(date, 2);
  const month = twoDigitsAt(date, 5);
  const day = twoDigitsAt(date, 8);
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && isLeap ? 29 : (DAYS_OF_MONTH[month - 1] ?? 0);
  if (day < 1 || day > days) throw noDate(date);
  // Years begin in March, so that the leap day is their last.
  const marchYear = month > 2 ? year : year - 1;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - 400 * era;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * ERA_DAYS + yearOfEra * 365 + leapDays + dayOfYear - EPOCH_OFFSET;
}

/** `YYYY-MM-DD` of an epoch day. */
export function sessionDateOf(epochDay: EpochDay): SessionDate {
  const isPlain = Number.isInteger(epochDay) && epochDay >= FIRST_PLAIN_DAY && epochDay <= LAST_PLAIN_DAY;
  if (!isPlain) return new Date(epochDay * MS_PER_DAY).toISOString().slice(0, 10);
  const shifted = epochDay + EPOCH_OFFSET;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + 400 * era + (month <= 2 ? 1 : 0);
  return `${year}-${month < 10 ? '0' : ''}${month}-${day < 10 ? '0' : ''}${day}`;
}

function noDate(date: string): RangeError {
  return new RangeError(`not a date (YYYY-MM-DD): ${JSON.stringify(date)}`);
}

function twoDigitsAt(text: string, index: number): number {
  return 10 * (text.charCodeAt(index) - 48) + text.charCodeAt(index + 1) - 48;
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
