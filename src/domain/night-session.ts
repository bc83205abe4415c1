import type { ExchangeCalendar } from './calendar.ts';
import { isNominal, type LocalSchedule, localDate } from './schedule-times.ts';

export type NightSession =
  | { outcome: 'session'; sessionDate: string }
  /** Nothing to do: no session on that date, or none that the provider can have. */
  | { outcome: 'no_session'; sessionDate: string; reason: string }
  /** A person named a session that cannot run. */
  | { outcome: 'refused'; sessionDate: string; reason: string };

type Question = {
  /** Session a person named. */
  explicit: string | undefined;
  /** The schedule's nominal instant (ms); null for a run that no schedule started. */
  nominalMs: number | null;
  /** Task 1's own time: what tells a nominal instant from a trigger. */
  schedule: LocalSchedule;
  /** Zone of the schedule's clock. */
  timezone: string;
  calendar: ExchangeCalendar;
  /** An exchange close counts as knowable this long after it. */
  settleDelayMs: number;
  /** What the provider chain can have; null = open. */
  coverage: { provider: string; firstSession: string | null; lastSession: string | null };
  nowMs: number;
};

/**
 * The session of a night: the one a person named; else, for a scheduled start, the date of the nominal
 * instant at the exchange; else the newest session that is closed, settled and there to be had.
 */
export function nightSession(question: Question): NightSession {
  const { explicit, nominalMs, calendar, timezone, nowMs } = question;
  if (explicit !== undefined) return named(question, explicit);
  if (nominalMs === null || !isNominal(question.schedule, timezone, nominalMs)) return newest(question);
  // The schedule's clock may be in another zone: the date of a session is the exchange's.
  const sessionDate = localDate(nominalMs, calendar.timeZone);
  const none = (reason: string): NightSession => ({ outcome: 'no_session', sessionDate, reason });
  if (!calendar.isSession(sessionDate)) return none(`${calendar.exchange} is closed on ${sessionDate}`);
  const gap =
    coverageGap(question, sessionDate) ?? notClosed(question, sessionDate, Math.max(nominalMs, nowMs));
  return gap === null ? { outcome: 'session', sessionDate } : none(gap);
}

function named(question: Question, sessionDate: string): NightSession {
  const { calendar, nowMs } = question;
  if (!calendar.isSession(sessionDate)) {
    return { outcome: 'no_session', sessionDate, reason: `${calendar.exchange} is closed on ${sessionDate}` };
  }
  const gap = coverageGap(question, sessionDate) ?? notClosed(question, sessionDate, nowMs);
  return gap === null
    ? { outcome: 'session', sessionDate }
    : { outcome: 'refused', sessionDate, reason: gap };
}

function newest(question: Question): NightSession {
  const { calendar, settleDelayMs, coverage, nowMs } = question;
  const { lastSession } = coverage;
  // A source that ends in the past is asked first: the calendar may not reach as far as today.
  if (lastSession !== null) {
    const last = calendar.isSession(lastSession) ? lastSession : calendar.previous(lastSession);
    if (calendar.closeInstant(last) + settleDelayMs <= nowMs)
      return { outcome: 'session', sessionDate: last };
  }
  const sessionDate = calendar.newestClosedSession(nowMs, settleDelayMs);
  const gap = coverageGap(question, sessionDate);
  if (gap === null) return { outcome: 'session', sessionDate };
  return { outcome: 'no_session', sessionDate: localDate(nowMs, calendar.timeZone), reason: gap };
}

/** Why no provider can have a session, in words; null if one can. */
export function coverageGap({ coverage }: Pick<Question, 'coverage'>, sessionDate: string): string | null {
  const { provider, firstSession, lastSession } = coverage;
  const outside =
    (firstSession !== null && sessionDate < firstSession) ||
    (lastSession !== null && sessionDate > lastSession);
  return outside
    ? `${provider} has ${firstSession ?? 'the past'} to ${lastSession ?? 'now'}: it cannot have ${sessionDate}`
    : null;
}

function notClosed({ calendar, settleDelayMs }: Question, sessionDate: string, atMs: number): string | null {
  const settledMs = calendar.closeInstant(sessionDate) + settleDelayMs;
  return settledMs <= atMs ? null : `${sessionDate} is not over until ${new Date(settledMs).toISOString()}`;
}
