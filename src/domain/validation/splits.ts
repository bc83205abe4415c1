import { type BarColumns, epochDayOf, type PriceBasis, type SessionDate, sessionDateOf } from '../bars.ts';
import type { AppliedSplit } from '../adjustment.ts';
import type { ReportedSplit, SplitAction } from '../market-data.ts';
import { price } from './findings.ts';

export interface SplitRules {
  /** How far a price may stray from what a split says, as a share: 0.2 is a factor of 1.2 either way. */
  readonly splitTolerance: number;
  /** A larger ratio (or a smaller inverse) needs a second source, where another one could be asked. */
  readonly secondSourceRatio: number;
}

/** Why a split is not believed. */
export type SplitCode = 'splitNotInPrices' | 'splitNotAdjusted' | 'splitOneSource';

export interface SplitVerdict {
  readonly split: ReportedSplit;
  /** `untestable`: no price on one side of it yet, or too small to show in prices. */
  readonly status: 'confirmed' | 'unconfirmed' | 'untestable';
  readonly code: SplitCode | null;
  /** Price before divided by price after: as the split and the price basis let expect, and as it stands. */
  readonly expected: number;
  readonly seen: number | null;
  /** Session at whose open the price moved. */
  readonly movedOn: SessionDate | null;
  /** One sentence for people: symbol, date, ratio, what was expected and what was seen. */
  readonly reason: string;
}

interface SplitInput {
  /** One symbol's bars as stored, each on its own basis. */
  readonly bars: BarColumns;
  /** 1 where a row counts as missing. */
  readonly flagged: Uint8Array;
  readonly basisOf: (row: number) => PriceBasis;
  readonly rules: SplitRules;
}

/** Below this ratio (or above its inverse) ordinary moves overnight hide a split. */
const SMALLEST_VISIBLE_RATIO = 1.1;
/** Rows before and after an ex date in which prices that claim to hold the split are searched for its move. */
const SEARCHED_BEFORE = 10;
const SEARCHED_AFTER = 5;

/** `7:1`. Names a split among those of its date. */
export function splitRatioWords({ newShares, oldShares }: SplitAction): string {
  return `${rounded(newShares)}:${rounded(oldShares)}`;
}

/** Whether prices on a basis hold a split already. */
export function holdsSplit(basis: PriceBasis, exDate: SessionDate): boolean {
  return basis.splits === 'adjusted' && (basis.asOf === null || basis.asOf >= exDate);
}

/**
 * Judges reported splits of one symbol by its prices. As-traded prices must move by the ratio at the ex date; prices
 * that claim to hold the split must not, on any session around it. Uses the given rows only: those of a night give
 * what the night could know.
 */
export function judgeSplits(
  input: SplitInput & { readonly splits: readonly ReportedSplit[] },
): SplitVerdict[] {
  return input.splits.map((split) => judgeSplit(input, split));
}

/**
 * What reads apply: every split but those that nothing confirms and nobody released. One that prices claim to hold
 * and do not is applied to the rows without it once a person released it.
 */
export function splitsToApply(
  verdicts: readonly SplitVerdict[],
  isReleased: (split: ReportedSplit) => boolean,
): AppliedSplit[] {
  return verdicts.flatMap(({ split, status, code, movedOn }): AppliedSplit[] => {
    if (status !== 'unconfirmed') return [split];
    if (code !== 'splitNotAdjusted') return isReleased(split) ? [split] : [];
    return isReleased(split) && movedOn !== null ? [{ ...split, missingBefore: movedOn }] : [split];
  });
}

