import type { ExchangeCalendar } from './calendar.ts';
import { addDays, instantOf, type LocalSchedule, localDate, nextRun, weekdayOf } from './schedule-times.ts';

export type ExpectedNight = {
  sessionDate: string;
  /** When the schedule should have started it (ms). */
  nominalMs: number;
  /** Until when the watchdog may still start it (ms). */
  cutoffMs: number;
};

type Asked = {
  calendar: Pick<ExchangeCalendar, 'first' | 'last' | 'timeZone' | 'isSession'>;
  schedule: LocalSchedule;
  timezone: string;
  coverage: { firstSession: string | null; lastSession: string | null };
  /** Since when the schedule is on without a break (ms): nothing before it was promised. */
  enabledSinceMs: number;
  /** The server itself still catches up within this time. */
  graceMs: number;
  maxSessionsBack: number;
  nowMs: number;
};
/** `cutoff`: local clock time, `HH:MM`, of the morning after. */
type Question = Asked & { cutoff: string };

/**
 * Nights that the schedule should have started by now, newest first, at most `maxSessionsBack`. A night's session is
 * the exchange's date at its nominal instant, which is in the schedule's own zone.
 */
export function expectedNights(question: Question): ExpectedNight[] {
  return nightsDue(question).map((night) => ({ ...night, cutoffMs: cutoffAfter(night.nominalMs, question) }));
}

/** The newest session of which a schedule that is on should have started the night by now, whenever it was enabled. */
export function newestExpected(
  question: Pick<Asked, 'calendar' | 'schedule' | 'timezone' | 'graceMs' | 'nowMs'>,
): string | null {
  const coverage = { firstSession: null, lastSession: null };
  const [night] = nightsDue({ ...question, coverage, enabledSinceMs: 0, maxSessionsBack: 1 });
  return night?.sessionDate ?? null;
}

function nightsDue(question: Asked): Omit<ExpectedNight, 'cutoffMs'>[] {
  const { calendar, schedule, timezone, nowMs, graceMs, coverage } = question;
  const expected: Omit<ExpectedNight, 'cutoffMs'>[] = [];
  // A fortnight holds more sessions than anybody looks back.
  for (let back = 0; back <= 14 && expected.length < question.maxSessionsBack; back += 1) {
    const date = addDays(localDate(nowMs, timezone), -back);
    if (!schedule.daysOfWeek.includes(weekdayOf(date))) continue;
    const { hour, minute } = schedule;
    const nominalMs = instantOf({ date, hour, minute, timezone });
    if (nominalMs + graceMs > nowMs || nominalMs < question.enabledSinceMs) continue;
    const sessionDate = localDate(nominalMs, calendar.timeZone);
    if (sessionDate < calendar.first || sessionDate > calendar.last || !calendar.isSession(sessionDate))
      continue;
    if (coverage.firstSession !== null && sessionDate < coverage.firstSession) continue;
    if (coverage.lastSession !== null && sessionDate > coverage.lastSession) continue;
    expected.push({ sessionDate, nominalMs });
  }
  return expected;
}

/** The first cut-off after the nominal start, but never later than the next nominal start. */
function cutoffAfter(nominalMs: number, { cutoff, schedule, timezone }: Question): number {
  const [hour = 0, minute = 0] = cutoff.split(':').map(Number);
  const daily: LocalSchedule = { hour, minute, daysOfWeek: [0, 1, 2, 3, 4, 5, 6] };
  const next = nextRun(daily, timezone, nominalMs) ?? nominalMs;
  return Math.min(next, nextRun(schedule, timezone, nominalMs) ?? next);
}
