import type { Queryable } from '../../db/client.ts';
import {
  CHANGED_BARS,
  type KnowledgeChange,
  type OutcomeDate,
  readKnowledgeChanges,
} from '../../db/queries/invalidation.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { firstNightKnowing } from '../../domain/knowledge.ts';

/** From the night of `effectiveSession` on, something else is known of the bars of `sessionDate`. */
export type BarTurn = OutcomeDate & { effectiveSession: string };

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
  const changes = await readKnowledgeChanges(sql, { universe, dates });
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
