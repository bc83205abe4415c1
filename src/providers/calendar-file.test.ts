import { beforeAll, describe, expect, it } from 'vitest';
import { createCalendar, type ExchangeCalendar } from '../domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from './calendar-file.ts';

const SETTLE_DELAY_MS = 15 * 60_000;

describe('the committed XNYS calendar', () => {
  let calendar: ExchangeCalendar;
  beforeAll(async () => {
    const sessions = await readSessionTable(new URL(`../../${XNYS_CALENDAR_FILE}`, import.meta.url));
    calendar = createCalendar({ exchange: 'XNYS', timeZone: XNYS_TIME_ZONE, sessions });
  });

  it('covers 1990 to 2040', () => {
    expect([calendar.first, calendar.last, calendar.size]).toEqual(['1990-01-02', '2040-12-31', 12_833]);
  });

  it.each([
    ['2026-07-03', 'Independence Day observed'],
    ['2027-06-18', 'Juneteenth on a Saturday'],
    ['2027-07-05', 'Independence Day on a Sunday'],
    ['2027-12-24', 'Christmas on a Saturday'],
    ['2025-01-09', 'mourning for President Carter'],
    ['2018-12-05', 'mourning for President Bush'],
    ['2012-10-29', 'hurricane Sandy'],
    ['2012-10-30', 'hurricane Sandy'],
    ['2001-09-11', 'attacks'],
    ['2001-09-12', 'attacks'],
    ['2001-09-13', 'attacks'],
    ['2001-09-14', 'attacks'],
    ['2017-04-14', 'Good Friday'],
    ['2026-01-19', 'Martin Luther King day'],
    ['1994-04-27', 'mourning for President Nixon'],
  ])('%s is closed: %s', (date) => {
    expect(calendar.isSession(date)).toBe(false);
  });

  it.each([
    ['2027-12-31', 'New Year on a Saturday is not observed'],
    ['2021-12-31', 'the same six years before'],
    ['2026-10-12', 'Columbus day is no exchange holiday'],
    ['2026-11-11', 'Veterans day is no exchange holiday'],
    ['2001-09-10', 'before the attacks'],
    ['2001-09-17', 'reopening'],
    ['2012-10-31', 'reopening after Sandy'],
    ['2021-06-18', 'Juneteenth became a holiday only in 2022'],
  ])('%s is open: %s', (date) => {
    expect(calendar.isSession(date)).toBe(true);
  });

  it.each([
    ['2026-11-27', '2026-11-27T18:00:00Z'],
    ['2026-12-24', '2026-12-24T18:00:00Z'],
    ['2028-07-03', '2028-07-03T17:00:00Z'],
    ['2013-07-03', '2013-07-03T17:00:00Z'],
    ['2017-11-24', '2017-11-24T18:00:00Z'],
  ])('%s closes early, at %s', (date, close) => {
    expect(calendar.sessionOf(date)?.earlyClose).toBe(true);
    expect(calendar.closeInstant(date)).toBe(Date.parse(close));
    expect(calendar.minutes(date)).toBe(210);
  });

  it('keeps 2026-07-02 a full day', () => {
    expect(calendar.minutes('2026-07-02')).toBe(390);
    expect(calendar.next('2026-07-02')).toBe('2026-07-06');
  });

  it('follows daylight saving', () => {
    expect(calendar.openInstant('2027-03-12')).toBe(Date.parse('2027-03-12T14:30:00Z'));
    expect(calendar.openInstant('2027-03-15')).toBe(Date.parse('2027-03-15T13:30:00Z'));
    expect(calendar.openInstant('2027-11-05')).toBe(Date.parse('2027-11-05T13:30:00Z'));
    expect(calendar.openInstant('2027-11-08')).toBe(Date.parse('2027-11-08T14:30:00Z'));
  });

  it('opens every session at 09:30 New York and closes it at 16:00 unless early', () => {
    const format = new Intl.DateTimeFormat('en-CA', {
      timeZone: XNYS_TIME_ZONE,
      dateStyle: 'short',
      timeStyle: 'short',
      hour12: false,
    });
    // Every 7th session is enough for each weekday, each season and all years.
    for (let index = 0; index < calendar.size; index += 7) {
      const session = calendar.at(index);
      expect(format.format(session.openMs)).toBe(`${session.sessionDate}, 09:30`);
      if (!session.earlyClose) expect(format.format(session.closeMs)).toBe(`${session.sessionDate}, 16:00`);
    }
  });

  it('has 1,259 sessions in the range of the bundled data', () => {
    expect(calendar.sessionsBetween('2013-02-08', '2018-02-07')).toHaveLength(1_259);
    expect(calendar.distance('2013-02-08', '2018-02-07')).toBe(1_258);
  });

  it('takes the night of a half day from its own close', () => {
    const settled = Date.parse('2026-11-27T18:15:00Z');
    expect(calendar.newestClosedSession(settled - 1, SETTLE_DELAY_MS)).toBe('2026-11-25');
    expect(calendar.newestClosedSession(settled, SETTLE_DELAY_MS)).toBe('2026-11-27');
  });
});
