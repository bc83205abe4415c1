import { epochDayOf } from '../../bars.ts';
import type { CalendarFeature } from '../types.ts';

type CalendarEntry = Omit<CalendarFeature, 'family' | 'source' | 'monitored' | 'warmupSessions'>;

/** Sessions since the month began, 1 for its first; NaN while the series has not seen a month begin. */
function sessionOfMonth(sessions: readonly string[]): Float64Array {
  let count = Number.NaN;
  return Float64Array.from(sessions, (session, i) => {
    const newMonth = i > 0 && session.slice(0, 7) !== sessions[i - 1]!.slice(0, 7);
    count = newMonth ? 1 : count + 1;
    return count;
  });
}

const ENTRIES: readonly CalendarEntry[] = [
  {
    name: 'weekday',
    definition: 'day of the week of S, Monday = 1',
    lookbackSessions: 0,
    unit: 'count',
    // 1970-01-01 was a Thursday.
    compute: (sessions) => Float64Array.from(sessions, (session) => ((epochDayOf(session) + 3) % 7) + 1),
  },
  {
    name: 'sessionOfMonth',
    definition: 'number of S within the sessions of its month',
    lookbackSessions: 23,
    unit: 'count',
    compute: sessionOfMonth,
  },
  {
    name: 'daysSincePrevious',
    definition: 'calendar days from the session before to S',
    lookbackSessions: 1,
    unit: 'days',
    compute: (sessions) =>
      Float64Array.from(sessions, (session, i) =>
        i === 0 ? Number.NaN : epochDayOf(session) - epochDayOf(sessions[i - 1]!),
      ),
  },
];

export const CALENDAR: CalendarFeature[] = ENTRIES.map((entry) => ({
  ...entry,
  family: 'calendar',
  source: 'calendar',
  monitored: false,
  warmupSessions: entry.lookbackSessions,
}));
