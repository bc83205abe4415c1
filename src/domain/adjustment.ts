import {
  AS_TRADED,
  epochDayOf,
  sessionDateOf,
  type BarColumns,
  type EpochDay,
  type PriceBasis,
  type SessionDate,
} from './bars.ts';
import type { DividendAction, SplitAction } from './market-data.ts';

/** As stored, in the share units of the night, or with dividends reinvested too. */
export const ADJUSTMENTS = ['raw', 'splits', 'total'] as const;
export type Adjustment = (typeof ADJUSTMENTS)[number];

/** A split that is not in all of the prices that claim to hold it. */
export interface AppliedSplit extends SplitAction {
  /** Rows before this date lack it, whatever their basis says: a person has found so. */
  readonly missingBefore?: SessionDate;
}

/** A cash dividend in the share units of adjusted bars. */
export interface AdjustedDividend {
  exDate: SessionDate;
  cashAmount: number;
}

export interface AdjustInput {
  bars: BarColumns;
  /** What was already done to the prices: only actions after its date are applied. */
  basis: PriceBasis;
  /** Actions of any symbols; those of the bars' symbol are used. */
  actions: { readonly splits: readonly AppliedSplit[]; readonly dividends: readonly DividendAction[] };
  /** Actions with an ex-date up to and including this date are applied: the night's session. */
  asOf: SessionDate;
  /** How the dividends are quoted; the archives quote them as traded. */
  dividendBasis?: PriceBasis;
  /** Also reinvest dividends: prices before an ex-date times 1 - dividend / last close before it. */
  totalReturn?: boolean;
}

export interface AdjustedBars {
  bars: BarColumns;
  /** Share units of `asOf`, or of the given basis where that is later; dividends are reinvested to `asOf` only. */
  basis: PriceBasis;
  dividends: AdjustedDividend[];
}

/**
 * Bars adjusted for splits as of a date: prices before an ex-date divided by new / old shares, volumes multiplied, so
 * that price times volume stays. A basis that already holds later splits is kept as it is: a unit, not knowledge,
 * and every feature is invariant to it. Dividends never touch volume, and prices only with `totalReturn`. NaN stays
 * NaN. RangeError for an impossible action, two splits on one day, or a basis that does not say its date.
 */
export function adjustBars(input: AdjustInput): AdjustedBars {
  const { bars, basis, actions, asOf, totalReturn = false } = input;
  const units = laterDate(asOf, dateOf(basis));
  const splits = splitsOf(actions.splits, bars.symbol);
  const upTo = epochDayOf(units);
  const applied = appliedDay(basis);
  const factors = new Float64Array(bars.epochDays.length).fill(1);
  if (splits.length > 0) {
    bars.epochDays.forEach((day, i) => {
      factors[i] = splitFactor(splits, { after: Math.max(day, applied), upTo, row: day });
    });
  }
  const dividends = actions.dividends
    .filter(({ symbol, exDate }) => symbol === bars.symbol && exDate <= asOf)
    .map((dividend) => inUnits(dividend, { splits, units, quoted: input.dividendBasis ?? AS_TRADED }))
    .sort((a, b) => (a.exDate < b.exDate ? -1 : 1));
  const divide = (values: Float64Array): Float64Array => values.map((x, i) => x / factors[i]!);
  const split: BarColumns = {
    symbol: bars.symbol,
    epochDays: bars.epochDays,
    open: divide(bars.open),
    high: divide(bars.high),
    low: divide(bars.low),
    close: divide(bars.close),
    volume: bars.volume.map((x, i) => x * factors[i]!),
  };
  const pending = dividends.filter(({ exDate }) => basis.dividends === 'asTraded' || exDate > dateOf(basis)!);
  return {
    bars: totalReturn ? reinvestDividends(split, pending) : split,
    basis: { splits: 'adjusted', dividends: totalReturn ? 'adjusted' : basis.dividends, asOf: units },
    dividends,
  };
}

/** The later of two dates; the second may be missing. */
function laterDate(a: SessionDate, b: SessionDate | null): SessionDate {
  return b !== null && b > a ? b : a;
}

