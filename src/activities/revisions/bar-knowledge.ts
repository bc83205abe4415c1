import type { Queryable } from '../../db/client.ts';
import {
  CHANGED_BARS,
  type KnowledgeChange,
  type OutcomeDate,
  type Reach,
  readKnowledgeChanges,
  readMemberChanges,
} from '../../db/queries/invalidation.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { firstNightKnowing } from '../../domain/knowledge.ts';

/** From the night of `effectiveSession` on, something else is known of the bars or splits of `sessionDate`. */
export type BarTurn = OutcomeDate & { effectiveSession: string; reach: Reach };

/** Whether an outcome is made of what a turn changes: what `Reach` says, as the queries do. */
export function reaches(turn: BarTurn, outcome: { entrySession: string; exitSession: string }): boolean {
  const { sessionDate, reach } = turn;
  const { entrySession, exitSession } = outcome;
  if (reach === 'across') return entrySession < sessionDate && sessionDate <= exitSession;
  if (reach === 'from') return sessionDate <= exitSession;
  return sessionDate === entrySession || sessionDate === exitSession;
}

/** Every turn of those dates that is stored, whatever a night may know; from them rows follow in any order. */
export async function readBarTurns(
  sql: Queryable,
  input: { universe: string; dates: readonly OutcomeDate[]; calendar: ExchangeCalendar },
): Promise<BarTurn[]> {
  const { universe, calendar } = input;
  const distinct = new Map(
    input.dates
      .filter(({ sessionDate }) => calendar.isSession(sessionDate))
      .map((date) => [`${date.universeVersion} ${date.sessionDate}`, date]),
  );
  const dates = [...distinct.values()].map((date) => ({
    ...date,
    nextOpenMs: calendar.openInstant(calendar.next(date.sessionDate)),
  }));
  if (dates.length === 0) return [];
  const days = dates.map(({ sessionDate }) => sessionDate).sort();
  const changes = [
    ...(await readKnowledgeChanges(sql, { universe, dates })),
    ...(await readMemberChanges(sql, {
      universe,
      versions: [...new Set(dates.map(({ universeVersion }) => universeVersion))],
      first: days[0] ?? '',
      last: days.at(-1) ?? '',
    })),
  ];
  return changes.flatMap((change) => turnOf(change, calendar));
}

function turnOf({ session, knownAt, ...date }: KnowledgeChange, calendar: ExchangeCalendar): BarTurn[] {
  if (session !== null) return [{ ...date, effectiveSession: session }];
  if (knownAt === null) return [];
  return [{ ...date, effectiveSession: firstNightKnowing(calendar, Date.parse(knownAt)) }];
}

/**
 * The nights for which an outcome made at `asOfSession` holds: from the newest turn of its bars that is known there,
 * but no earlier than `earliest`, up to the next turn.
 */
export function heldBetween(input: {
  /** Turns of the entry and exit sessions of the outcome's list. */
  turns: readonly string[];
  earliest: string;
  asOfSession: string;
}): { availableSession: string; invalidFrom: string | null; invalidReason: string | null } {
  const { turns, earliest, asOfSession } = input;
  let availableSession = earliest;
  let invalidFrom: string | null = null;
  for (const turn of turns) {
    if (turn <= asOfSession) availableSession = turn > availableSession ? turn : availableSession;
    else if (invalidFrom === null || turn < invalidFrom) invalidFrom = turn;
  }
  const invalidReason = invalidFrom === null ? null : `${CHANGED_BARS}${invalidFrom}`;
  return { availableSession, invalidFrom, invalidReason };
}