function judgeSplit(input: SplitInput, split: ReportedSplit): SplitVerdict {
  const { bars, rules } = input;
  const ratio = split.newShares / split.oldShares;
  const name = `split ${splitRatioWords(split)} of ${split.symbol} on ${split.exDate}`;
  const rows = usableRows(input);
  const exDay = epochDayOf(split.exDate);
  const after = rows.findIndex((row) => (bars.epochDays[row] ?? 0) >= exDay);
  const before = after - 1;
  if (after < 1) {
    const reason = `${name}: there is no price on both sides of it`;
    return { split, status: 'untestable', code: null, expected: ratio, seen: null, movedOn: null, reason };
  }
  const isHeld = holdsSplit(input.basisOf(rows[before] ?? 0), split.exDate);
  const at = isHeld ? findMove({ input, split, rows, after }) : after;
  const move = moveAt(bars, rows, at ?? after);
  const facts = { split, expected: isHeld ? 1 : ratio, seen: move.factor, movedOn: move.sessionDate };
  const refuse = (code: SplitCode, expectation: string): SplitVerdict => {
    return { ...facts, status: 'unconfirmed', code, reason: `${name}: ${expectation}; ${move.words}` };
  };
  if (Math.abs(Math.log(ratio)) < Math.log(SMALLEST_VISIBLE_RATIO)) {
    return { ...facts, status: 'untestable', code: null, reason: `${name}: too small to show in prices` };
  }
  if (isHeld && at !== null) {
    return refuse('splitNotAdjusted', 'these prices claim to hold it, so no move was expected');
  }
  if (!isHeld && !isMoveOf(move.factor, ratio, rules)) {
    return refuse('splitNotInPrices', `the price was expected to be divided by ${rounded(ratio)}`);
  }
  const isLarge = Math.abs(Math.log(ratio)) > Math.log(rules.secondSourceRatio);
  if (!isHeld && isLarge && split.asked.length > 0 && split.confirmedBy.length === 0) {
    const others = split.asked.join(', ');
    return refuse('splitOneSource', `its ratio needs a second source, and ${others} does not report it`);
  }
  return { ...facts, status: 'confirmed', code: null, reason: `${name}: ${move.words}` };
}

function usableRows({ bars, flagged }: SplitInput): number[] {
  const { epochDays, open, close } = bars;
  return Array.from(epochDays.keys()).filter(
    (row) => flagged[row] !== 1 && (open[row] ?? 0) > 0 && (close[row] ?? 0) > 0,
  );
}

/** Position of the move by the ratio in prices that should have none; null: there is none that stays. */
function findMove(context: {
  input: SplitInput;
  split: ReportedSplit;
  rows: readonly number[];
  after: number;
}): number | null {
  const { input, split, rows, after } = context;
  const ratio = split.newShares / split.oldShares;
  const exDay = epochDayOf(split.exDate);
  const isHeldBy = (row: number): boolean =>
    (input.bars.epochDays[row] ?? 0) >= exDay || holdsSplit(input.basisOf(row), split.exDate);
  let found: number | null = null;
  let wayBack = false;
  const last = Math.min(rows.length - 1, after + SEARCHED_AFTER);
  for (let at = Math.max(1, after - SEARCHED_BEFORE); at <= last; at += 1) {
    if (!isHeldBy(rows[at - 1] ?? 0) || !isHeldBy(rows[at] ?? 0)) continue;
    const { factor } = moveAt(input.bars, rows, at);
    // There and back is one wrong row, which is no matter of the split.
    if (isMoveOf(factor, ratio, input.rules)) {
      if (wayBack) wayBack = false;
      else found = at;
    } else if (isMoveOf(factor, 1 / ratio, input.rules)) {
      if (found === null) wayBack = true;
      else found = null;
    }
  }
  return found;
}

/** Within the tolerance of the ratio, and nearer to it than to no move at all. */
function isMoveOf(factor: number, ratio: number, rules: SplitRules): boolean {
  const off = Math.abs(Math.log(factor / ratio));
  return off <= Math.log(1 + rules.splitTolerance) && off < Math.abs(Math.log(factor));
}

function moveAt(
  bars: BarColumns,
  rows: readonly number[],
  at: number,
): { factor: number; sessionDate: SessionDate; words: string } {
  const before = rows[at - 1] ?? 0;
  const row = rows[at] ?? 0;
  const closed = bars.close[before] ?? Number.NaN;
  const opened = bars.open[row] ?? Number.NaN;
  const factor = closed / opened;
  const sessionDate = sessionDateOf(bars.epochDays[row] ?? 0);
  const words =
    `it went from ${price(closed)} (close of ${sessionDateOf(bars.epochDays[before] ?? 0)}) to ${price(opened)} ` +
    `(open of ${sessionDate}), divided by ${rounded(factor)}`;
  return { factor, sessionDate, words };
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(6)));
}
