import { type EpochDay, type SessionDate, sessionDateOf } from '../bars.ts';

/** A run of sessions without a bar, between two bars of one symbol. */
export interface LongGap {
  readonly lastBefore: SessionDate;
  readonly firstAfter: SessionDate;
  /** Sessions without a bar. */
  readonly sessions: number;
}

/**
 * Gaps of more than `maxGapSessions` sessions, oldest first. After one the same ticker may mean another company.
 * `previousDay` is the newest bar before the given rows, if there is one; days that are no session do not count.
 */
export function findLongGaps(input: {
  /** Days of the bars, ascending. */
  readonly epochDays: Int32Array;
  readonly previousDay?: EpochDay | null;
  readonly sessionIndexOf: (epochDay: EpochDay) => number;
  readonly maxGapSessions: number;
}): LongGap[] {
  const { epochDays, sessionIndexOf, maxGapSessions } = input;
  const gaps: LongGap[] = [];
  let before = input.previousDay ?? null;
  for (const day of epochDays) {
    // More sessions than days cannot lie between: nearly every row ends here.
    if (before !== null && day - before > maxGapSessions) {
      const index = sessionIndexOf(day);
      // A bar of a session that was closed later ends no gap, but may begin one.
      if (index < 0) continue;
      const sessions = index - indexThrough(before, sessionIndexOf) - 1;
      if (sessions > maxGapSessions) {
        gaps.push({ lastBefore: sessionDateOf(before), firstAfter: sessionDateOf(day), sessions });
      }
    }
    before = day;
  }
  return gaps;
}

/** How far back a session is looked for: closures in the years of the calendar were far shorter. */
const MAX_CLOSED_DAYS = 60;

/** Position of the newest session up to a day; NaN if there is none near it. */
function indexThrough(day: EpochDay, sessionIndexOf: (epochDay: EpochDay) => number): number {
  for (let back = 0; back <= MAX_CLOSED_DAYS; back += 1) {
    const index = sessionIndexOf(day - back);
    if (index >= 0) return index;
  }
  return Number.NaN;
}

/** `released`: the same company on both sides. `rejected`: another one. */
export type GapDecision = 'released' | 'rejected';

/** From when on a symbol's bars are one company's, and the gap that keeps it held, if a person has not decided. */
export interface Validity {
  /** Null: all of them. */
  readonly from: SessionDate | null;
  readonly held: LongGap | null;
}

/** Bars before the newest gap that nobody released are not joined with those after it. */
export function validityOf(
  gaps: readonly LongGap[],
  decisionOf: (gap: LongGap) => GapDecision | undefined,
): Validity {
  for (const gap of gaps.toReversed()) {
    const decision = decisionOf(gap);
    if (decision === 'released') continue;
    return { from: gap.firstAfter, held: decision === undefined ? gap : null };
  }
  return { from: null, held: null };
}

/** The question to a person, with the dates. */
export function gapWords(symbol: string, { lastBefore, firstAfter, sessions }: LongGap): string {
  return `${symbol} had no bar for ${sessions} sessions between ${lastBefore} and ${firstAfter}: is it still the same company?`;
}
