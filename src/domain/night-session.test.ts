import { describe, expect, it } from 'vitest';

import { createCalendar, type ExchangeSession } from './calendar.ts';
import { nightSession } from './night-session.ts';

/** 09:30 to 16:00 in New York's winter. */
function winterSession(sessionDate: string): ExchangeSession {
  const dayMs = Date.parse(`${sessionDate}T00:00:00Z`);
  return {
    sessionDate,
    openMs: dayMs + 14.5 * 3_600_000,
    closeMs: dayMs + 21 * 3_600_000,
    earlyClose: false,
  };
}

const calendar = createCalendar({
  exchange: 'XNYS',
  timeZone: 'America/New_York',
  sessions: [
    '2012-05-31',
    '2018-02-05',
    '2018-02-06',
    '2018-02-07',
    '2018-02-08',
    '2027-03-11',
    '2027-03-12',
    '2027-03-15',
    '2027-12-23',
    '2027-12-27',
  ].map(winterSession),
});
const live = { provider: 'live', firstSession: null, lastSession: null };
const archive = { provider: 'archive', firstSession: '2013-02-08', lastSession: '2018-02-07' };

function ask(question: {
  explicit?: string;
  nominal?: string;
  now: string;
  coverage?: typeof live | typeof archive;
  schedule?: { timezone: string; hour: number };
}) {
  return nightSession({
    explicit: question.explicit,
    nominalMs: question.nominal === undefined ? null : Date.parse(question.nominal),
    schedule: { hour: question.schedule?.hour ?? 22, minute: 45, daysOfWeek: [0, 1, 2, 3, 4, 5, 6] },
    timezone: question.schedule?.timezone ?? 'America/New_York',
    calendar,
    settleDelayMs: 2 * 3_600_000,
    coverage: question.coverage ?? live,
    nowMs: Date.parse(question.now),
  });
}

describe('the session of a night', () => {
  it('is the New York date of the schedule’s nominal instant', () => {
    const nominal = '2027-03-13T03:45:00Z';
    // Late by a catch-up: the nominal instant counts, not the clock.
    for (const now of [nominal, '2027-03-13T09:00:00Z']) {
      expect(ask({ nominal, now })).toEqual({ outcome: 'session', sessionDate: '2027-03-12' });
    }
  });

  it('is the exchange’s date also where the schedule’s clock shows the next one', () => {
    // 04:45 on Saturday in Berlin and 12:45 on Saturday in Tokyo are Friday evening in New York.
    const nominal = '2027-03-13T03:45:00Z';
    for (const schedule of [
      { timezone: 'Europe/Berlin', hour: 4 },
      { timezone: 'Asia/Tokyo', hour: 12 },
    ]) {
      expect(ask({ nominal, now: nominal, schedule })).toEqual({
        outcome: 'session',
        sessionDate: '2027-03-12',
      });
    }
  });

  it('is none on weekends and holidays', () => {
    const saturday = '2027-03-14T03:45:00Z';
    expect(ask({ nominal: saturday, now: saturday })).toEqual({
      outcome: 'no_session',
      sessionDate: '2027-03-13',
      reason: 'XNYS is closed on 2027-03-13',
    });
    const christmasEve = '2027-12-25T03:45:00Z';
    expect(ask({ nominal: christmasEve, now: christmasEve })).toMatchObject({ outcome: 'no_session' });
    expect(ask({ explicit: '2018-02-04', now: '2027-01-01T00:00:00Z' })).toMatchObject({
      outcome: 'no_session',
    });
  });

  it('is none that the provider cannot have', () => {
    const nominal = '2027-03-13T03:45:00Z';
    expect(ask({ nominal, now: nominal, coverage: archive })).toMatchObject({
      outcome: 'no_session',
      reason: 'archive has 2013-02-08 to 2018-02-07: it cannot have 2027-03-12',
    });
    expect(ask({ explicit: '2018-02-08', now: nominal, coverage: archive })).toMatchObject({
      outcome: 'refused',
    });
    expect(ask({ explicit: '2018-02-07', now: nominal, coverage: archive })).toMatchObject({
      outcome: 'session',
    });
  });

  it('of a trigger is the newest one closed and settled', () => {
    // Friday 12 March 2027 closes at 21:00Z, settles at 23:00Z.
    expect(ask({ now: '2027-03-12T22:59:59Z' })).toMatchObject({ sessionDate: '2027-03-11' });
    expect(ask({ now: '2027-03-12T23:00:00Z' })).toMatchObject({ sessionDate: '2027-03-12' });
    // A trigger of the schedule has the instant of the trigger as its nominal one.
    expect(ask({ nominal: '2027-03-15T12:00:07Z', now: '2027-03-15T12:00:08Z' })).toMatchObject({
      sessionDate: '2027-03-12',
    });
    expect(ask({ now: '2027-03-12T23:00:00Z', coverage: archive })).toMatchObject({
      sessionDate: '2018-02-07',
    });
    expect(ask({ now: '2018-02-06T12:00:00Z', coverage: archive })).toMatchObject({
      sessionDate: '2018-02-05',
    });
    expect(ask({ now: '2012-06-01T12:00:00Z', coverage: archive })).toMatchObject({ outcome: 'no_session' });
  });

  it('is no session that is still open', () => {
    expect(ask({ explicit: '2027-03-12', now: '2027-03-12T20:00:00Z' })).toMatchObject({
      outcome: 'refused',
      reason: '2027-03-12 is not over until 2027-03-12T23:00:00.000Z',
    });
  });
});
