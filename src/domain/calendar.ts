import { type EpochDay, epochDayOf, lowerBound, type SessionDate, sessionDateOf } from './bars.ts';

/** One session of an exchange: its date there and its regular hours as instants (ms since epoch, UTC). */
export interface ExchangeSession {
  readonly sessionDate: SessionDate;
  readonly openMs: number;
  readonly closeMs: number;
  readonly earlyClose: boolean;
}

/**
 * A correction to the exported calendar, with its reason: an unscheduled closure, an unplanned
 * early close, or a session the export does not know. Later entries for a date replace earlier ones.
 */
export type CalendarOverride =
  | { readonly sessionDate: SessionDate; readonly kind: 'closed'; readonly reason: string }
  | {
      readonly sessionDate: SessionDate;
      readonly kind: 'hours';
      readonly openMs: number;
      readonly closeMs: number;
      readonly earlyClose: boolean;
      readonly reason: string;
    };

/** A question outside the exported range, or about a day that is no session. */
export class CalendarRangeError extends RangeError {
  override readonly name = 'CalendarRangeError';
}

/** Pure answers about the sessions of one exchange. Dates are `YYYY-MM-DD`, instants are UTC ms. */
export interface ExchangeCalendar {
  readonly exchange: string;
  readonly timeZone: string;
  /** All session dates as ascending epoch days. */
  readonly epochDays: Int32Array;
  readonly first: SessionDate;
  readonly last: SessionDate;
  readonly size: number;
  isSession(date: SessionDate): boolean;
  /** The session of a date, null if the exchange is closed. Throws outside the range. */
  sessionOf(date: SessionDate): ExchangeSession | null;
  /** Position of a session, 0-based. Throws if the date is no session. */
  indexOf(date: SessionDate): number;
  at(index: number): ExchangeSession;
  /** The last session strictly before a date (which need not be a session). */
  previous(date: SessionDate): SessionDate;
  /** The first session strictly after a date (which need not be a session). */
  next(date: SessionDate): SessionDate;
  /** The session `count` sessions away from a session; negative goes back. */
  offset(date: SessionDate, count: number): SessionDate;
  /** All sessions from `from` to `to`, both included. */
  sessionsBetween(from: SessionDate, to: SessionDate): readonly SessionDate[];
  /** Signed number of sessions from one session to another. */
  distance(from: SessionDate, to: SessionDate): number;
  openInstant(date: SessionDate): number;
  closeInstant(date: SessionDate): number;
  /** Length of the regular session in minutes (390, on a half day 210). */
  minutes(date: SessionDate): number;
  /** The newest session with `close + settleDelayMs <= instantMs`. */
  newestClosedSession(instantMs: number, settleDelayMs: number): SessionDate;
}

const MINUTE_MS = 60_000;

interface CalendarInput {
  readonly exchange: string;
  readonly timeZone: string;
  /** In any order, without duplicates. */
  readonly sessions: readonly ExchangeSession[];
  readonly overrides?: readonly CalendarOverride[];
}

