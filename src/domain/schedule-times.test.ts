import { describe, expect, it } from 'vitest';

import {
  clockChangeNotes,
  clockChanges,
  instantInNight,
  instantOf,
  isNominal,
  type LocalSchedule,
  localClock,
  localDate,
  localIso,
  nextRun,
  weekdayOf,
} from './schedule-times.ts';

const NEW_YORK = 'America/New_York';
const DAILY = [0, 1, 2, 3, 4, 5, 6];
const NIGHTLY: LocalSchedule = { hour: 22, minute: 45, daysOfWeek: DAILY };
const SUNDAY_TWO: LocalSchedule = { hour: 2, minute: 0, daysOfWeek: [6] };

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const at = (date: string, hour: number, minute: number, timezone = NEW_YORK): string | null =>
  iso(instantOf({ date, hour, minute, timezone }));

describe('clock times', () => {
  it('finds instants in winter and summer', () => {
    expect(at('2027-01-15', 22, 45)).toBe('2027-01-16T03:45:00.000Z');
    expect(at('2027-07-15', 22, 45)).toBe('2027-07-16T02:45:00.000Z');
    expect(at('2027-03-12', 22, 45)).toBe('2027-03-13T03:45:00.000Z');
    expect(at('2027-07-15', 9, 0, 'Asia/Kolkata')).toBe('2027-07-15T03:30:00.000Z');
  });

  it('moves a time that does not exist to the first valid instant', () => {
    for (const minute of [0, 30, 59]) expect(at('2027-03-14', 2, minute)).toBe('2027-03-14T07:00:00.000Z');
    expect(at('2027-03-14', 3, 0)).toBe('2027-03-14T07:00:00.000Z');
    expect(at('2027-03-14', 1, 59)).toBe('2027-03-14T06:59:00.000Z');
    expect(at('2027-03-28', 2, 30, 'Europe/Berlin')).toBe('2027-03-28T01:00:00.000Z');
    // A whole day that a zone skipped.
    expect(at('2011-12-30', 12, 0, 'Pacific/Apia')).toBe('2011-12-30T10:00:00.000Z');
  });

  it('takes one instant for a time that comes twice: when its stretch has been repeated', () => {
    for (const minute of [0, 30, 59]) expect(at('2027-11-07', 1, minute)).toBe('2027-11-07T07:00:00.000Z');
    expect(at('2027-11-07', 2, 0)).toBe('2027-11-07T07:00:00.000Z');
    expect(at('2027-11-07', 0, 59)).toBe('2027-11-07T04:59:00.000Z');
    expect(at('2027-10-31', 2, 0, 'Europe/Berlin')).toBe('2027-10-31T02:00:00.000Z');
    // Half an hour back, at two in the morning.
    expect(at('2027-04-04', 1, 45, 'Australia/Lord_Howe')).toBe('2027-04-03T15:30:00.000Z');
  });

  it('knows the changes of a zone for every clock time, whatever its rule', () => {
    const of = (hour: number, timezone: string) =>
      clockChanges(
        { hour, minute: 15 },
        { timezone, fromMs: Date.parse('2027-01-01T00:00:00Z'), years: 1 },
      ).map(({ date, kind, runDate, hour: at, minute }) => `${date} ${kind}: ${runDate} ${at}:${minute}`);
    expect(of(2, NEW_YORK)).toEqual(['2027-03-14 missing: 2027-03-14 3:0']);
    expect(of(1, NEW_YORK)).toEqual(['2027-11-07 twice: 2027-11-07 2:0']);
    expect(of(2, 'Europe/Berlin')).toEqual([
      '2027-03-28 missing: 2027-03-28 3:0',
      '2027-10-31 twice: 2027-10-31 3:0',
    ]);
    expect(of(1, 'Europe/London')).toEqual([
      '2027-03-28 missing: 2027-03-28 2:0',
      '2027-10-31 twice: 2027-10-31 2:0',
    ]);
    expect(of(3, 'Europe/Helsinki')).toEqual([
      '2027-03-28 missing: 2027-03-28 4:0',
      '2027-10-31 twice: 2027-10-31 4:0',
    ]);
    expect(of(0, 'Asia/Beirut')).toEqual(['2027-03-28 missing: 2027-03-28 1:0']);
    // Midnight is put back to 23:00: the run falls on the next date.
    expect(of(23, 'Asia/Beirut')).toEqual(['2027-10-30 twice: 2027-10-31 0:0']);
    expect(of(2, 'Asia/Tokyo')).toEqual([]);
  });

  it('reads the clock back', () => {
    const ms = Date.parse('2027-03-13T03:45:00Z');
    expect([localDate(ms, NEW_YORK), localClock(ms, NEW_YORK)]).toEqual(['2027-03-12', '22:45']);
    expect(localIso(Date.parse('2026-01-07T03:45:00Z'), NEW_YORK)).toBe('2026-01-06T22:45:00-05:00');
    expect(localIso(Date.parse('2026-07-07T03:30:00Z'), 'Asia/Kolkata')).toBe('2026-07-07T09:00:00+05:30');
    expect([weekdayOf('2027-03-15'), weekdayOf('2027-03-14')]).toEqual([0, 6]);
  });
});

