import type { temporal } from '@temporalio/proto';
import type { TaskSettings } from '../contracts/schemas/config.ts';
import { type ClockChange, clockChanges, weekdayOf } from '../domain/schedule-times.ts';

type Spec = temporal.api.schedule.v1.IScheduleSpec;
type Calendar = temporal.api.schedule.v1.IStructuredCalendarSpec;

/** Weekdays and leap years repeat after 28 years: a rule that holds so long holds for every year. */
const RULE_YEARS = 28;
/** A zone without a fixed rule gets its days named one by one; each start names them anew. */
const NAMED_YEARS = 10;

const between = (start: number, end: number) => [{ start, end, step: 1 }];
const exactly = (value: number) => between(value, value);
/** The server counts from Sunday = 0, we from Monday = 0. */
const serverDay = (weekday: number): number => (weekday + 1) % 7;

/**
 * Calendar of a task's local time in any zone. The server matches clock times: it would skip in silence a time that
 * a change of clocks leaves out, and start twice at one that it repeats. Such days are excluded, and the instant at
 * which our own reckoning has the run is added; from the zone's real changes, as a rule where they follow one.
 */
export function scheduleSpec(
  settings: Pick<TaskSettings, 'hour' | 'minute' | 'daysOfWeek'>,
  timezone: string,
  nowMs: number,
): Spec {
  const { hour, minute, daysOfWeek } = settings;
  const usual: Calendar = {
    second: exactly(0),
    minute: exactly(minute),
    hour: exactly(hour),
    dayOfMonth: between(1, 31),
    month: between(1, 12),
    dayOfWeek: daysOfWeek.map((day) => exactly(serverDay(day))).flat(),
  };
  const firstYear = new Date(nowMs).getUTCFullYear();
  const lastDate = `${firstYear + RULE_YEARS - 1}-12-31`;
  const changes = clockChanges(settings, {
    timezone,
    fromMs: Date.UTC(firstYear, 0, 1),
    years: RULE_YEARS,
  }).filter(({ date }) => date <= lastDate && daysOfWeek.includes(weekdayOf(date)));
  const days = asRules(changes) ?? asNamedDays(changes, firstYear + NAMED_YEARS);
  const excluded = days.filter(({ kind }) => kind === 'twice').map(({ on }) => ({ ...usual, ...on }));
  return {
    structuredCalendar: [
      usual,
      ...days.map(({ runsOn, clock }) => ({
        ...usual,
        ...runsOn,
        hour: exactly(clock.hour),
        minute: exactly(clock.minute),
      })),
    ],
    ...(excluded.length === 0 ? {} : { excludeStructuredCalendar: excluded }),
    timezoneName: timezone,
  };
}

type Days = Pick<Calendar, 'dayOfMonth' | 'month' | 'dayOfWeek' | 'year'>;
/** Days that differ: `on` those of the clock time, `runsOn` those of the run. */
type Exception = {
  kind: ClockChange['kind'];
  on: Days;
  runsOn: Days;
  clock: { hour: number; minute: number };
};

/** The changes as rules like "the Sunday from the 8th to the 14th of March"; null if they follow none. */
function asRules(changes: readonly ClockChange[]): Exception[] | null {
  const groups = new Map<string, ClockChange[]>();
  for (const change of changes) {
    const { date, kind, hour, minute } = change;
    if (change.runDate !== date) return null;
    const key = JSON.stringify([kind, date.slice(5, 7), weekdayOf(date), hour, minute]);
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  const rules: Exception[] = [];
  for (const group of groups.values()) {
    const [first] = group;
    const monthDays = group.map(({ date }) => Number(date.slice(8)));
    const [from, to] = [Math.min(...monthDays), Math.max(...monthDays)];
    const years = new Set(group.map(({ date }) => date.slice(0, 4)));
    if (first === undefined || to - from !== 6 || years.size !== RULE_YEARS || group.length !== RULE_YEARS)
      return null;
    const on: Days = {
      dayOfMonth: between(from, to),
      month: exactly(Number(first.date.slice(5, 7))),
      dayOfWeek: exactly(serverDay(weekdayOf(first.date))),
    };
    rules.push({ kind: first.kind, on, runsOn: on, clock: first });
  }
  return rules;
}

function asNamedDays(changes: readonly ClockChange[], untilYear: number): Exception[] {
  return changes
    .filter(({ date }) => Number(date.slice(0, 4)) < untilYear)
    .map((change) => ({
      kind: change.kind,
      on: namedDay(change.date),
      runsOn: namedDay(change.runDate),
      clock: change,
    }));
}

function namedDay(date: string): Days {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  return { year: exactly(year), month: exactly(month), dayOfMonth: exactly(day), dayOfWeek: between(0, 6) };
}
