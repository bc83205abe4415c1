/**
 * Local clock times as instants, daylight saving included. Pure: every function gets its instant.
 * Instants are ms since 1970 (UTC), dates are `YYYY-MM-DD` of the time zone, weekdays 0 = Monday.
 */

/** A task's own time: on these weekdays (judged on the date on which the time falls) at this clock time. */
export type LocalSchedule = { hour: number; minute: number; daysOfWeek: readonly number[] };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Within this many days every weekly schedule comes by, on skipped days too. */
const SEARCH_DAYS = 15;
/** No zone changes its clock twice within ten days. */
const CHANGE_STEP_MS = 10 * DAY_MS;

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  formatters.set(timezone, made);
  return made;
}

/** The local clock read as if it were UTC (ms): its difference to the instant is the offset. */
function localMs(instantMs: number, timezone: string): number {
  // `01/06/2026, 22:45:00`: read by position, which takes a third of the time of the formatter's parts.
  const text = formatterOf(timezone).format(instantMs);
  const at = (from: number, digits = 2): number => Number(text.slice(from, from + digits));
  const whole = Date.UTC(at(6, 4), at(0) - 1, at(3), at(12), at(15), at(18));
  return whole + (instantMs - Math.floor(instantMs / 1000) * 1000);
}

/** Date in a time zone at an instant. */
export function localDate(instantMs: number, timezone: string): string {
  return new Date(localMs(instantMs, timezone)).toISOString().slice(0, 10);
}

/** `HH:MM` in a time zone at an instant. */
export function localClock(instantMs: number, timezone: string): string {
  return new Date(localMs(instantMs, timezone)).toISOString().slice(11, 16);
}

