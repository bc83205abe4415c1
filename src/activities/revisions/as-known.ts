import type { Queryable } from '../../db/client.ts';
import type { BarSource, StoredBars } from '../../db/queries/bars.ts';
import { readReviewDecisions } from '../../db/queries/quarantine.ts';
import type { AppliedSplit } from '../../domain/adjustment.ts';
import { AS_TRADED, epochDayOf } from '../../domain/bars.ts';
import type { ReportedSplit } from '../../domain/market-data.ts';
import { findLongGaps, type LongGap, type Validity, validityOf } from '../../domain/validation/gaps.ts';
import {
  judgeSplits,
  splitRatioWords,
  type SplitRules,
  splitsToApply,
  type SplitVerdict,
} from '../../domain/validation/splits.ts';

/** How a split is named among what people decide about. */
export function splitSubject(split: ReportedSplit): string {
  return `split ${splitRatioWords(split)}`;
}

/** What people decided, as far as a night knows it. */
export type KnownDecisions = (input: {
  symbol: string;
  sessionDate: string;
  subject: string;
}) => 'released' | 'rejected' | undefined;

/** Decisions about splits and gaps before the cut-off of a night. */
export async function readKnownDecisions(
  sql: Queryable,
  input: { symbols: readonly string[]; cutoff: string },
): Promise<KnownDecisions> {
  const rows = await readReviewDecisions(sql, input);
  const keyOf = (key: { symbol: string; sessionDate: string; subject: string }): string =>
    [key.symbol, key.sessionDate, key.subject].join('/');
  const decisions = new Map(rows.map((row) => [keyOf(row), row.status]));
  return (key) => decisions.get(keyOf(key));
}

type StoredSplits = {
  stored: StoredBars;
  sources: ReadonlyMap<number, BarSource>;
  splits: readonly ReportedSplit[];
  rules: SplitRules;
};

/** Judges splits by a symbol's bars as a night knows them. */
export function judgeStored({ stored, sources, splits, rules }: StoredSplits): SplitVerdict[] {
  return judgeSplits({
    bars: stored.bars,
    flagged: stored.flagged,
    basisOf: (row) => sources.get(stored.sourceIds[row] ?? -1)?.basis ?? AS_TRADED,
    splits,
    rules,
  });
}

/** The splits of a symbol that its prices are adjusted by: see `splitsToApply`. */
export function knownSplits(input: StoredSplits & { decisions: KnownDecisions }): AppliedSplit[] {
  if (input.splits.length === 0) return [];
  return splitsToApply(
    judgeStored(input),
    (split) =>
      input.decisions({ symbol: split.symbol, sessionDate: split.exDate, subject: splitSubject(split) }) ===
      'released',
  );
}

/** From when on a symbol's bars are one company's: see `validityOf`. */
export function knownValidity(input: {
  stored: StoredBars;
  /** Newest bar before the ones read, if there is one. */
  previousBar: string | undefined;
  sessionIndexOf: (epochDay: number) => number;
  maxGapSessions: number;
  decisions: KnownDecisions;
}): Validity {
  const { stored, previousBar, sessionIndexOf, maxGapSessions, decisions } = input;
  const { symbol, epochDays } = stored.bars;
  const previousDay = previousBar === undefined ? null : epochDayOf(previousBar);
  const gaps = findLongGaps({ epochDays, previousDay, sessionIndexOf, maxGapSessions });
  return validityOf(gaps, ({ firstAfter }: LongGap) =>
    decisions({ symbol, sessionDate: firstAfter, subject: 'gap' }),
  );
}
