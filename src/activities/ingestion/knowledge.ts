import type { Knowledge } from '../../db/queries/versioned.ts';
import { firstNightKnowing } from '../../domain/knowledge.ts';
import type { SessionNeed } from './fetch.ts';
import type { IngestionNight } from './night.ts';

/**
 * From when on nights know a fact that belongs to a date. Ordinarily from that date; where the symbol was asked for
 * over that date before and the fact was not there, or says something else now, from this night on.
 */
export function knowledgeOf(input: {
  date: string;
  night: Pick<IngestionNight, 'calendar' | 'nowMs'>;
  need: Pick<SessionNeed, 'newestKnown' | 'oldestBar' | 'hasLater'> | undefined;
  /** Whether earlier nights asked for facts of any date, or of dates from the symbol's first bar on. */
  askedSince: 'always' | 'firstBar';
}): Knowledge {
  const { date, night, need, askedSince } = input;
  const { newestKnown = null, oldestBar = null, hasLater = false } = need ?? {};
  const tonight = firstNightKnowing(night.calendar, night.nowMs);
  const fromNow = tonight > date ? tonight : date;
  const wasAsked = askedSince === 'always' || (oldestBar !== null && oldestBar <= date);
  const late = newestKnown !== null && date <= newestKnown && wasAsked;
  return { available_on: late ? fromNow : date, late, changed_on: fromNow, revise: !hasLater };
}
