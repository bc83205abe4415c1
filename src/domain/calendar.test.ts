import { describe, expect, it } from 'vitest';
import { CalendarRangeError, createCalendar, type ExchangeSession, parseSessionTable } from './calendar.ts';

const at = (iso: string): number => Date.parse(iso);

function week(): ExchangeSession[] {
  return ['2026-11-23', '2026-11-24', '2026-11-25', '2026-11-27', '2026-11-30'].map((sessionDate) => ({
    sessionDate,
    openMs: at(`${sessionDate}T14:30:00Z`),
    closeMs: at(`${sessionDate}T${sessionDate === '2026-11-27' ? '18' : '21'}:00:00Z`),
    earlyClose: sessionDate === '2026-11-27',
  }));
}

const calendar = createCalendar({
  exchange: 'XNYS',
  timeZone: 'America/New_York',
  sessions: week().reverse(),
});

describe('createCalendar', () => {
  it('knows sessions and closed days', () => {
    expect(calendar.isSession('2026-11-25')).toBe(true);
    expect(calendar.isSession('2026-11-26')).toBe(false);
    expect(calendar.sessionOf('2026-11-26')).toBeNull();
    expect(calendar.sessionOf('2026-11-27')?.earlyClose).toBe(true);
    expect(calendar.size).toBe(5);
    expect([calendar.first, calendar.last]).toEqual(['2026-11-23', '2026-11-30']);
  });

  it('walks sessions, not days', () => {
    expect(calendar.previous('2026-11-27')).toBe('2026-11-25');
    expect(calendar.previous('2026-11-26')).toBe('2026-11-25');
    expect(calendar.next('2026-11-25')).toBe('2026-11-27');
    expect(calendar.next('2026-11-28')).toBe('2026-11-30');
    expect(calendar.offset('2026-11-30', -3)).toBe('2026-11-24');
    expect(calendar.distance('2026-11-23', '2026-11-30')).toBe(4);
    expect(calendar.sessionsBetween('2026-11-25', '2026-11-29')).toEqual(['2026-11-25', '2026-11-27']);
    expect(calendar.sessionsBetween('2026-11-28', '2026-11-29')).toEqual([]);
  });

  it('gives hours as instants', () => {
    expect(calendar.openInstant('2026-11-27')).toBe(at('2026-11-27T14:30:00Z'));
    expect(calendar.closeInstant('2026-11-27')).toBe(at('2026-11-27T18:00:00Z'));
    expect(calendar.minutes('2026-11-25')).toBe(390);
    expect(calendar.minutes('2026-11-27')).toBe(210);
  });

  it('finds the newest closed session to the millisecond', () => {
    const settleDelayMs = 15 * 60_000;
    const settled = at('2026-11-27T18:15:00Z');
    expect(calendar.newestClosedSession(settled - 1, settleDelayMs)).toBe('2026-11-25');
    expect(calendar.newestClosedSession(settled, settleDelayMs)).toBe('2026-11-27');
    expect(calendar.newestClosedSession(at('2026-11-30T10:00:00Z'), settleDelayMs)).toBe('2026-11-27');
    expect(calendar.newestClosedSession(at('2026-11-30T23:59:00Z'), settleDelayMs)).toBe('2026-11-30');
  });

  it('refuses questions it cannot answer', () => {
    expect(() => calendar.isSession('2026-12-01')).toThrow(CalendarRangeError);
    expect(() => calendar.previous('2026-11-23')).toThrow(/2026-11-23 to 2026-11-30/);
    expect(() => calendar.offset('2026-11-26', 1)).toThrow(/not a session/);
    expect(() => calendar.offset('2026-11-30', 1)).toThrow(CalendarRangeError);
    expect(() => calendar.newestClosedSession(at('2026-11-23T15:00:00Z'), 0)).toThrow(CalendarRangeError);
    expect(() => calendar.newestClosedSession(at('2026-12-03T15:00:00Z'), 0)).toThrow(/anew/);
    expect(() => calendar.isSession('2026-11-31')).toThrow(RangeError);
  });
});

describe('overrides', () => {
  const build = (overrides: Parameters<typeof createCalendar>[0]['overrides']) =>
    createCalendar({
      exchange: 'XNYS',
      timeZone: 'America/New_York',
      sessions: week(),
      overrides: overrides ?? [],
    });

  it('takes out an unscheduled closure', () => {
    const closed = build([{ sessionDate: '2026-11-24', kind: 'closed', reason: 'day of mourning' }]);
    expect(closed.isSession('2026-11-24')).toBe(false);
    expect(closed.next('2026-11-23')).toBe('2026-11-25');
  });

  it('changes hours and adds a session', () => {
    const changed = build([
      {
        sessionDate: '2026-11-24',
        kind: 'hours',
        openMs: at('2026-11-24T14:30:00Z'),
        closeMs: at('2026-11-24T19:00:00Z'),
        earlyClose: true,
        reason: 'technical halt',
      },
      {
        sessionDate: '2026-11-28',
        kind: 'hours',
        openMs: at('2026-11-28T14:30:00Z'),
        closeMs: at('2026-11-28T18:00:00Z'),
        earlyClose: true,
        reason: 'settlement session',
      },
    ]);
    expect(changed.minutes('2026-11-24')).toBe(270);
    expect(changed.next('2026-11-27')).toBe('2026-11-28');
  });

  it('lets the later entry win and refuses impossible hours', () => {
    const reopened = build([
      { sessionDate: '2026-11-24', kind: 'closed', reason: 'announced' },
      {
        sessionDate: '2026-11-24',
        kind: 'hours',
        openMs: at('2026-11-24T14:30:00Z'),
        closeMs: at('2026-11-24T21:00:00Z'),
        earlyClose: false,
        reason: 'withdrawn',
      },
    ]);
    expect(reopened.isSession('2026-11-24')).toBe(true);
    expect(() =>
      build([
        {
          sessionDate: '2026-11-24',
          kind: 'hours',
          openMs: 5,
          closeMs: 5,
          earlyClose: false,
          reason: 'typo',
        },
      ]),
    ).toThrow(/closes before it opens/);
  });
});

describe('parseSessionTable', () => {
  it('reads lines and names the one it cannot read', () => {
    const text = '# note\nsession,open,close,early\n2027-03-12,14:30,21:00,0\n2028-07-03,13:30,17:00,1\n';
    expect(parseSessionTable(text)).toEqual([
      {
        sessionDate: '2027-03-12',
        openMs: at('2027-03-12T14:30:00Z'),
        closeMs: at('2027-03-12T21:00:00Z'),
        earlyClose: false,
      },
      {
        sessionDate: '2028-07-03',
        openMs: at('2028-07-03T13:30:00Z'),
        closeMs: at('2028-07-03T17:00:00Z'),
        earlyClose: true,
      },
    ]);
    expect(() => parseSessionTable('2027-03-12,14:30,21:00\n')).toThrow(/line 1/);
    expect(() => createCalendar({ exchange: 'XNYS', timeZone: 'UTC', sessions: [] })).toThrow(/no sessions/);
  });
});