/** Builds a calendar. Throws CalendarRangeError for no sessions, duplicates or hours that make no sense. */
export function createCalendar(input: CalendarInput): ExchangeCalendar {
  const sessions = applyOverrides(input.sessions, input.overrides ?? []);
  const epochDays = Int32Array.from(sessions, (session) => epochDayOf(session.sessionDate));
  const firstSession = sessions[0];
  const lastSession = sessions.at(-1);
  if (firstSession === undefined || lastSession === undefined) {
    throw new CalendarRangeError(`calendar ${input.exchange} has no sessions`);
  }
  const first = firstSession.sessionDate;
  const last = lastSession.sessionDate;
  const closes = Float64Array.from(sessions, (session) => session.closeMs);

  const fail = (problem: string): never => {
    throw new CalendarRangeError(`${input.exchange}: ${problem} (the calendar covers ${first} to ${last})`);
  };
  const at = (index: number): ExchangeSession =>
    sessions[index] ?? fail(`no session at position ${index} of ${sessions.length}`);
  const checkedDay = (date: SessionDate): EpochDay =>
    date < first || date > last ? fail(`${date} is outside`) : epochDayOf(date);
  const find = (date: SessionDate): number => {
    const day = checkedDay(date);
    const index = lowerBound(epochDays, day);
    return epochDays[index] === day ? index : -1;
  };
  const indexOf = (date: SessionDate): number => {
    const index = find(date);
    return index < 0 ? fail(`${date} is not a session`) : index;
  };

  return {
    exchange: input.exchange,
    timeZone: input.timeZone,
    epochDays,
    first,
    last,
    size: sessions.length,
    isSession: (date) => find(date) >= 0,
    sessionOf: (date) => {
      const index = find(date);
      return index < 0 ? null : at(index);
    },
    indexOf,
    at,
    previous: (date) => at(lowerBound(epochDays, checkedDay(date)) - 1).sessionDate,
    next: (date) => at(lowerBound(epochDays, checkedDay(date) + 1)).sessionDate,
    offset: (date, count) => at(indexOf(date) + count).sessionDate,
    sessionsBetween: (from, to) => {
      const start = lowerBound(epochDays, checkedDay(from));
      const end = lowerBound(epochDays, checkedDay(to) + 1);
      return sessions.slice(start, end).map((session) => session.sessionDate);
    },
    distance: (from, to) => indexOf(to) - indexOf(from),
    openInstant: (date) => at(indexOf(date)).openMs,
    closeInstant: (date) => at(indexOf(date)).closeMs,
    minutes: (date) => {
      const session = at(indexOf(date));
      return (session.closeMs - session.openMs) / MINUTE_MS;
    },
    newestClosedSession: (instantMs, settleDelayMs) => {
      let low = 0;
      let high = closes.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((closes[middle] ?? Number.POSITIVE_INFINITY) + settleDelayMs <= instantMs) low = middle + 1;
        else high = middle;
      }
      // Past the export's end the true answer may be a session the file does not have.
      if (low === closes.length && sessionDateOf(Math.floor(instantMs / 86_400_000)) > last) {
        return fail(
          `${new Date(instantMs).toISOString()} is after the last session; export the calendar anew`,
        );
      }
      return at(low - 1).sessionDate;
    },
  };
}

function applyOverrides(
  sessions: readonly ExchangeSession[],
  overrides: readonly CalendarOverride[],
): readonly ExchangeSession[] {
  const byDate = new Map<SessionDate, ExchangeSession>();
  for (const session of sessions) {
    if (byDate.has(session.sessionDate)) {
      throw new CalendarRangeError(`session ${session.sessionDate} is there twice`);
    }
    byDate.set(session.sessionDate, session);
  }
  for (const override of overrides) {
    epochDayOf(override.sessionDate);
    if (override.kind === 'closed') byDate.delete(override.sessionDate);
    else {
      const { sessionDate, openMs, closeMs, earlyClose } = override;
      byDate.set(sessionDate, { sessionDate, openMs, closeMs, earlyClose });
    }
  }
  const ordered = [...byDate.values()].sort((a, b) => (a.sessionDate < b.sessionDate ? -1 : 1));
  for (const [index, session] of ordered.entries()) {
    if (!(session.openMs < session.closeMs)) {
      throw new CalendarRangeError(`session ${session.sessionDate} closes before it opens`);
    }
    const before = ordered[index - 1];
    if (before !== undefined && before.closeMs > session.openMs) {
      throw new CalendarRangeError(
        `session ${session.sessionDate} opens before ${before.sessionDate} closes`,
      );
    }
  }
  return ordered;
}

const SESSION_LINE = /^(\d{4}-\d{2}-\d{2}),(\d{2}):(\d{2}),(\d{2}):(\d{2}),([01])$/;

/** Reads the text of `data/calendar/xnys.csv`. Throws CalendarRangeError naming the line it cannot read. */
export function parseSessionTable(text: string): readonly ExchangeSession[] {
  const sessions: ExchangeSession[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || line.startsWith('session,')) continue;
    const match = SESSION_LINE.exec(line.trimEnd());
    if (match === null) throw new CalendarRangeError(`line ${index + 1} of the session table: ${line}`);
    const [, sessionDate = '', openHour, openMinute, closeHour, closeMinute, early] = match;
    const dayMs = epochDayOf(sessionDate) * 86_400_000;
    sessions.push({
      sessionDate,
      openMs: dayMs + (Number(openHour) * 60 + Number(openMinute)) * MINUTE_MS,
      closeMs: dayMs + (Number(closeHour) * 60 + Number(closeMinute)) * MINUTE_MS,
      earlyClose: early === '1',
    });
  }
  return sessions;
}