/** ISO text with the zone's offset, as the documents write it: `2026-01-06T22:45:00-05:00`. */
export function localIso(instantMs: number, timezone: string): string {
  const local = localMs(instantMs, timezone);
  const offsetMinutes = Math.round((local - instantMs) / MINUTE_MS);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const size = Math.abs(offsetMinutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${new Date(local).toISOString().slice(0, 19)}${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** 0 = Monday … 6 = Sunday. */
export function weekdayOf(date: string): number {
  return (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;
}

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/**
 * Instant of a local clock time. A time that does not exist on that day (spring) is the first valid instant
 * after it; one that comes twice (autumn) is the instant at which the clock has gone through it for good, so that
 * it is one instant whoever computes it: a calendar of clock times would match twice.
 */
export function instantOf(options: { date: string; hour: number; minute: number; timezone: string }): number {
  const { date, hour, minute, timezone } = options;
  const wanted = Date.parse(`${date}T00:00:00Z`) + hour * HOUR_MS + minute * MINUTE_MS;
  const [before = 0, after = 0] = [wanted - DAY_MS, wanted + DAY_MS].map(
    (probe) => localMs(probe, timezone) - probe,
  );
  const candidates = [...new Set([wanted - before, wanted - after])].filter(
    (ms) => localMs(ms, timezone) === wanted,
  );
  const [only] = candidates;
  if (candidates.length === 1 && only !== undefined) return only;
  const change = changeBetween(wanted - DAY_MS - before, wanted + DAY_MS - after, timezone);
  // Forward: the clock jumps over the wanted time. Back: it is shown again until the stretch has been repeated.
  return candidates.length === 0 ? change : change + (before - after);
}

/** The instant between two others at which the zone's offset changes, to the second. */
function changeBetween(fromMs: number, toMs: number, timezone: string): number {
  const offsetAt = (ms: number): number => localMs(ms, timezone) - ms;
  const first = offsetAt(fromMs);
  let [before, after] = [fromMs, toMs];
  while (after - before > 1000) {
    const middle = Math.floor((before + after) / 2000) * 1000;
    if (offsetAt(middle) === first) before = middle;
    else after = middle;
  }
  return after;
}

const knownChanges = new Map<string, number[]>();

/** Instants at which the zone's offset changes, looked for once: every schedule of a start asks for the same years. */
function offsetChanges(startMs: number, endMs: number, timezone: string): number[] {
  const key = `${timezone} ${startMs} ${endMs}`;
  const known = knownChanges.get(key);
  if (known !== undefined) return known;
  const offsetAt = (ms: number): number => localMs(ms, timezone) - ms;
  const found: number[] = [];
  let offset = offsetAt(startMs);
  for (let ms = startMs; ms < endMs; ms += CHANGE_STEP_MS) {
    const next = offsetAt(ms + CHANGE_STEP_MS);
    if (next !== offset) found.push(changeBetween(ms, ms + CHANGE_STEP_MS, timezone));
    offset = next;
  }
  knownChanges.set(key, found);
  return found;
}

/** A day on which a clock time does not exist or comes twice, and date and clock at which its run takes place. */
export type ClockChange = {
  date: string;
  kind: 'missing' | 'twice';
  runDate: string;
  hour: number;
  minute: number;
};

/**
 * Days from `fromMs` on, within so many years, on which this clock time does not exist or comes twice in the zone;
 * from the zone's own changes of offset.
 */
export function clockChanges(
  time: { hour: number; minute: number },
  options: { timezone: string; fromMs: number; years: number },
): ClockChange[] {
  const { timezone, fromMs, years } = options;
  const offsetAt = (ms: number): number => localMs(ms, timezone) - ms;
  const changes: ClockChange[] = [];
  const start = Math.floor(fromMs / DAY_MS) * DAY_MS;
  for (const at of offsetChanges(start, start + years * 366 * DAY_MS, timezone)) {
    // The stretch that is left out or repeated may begin on the day before.
    const around = [...new Set([localDate(at - DAY_MS / 2, timezone), localDate(at, timezone)])];
    for (const date of around) {
      const runMs = instantOf({ date, ...time, timezone });
      const [hour = 0, minute = 0] = localClock(runMs, timezone).split(':').map(Number);
      if (hour === time.hour && minute === time.minute) continue;
      const kind = offsetAt(at) > offsetAt(at - 1000) ? 'missing' : 'twice';
      changes.push({ date, kind, runDate: localDate(runMs, timezone), hour, minute });
    }
  }
  return changes;
}

/** The first run strictly after an instant; null for a schedule without days. */
export function nextRun(schedule: LocalSchedule, timezone: string, afterMs: number): number | null {
  const from = addDays(localDate(afterMs, timezone), -1);
  for (let day = 0; day <= SEARCH_DAYS; day += 1) {
    const date = addDays(from, day);
    if (!schedule.daysOfWeek.includes(weekdayOf(date))) continue;
    const runMs = instantOf({ date, hour: schedule.hour, minute: schedule.minute, timezone });
    if (runMs > afterMs) return runMs;
  }
  return null;
}

/** True when the schedule itself starts at this instant: what else a schedule starts, a person triggered. */
export function isNominal(schedule: LocalSchedule, timezone: string, instantMs: number): boolean {
  return nextRun(schedule, timezone, instantMs - 1) === instantMs;
}

/**
 * A task's own time in the night that began on `startDate` at the first task's time: a clock time before
 * that belongs to the next date.
 */
export function instantInNight(options: {
  task: LocalSchedule;
  first: LocalSchedule;
  startDate: string;
  timezone: string;
}): { date: string; instantMs: number; runsThatDay: boolean } {
  const { task, first, startDate, timezone } = options;
  const minutes = (schedule: LocalSchedule): number => schedule.hour * 60 + schedule.minute;
  const date = minutes(task) < minutes(first) ? addDays(startDate, 1) : startDate;
  const instantMs = instantOf({ date, hour: task.hour, minute: task.minute, timezone });
  return { date, instantMs, runsThatDay: task.daysOfWeek.includes(weekdayOf(date)) };
}

/** What the change of clocks does to a schedule within a year from `fromMs`: sentences for people. */
export function clockChangeNotes(schedule: LocalSchedule, timezone: string, fromMs: number): string[] {
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = `${two(schedule.hour)}:${two(schedule.minute)}`;
  return clockChanges(schedule, { timezone, fromMs, years: 1 })
    .filter(({ date }) => schedule.daysOfWeek.includes(weekdayOf(date)))
    .map(({ date, kind, hour, minute }) => {
      const word = kind === 'missing' ? 'does not exist' : 'comes twice';
      return `${clock} ${word} on ${date}: runs once, at ${two(hour)}:${two(minute)}`;
    });
}
