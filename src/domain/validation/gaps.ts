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
      const sessions = sessionIndexOf(day) - sessionIndexOf(before) - 1;
      const areSessions = sessionIndexOf(day) >= 0 && sessionIndexOf(before) >= 0;
      if (areSessions && sessions > maxGapSessions) {
        gaps.push({ lastBefore: sessionDateOf(before), firstAfter: sessionDateOf(day), sessions });
      }
    }
    before = day;
  }
  return gaps;
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