/** Date up to which a basis holds actions, null if it holds none. */
function dateOf({ splits, dividends, asOf }: PriceBasis): SessionDate | null {
  if (splits === 'asTraded' && dividends === 'asTraded') return null;
  if (asOf === null) throw new RangeError('an adjusted price basis must say as of which date');
  return asOf;
}

/** Last day whose splits a basis holds; a price also has those of its own day. */
function appliedDay(basis: PriceBasis): EpochDay {
  return basis.splits === 'asTraded' ? Number.NEGATIVE_INFINITY : epochDayOf(dateOf(basis)!);
}

interface Split {
  day: EpochDay;
  ratio: number;
  missingBefore: EpochDay;
}

function splitsOf(actions: readonly AppliedSplit[], symbol: string): Split[] {
  const splits = actions
    .filter((action) => action.symbol === symbol)
    .map(({ exDate, newShares, oldShares, missingBefore }) => {
      const ratio = newShares / oldShares;
      if (!(newShares > 0) || !(oldShares > 0) || !Number.isFinite(ratio)) {
        throw new RangeError(
          `split of ${symbol} on ${exDate}: ${String(newShares)} for ${String(oldShares)}`,
        );
      }
      return {
        day: epochDayOf(exDate),
        ratio,
        missingBefore: missingBefore === undefined ? Number.NEGATIVE_INFINITY : epochDayOf(missingBefore),
      };
    })
    .sort((a, b) => a.day - b.day);
  const twice = splits.find(({ day }, i) => splits[i - 1]?.day === day);
  if (twice) throw new RangeError(`two splits of ${symbol} on ${sessionDateOf(twice.day)}`);
  return splits;
}

/** New shares per share over the splits with `after < ex-date <= upTo`, and those that a row of day `row` lacks. */
function splitFactor(
  splits: readonly Split[],
  range: { after: EpochDay; upTo: EpochDay; row?: EpochDay },
): number {
  const { after, upTo, row = Number.POSITIVE_INFINITY } = range;
  let factor = 1;
  for (const { day, ratio, missingBefore } of splits) {
    if (day <= upTo && (day > after || row < missingBefore)) factor *= ratio;
  }
  return factor;
}

/** A dividend is quoted per share of its ex-date, which already has that day's split. */
function inUnits(
  dividend: DividendAction,
  options: { splits: readonly Split[]; units: SessionDate; quoted: PriceBasis },
): AdjustedDividend {
  const { exDate, cashAmount, symbol } = dividend;
  if (!(cashAmount >= 0) || !Number.isFinite(cashAmount)) {
    throw new RangeError(`dividend of ${symbol} on ${exDate}: ${String(cashAmount)}`);
  }
  const after = Math.max(epochDayOf(exDate), appliedDay(options.quoted));
  const factor = splitFactor(options.splits, { after, upTo: epochDayOf(options.units) });
  return { exDate, cashAmount: cashAmount / factor };
}

/**
 * Prices before each ex-date times 1 - dividend / last close before it; volumes stay. Amounts are in the share units
 * of the bars. RangeError for a dividend that is not below the price.
 */
export function reinvestDividends(bars: BarColumns, dividends: readonly AdjustedDividend[]): BarColumns {
  const factors = new Float64Array(bars.epochDays.length).fill(1);
  for (const { exDate, cashAmount } of dividends) {
    const exDay = epochDayOf(exDate);
    let last = -1;
    for (let i = 0; i < factors.length && bars.epochDays[i]! < exDay; i += 1) {
      if (!Number.isNaN(bars.close[i]!)) last = i;
    }
    if (last < 0) continue;
    const kept = 1 - cashAmount / bars.close[last]!;
    if (!(kept > 0)) {
      throw new RangeError(
        `dividend of ${bars.symbol} on ${exDate} is not below the price: ${String(cashAmount)}`,
      );
    }
    for (let i = 0; i < factors.length && bars.epochDays[i]! < exDay; i += 1) factors[i]! *= kept;
  }
  const multiply = (values: Float64Array): Float64Array => values.map((x, i) => x * factors[i]!);
  return {
    ...bars,
    open: multiply(bars.open),
    high: multiply(bars.high),
    low: multiply(bars.low),
    close: multiply(bars.close),
  };
}
