import { describe, expect, it } from 'vitest';

import { createCalendar, type ExchangeSession } from './calendar.ts';
import { expectedNights } from './missed-sessions.ts';

/** Monday 8 to Friday 19 March 2027, without Wednesday the 10th; the clocks change on Sunday the 14th. */
const DATES = ['08', '09', '11', '12', '15', '16', '17', '18', '19'].map((day) => `2027-03-${day}`);
const calendar = createCalendar({
  exchange: 'XNYS',
  timeZone: 'America/New_York',
  sessions: DATES.map((sessionDate): ExchangeSession => {
    const dayMs = Date.parse(`${sessionDate}T00:00:00Z`);
    return {
      sessionDate,
      openMs: dayMs + 14 * 3_600_000,
      closeMs: dayMs + 20 * 3_600_000,
      earlyClose: false,
    };
  }),
});

function expected(change: {
  now: string;
  enabledSince?: string;
  lastSession?: string;
  daysOfWeek?: number[];
  schedule?: { timezone: string; hour: number };
}) {
  return expectedNights({
    calendar,
    schedule: {
      hour: change.schedule?.hour ?? 22,
      minute: 45,
      daysOfWeek: change.daysOfWeek ?? [0, 1, 2, 3, 4, 5, 6],
    },
    timezone: change.schedule?.timezone ?? 'America/New_York',
    coverage: { firstSession: null, lastSession: change.lastSession ?? null },
    enabledSinceMs: Date.parse(change.enabledSince ?? '2027-01-01T00:00:00Z'),
    graceMs: 300_000,
    maxSessionsBack: 3,
    cutoff: '06:00',
    nowMs: Date.parse(change.now),
  });
}

const dates = (change: Parameters<typeof expected>[0]) => expected(change).map((night) => night.sessionDate);

describe('expected nights', () => {
  it('are named by the exchange’s date where the schedule’s clock shows the next one', () => {
    // 04:45 in Berlin, Tuesday to Saturday: the evenings of Monday to Friday in New York.
    const nights = expected({
      now: '2027-03-13T08:00:00Z',
      daysOfWeek: [1, 2, 3, 4, 5],
      schedule: { timezone: 'Europe/Berlin', hour: 4 },
    });
    expect(nights.map((night) => [night.sessionDate, new Date(night.nominalMs).toISOString()])).toEqual([
      ['2027-03-12', '2027-03-13T03:45:00.000Z'],
      ['2027-03-11', '2027-03-12T03:45:00.000Z'],
      ['2027-03-09', '2027-03-10T03:45:00.000Z'],
    ]);
  });

  it('are the newest sessions whose start has passed, holidays left out', () => {
    expect(dates({ now: '2027-03-12T12:00:00Z' })).toEqual(['2027-03-11', '2027-03-09', '2027-03-08']);
    expect(dates({ now: '2027-03-17T12:00:00Z' })).toEqual(['2027-03-16', '2027-03-15', '2027-03-12']);
  });

  it('count only after the server’s own catch-up', () => {
    // 22:45 on the 12th is 03:45Z on the 13th.
    expect(dates({ now: '2027-03-13T03:49:59Z' })[0]).toBe('2027-03-11');
    expect(dates({ now: '2027-03-13T03:50:00Z' })[0]).toBe('2027-03-12');
  });

  it('begin when the schedule was first switched on', () => {
    expect(dates({ now: '2027-03-12T12:00:00Z', enabledSince: '2027-03-11T12:00:00Z' })).toEqual([
      '2027-03-11',
    ]);
    expect(dates({ now: '2027-03-12T12:00:00Z', enabledSince: '2027-03-12T11:00:00Z' })).toEqual([]);
  });

  it('end where the provider does, and keep to day_of_week', () => {
    expect(dates({ now: '2027-03-12T12:00:00Z', lastSession: '2027-03-09' })).toEqual([
      '2027-03-09',
      '2027-03-08',
    ]);
    expect(dates({ now: '2027-03-12T12:00:00Z', daysOfWeek: [0, 1] })).toEqual(['2027-03-09', '2027-03-08']);
  });

  it('can be started until the morning after, clock changes included', () => {
    const [friday] = expected({ now: '2027-03-13T04:00:00Z' });
    expect(new Date(friday?.cutoffMs ?? 0).toISOString()).toBe('2027-03-13T11:00:00.000Z');
    const [monday] = expected({ now: '2027-03-16T04:00:00Z' });
    expect(new Date(monday?.cutoffMs ?? 0).toISOString()).toBe('2027-03-16T10:00:00.000Z');
  });
});
