import { epochDayOf, type PriceBasis, type SessionDate } from '../bars.ts';
import type { DividendAction, SplitAction } from '../market-data.ts';
import { price } from './findings.ts';
import { holdsSplit, splitRatioWords } from './splits.ts';

/** A price per share, in the share units of its session and basis. */
export interface QuotedPrice {
  readonly sessionDate: SessionDate;
  readonly price: number;
  readonly basis: PriceBasis;
}

/** A dividend between the newest close before its ex date and the first open from it on, as far as they are there. */
export interface PricedDividend extends DividendAction {
  readonly lastClose: QuotedPrice | null;
  readonly nextOpen: QuotedPrice | null;
}

/** Currency of the bars. */
const PRICE_CURRENCY = 'USD';

/** Why a dividend is not believed. */
export type DividendCode = 'dividendNotInPrices' | 'dividendsLookAdjusted';

export interface DividendDoubt {
  readonly symbol: string;
  /** Ex date of the dividend, or of the split around which dividends do not fit. */
  readonly sessionDate: SessionDate;
  /** `dividend 12.5`, or `dividend basis`. */
  readonly subject: string;
  readonly code: DividendCode;
  /** One sentence for people. */
  readonly reason: string;
}

/** Above this share of the price before it an amount has to show in prices. */
const LARGEST_UNSEEN_YIELD = 0.25;
/** Below this ratio (or above its inverse) an ordinary raise hides on which side of a split an amount stands. */
const SMALLEST_TELLING_RATIO = 1.5;
/** Prices further away from an ex date say nothing about it: they may even be another company's. */
const NEAR_PRICE_DAYS = 28;
/** A dividend further away than this from a split says nothing about it: companies pay at least once a year. */
const NEAR_DAYS = 400;

/**
 * Doubts about the dividends of one symbol, ascending by ex date, which are stored as cash per share as traded: an
 * amount over a quarter of the price before it that the price did not fall by, and amounts that do not change over a
 * split as if those before it were divided by it already. `splits` are those that are believed, up to
 * `throughSession`. Nothing is said of an amount whose prices hold dividends, or splits of later sessions.
 */
export function doubtDividends(input: {
  readonly dividends: readonly PricedDividend[];
  readonly splits: readonly SplitAction[];
  readonly throughSession: SessionDate;
}): DividendDoubt[] {
  const { dividends, splits, throughSession } = input;
  return [
    ...dividends.flatMap((dividend) => doubtAmount({ dividend, splits, throughSession }) ?? []),
    ...splits.flatMap((split) => doubtBasis(split, dividends) ?? []),
  ];
}

function doubtAmount(input: {
  dividend: PricedDividend;
  splits: readonly SplitAction[];
  throughSession: SessionDate;
}): DividendDoubt | null {
  const { splits, throughSession } = input;
  const { symbol, exDate, cashAmount, currency } = input.dividend;
  const usable = (quoted: QuotedPrice | null): QuotedPrice | null =>
    quoted !== null && isComparable(quoted, exDate, throughSession) ? quoted : null;
  const lastClose = usable(input.dividend.lastClose);
  const nextOpen = usable(input.dividend.nextOpen);
  if (lastClose === null || currency !== PRICE_CURRENCY) return null;
  const close = onExDate(lastClose, exDate, splits);
  const yieldShare = cashAmount / close;
  if (yieldShare <= LARGEST_UNSEEN_YIELD) return null;
  const open = nextOpen === null ? null : onExDate(nextOpen, exDate, splits);
  // Without a price after it nothing can be said yet of an amount that is possible at all.
  if (yieldShare < 1 && (open === null || isFallBy(yieldShare, open / close))) return null;
  const seen =
    nextOpen === null || open === null
      ? ''
      : `, which did not fall by it (${price(open)}, open of ${nextOpen.sessionDate})`;
  const subject = `dividend ${price(cashAmount)}`;
  const share = `${(yieldShare * 100).toFixed(1)} %`;
  const reason =
    `${subject} of ${symbol} on ${exDate} is ${share} of the price before it ` +
    `(${price(close)}, close of ${lastClose.sessionDate})${seen}`;
  return { symbol, sessionDate: exDate, subject, code: 'dividendNotInPrices', reason };
}

function isComparable(
  { sessionDate, basis }: QuotedPrice,
  exDate: SessionDate,
  through: SessionDate,
): boolean {
  const isNear = Math.abs(epochDayOf(sessionDate) - epochDayOf(exDate)) <= NEAR_PRICE_DAYS;
  const holdsLater = basis.splits === 'adjusted' && (basis.asOf === null || basis.asOf > through);
  return isNear && basis.dividends === 'asTraded' && !holdsLater;
}

/** Nearer to a fall by the dividend than to no move at all. */
function isFallBy(yieldShare: number, factor: number): boolean {
  return Math.abs(Math.log(factor / (1 - yieldShare))) < Math.abs(Math.log(factor));
}

/** A price in the share units of an ex date, which already has that day's split. */
function onExDate(quoted: QuotedPrice, exDate: SessionDate, splits: readonly SplitAction[]): number {
  const { sessionDate, basis } = quoted;
  return splits.reduce((value, split) => {
    const isInPrice = sessionDate >= split.exDate || holdsSplit(basis, split.exDate);
    const isInUnits = exDate >= split.exDate;
    if (isInPrice === isInUnits) return value;
    const ratio = split.newShares / split.oldShares;
    return isInPrice ? value * ratio : value / ratio;
  }, quoted.price);
}

function doubtBasis(split: SplitAction, dividends: readonly PricedDividend[]): DividendDoubt | null {
  const ratio = split.newShares / split.oldShares;
  if (Math.abs(Math.log(ratio)) < Math.log(SMALLEST_TELLING_RATIO)) return null;
  const day = epochDayOf(split.exDate);
  const near = dividends.filter(
    ({ exDate, cashAmount }) => cashAmount > 0 && Math.abs(epochDayOf(exDate) - day) <= NEAR_DAYS,
  );
  const before = near.filter(({ exDate }) => exDate < split.exDate).at(-1);
  const after = near.find(({ exDate }) => exDate >= split.exDate);
  if (before === undefined || after === undefined || before.currency !== after.currency) return null;
  const change = Math.log(before.cashAmount / after.cashAmount);
  if (Math.abs(change - Math.log(ratio)) <= Math.abs(change)) return null;
  const { symbol, exDate } = split;
  const reason =
    `dividends of ${symbol} around the split ${splitRatioWords(split)} on ${exDate}: ${price(before.cashAmount)} ` +
    `before it (${before.exDate}) and ${price(after.cashAmount)} after it (${after.exDate}), as if those before it ` +
    'were divided by it already; they are stored as cash per share as traded';
  return { symbol, sessionDate: exDate, subject: 'dividend basis', code: 'dividendsLookAdjusted', reason };
}