describe('runs', () => {
  it('finds exactly one maintenance run in each week of 2027', () => {
    const runs: number[] = [];
    let after = Date.parse('2027-01-01T05:00:00Z') - 1;
    for (;;) {
      const run = nextRun(SUNDAY_TWO, NEW_YORK, after);
      if (run === null || run >= Date.parse('2028-01-01T05:00:00Z')) break;
      runs.push(run);
      after = run;
    }
    expect(runs).toHaveLength(52);
    expect(new Set(runs.map((run) => weekdayOf(localDate(run, NEW_YORK))))).toEqual(new Set([6]));
    expect(runs.map(iso)).toContain('2027-03-14T07:00:00.000Z');
  });

  it('finds exactly one night on each day of 2027', () => {
    const dates: string[] = [];
    let after = Date.parse('2027-01-01T05:00:00Z') - 1;
    while (dates.length < 365) {
      const run = nextRun(NIGHTLY, NEW_YORK, after) ?? Number.NaN;
      dates.push(localDate(run, NEW_YORK));
      after = run;
    }
    expect(new Set(dates).size).toBe(365);
    expect(dates.at(-1)).toBe('2027-12-31');
  });

  it('is strictly after, and null without days', () => {
    const first = nextRun(NIGHTLY, NEW_YORK, Date.parse('2027-03-12T12:00:00Z'));
    expect(iso(first)).toBe('2027-03-13T03:45:00.000Z');
    expect(iso(nextRun(NIGHTLY, NEW_YORK, first ?? 0))).toBe('2027-03-14T03:45:00.000Z');
    expect(nextRun({ ...NIGHTLY, daysOfWeek: [] }, NEW_YORK, 0)).toBeNull();
  });

  it('tells a nominal instant from a trigger', () => {
    expect(isNominal(NIGHTLY, NEW_YORK, Date.parse('2027-03-13T03:45:00Z'))).toBe(true);
    expect(isNominal(NIGHTLY, NEW_YORK, Date.parse('2027-03-13T03:45:01Z'))).toBe(false);
    expect(isNominal({ ...NIGHTLY, daysOfWeek: [0] }, NEW_YORK, Date.parse('2027-03-13T03:45:00Z'))).toBe(
      false,
    );
    expect(isNominal(SUNDAY_TWO, NEW_YORK, Date.parse('2027-03-14T07:00:00Z'))).toBe(true);
  });
});

describe('notes for people', () => {
  it('say what a change of clocks does to a schedule', () => {
    const from = Date.parse('2027-01-01T12:00:00Z');
    expect(clockChangeNotes(SUNDAY_TWO, NEW_YORK, from)).toEqual([
      '02:00 does not exist on 2027-03-14: runs once, at 03:00',
    ]);
    expect(clockChangeNotes({ ...SUNDAY_TWO, hour: 1, minute: 30 }, NEW_YORK, from)).toEqual([
      '01:30 comes twice on 2027-11-07: runs once, at 02:00',
    ]);
    expect(clockChangeNotes(NIGHTLY, NEW_YORK, from)).toEqual([]);
    expect(clockChangeNotes({ ...SUNDAY_TWO, daysOfWeek: [0] }, NEW_YORK, from)).toEqual([]);
  });
});

describe('a night', () => {
  const inNight = (hour: number, minute: number, startDate: string, daysOfWeek = DAILY) =>
    instantInNight({ task: { hour, minute, daysOfWeek }, first: NIGHTLY, startDate, timezone: NEW_YORK });

  it('puts times after midnight into the night that began the evening before', () => {
    expect(inNight(23, 30, '2027-03-12')).toMatchObject({ date: '2027-03-12' });
    expect(iso(inNight(0, 30, '2027-03-12').instantMs)).toBe('2027-03-13T05:30:00.000Z');
    // The night into the change: its early tasks are still on winter time.
    expect(iso(inNight(0, 30, '2027-03-13').instantMs)).toBe('2027-03-14T05:30:00.000Z');
    expect(iso(inNight(2, 30, '2027-03-13').instantMs)).toBe('2027-03-14T07:00:00.000Z');
  });

  it('judges the weekday on the date on which the task’s own time falls', () => {
    const weekdays = [0, 1, 2, 3, 4];
    // Friday evening: 23:00 is Friday, 00:30 is Saturday.
    expect(inNight(23, 0, '2027-03-12', weekdays).runsThatDay).toBe(true);
    expect(inNight(0, 30, '2027-03-12', weekdays).runsThatDay).toBe(false);
    expect(inNight(0, 30, '2027-03-14', weekdays).runsThatDay).toBe(true);
  });
});
