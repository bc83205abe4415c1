import { describe, expect, it } from 'vitest';
import { createCalendar } from '../../domain/calendar.ts';
import { knowledgeOf } from './knowledge.ts';

const calendar = createCalendar({
  exchange: 'XNYS',
  timeZone: 'America/New_York',
  sessions: ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01', '2018-02-02'].map((sessionDate) => ({
    sessionDate,
    openMs: Date.parse(`${sessionDate}T14:30:00Z`),
    closeMs: Date.parse(`${sessionDate}T21:00:00Z`),
    earlyClose: false,
  })),
});
type Need = { newestKnown: string | null; oldestBar: string | null; hasLater: boolean };
const needOf = (change: Partial<Need> = {}): Need => ({
  newestKnown: '2018-01-31',
  oldestBar: '2018-01-02',
  hasLater: false,
  ...change,
});

describe('from when on nights know a fact', () => {
  // The night of 2018-02-01 runs after midnight UTC.
  const night = { calendar, nowMs: Date.parse('2018-02-02T03:45:00Z') };
  const of = (date: string, need: Need | undefined, askedSince: 'always' | 'firstBar' = 'firstBar') =>
    knowledgeOf({ date, night, need, askedSince });

  it('its date, where that is new to the symbol', () => {
    expect(of('2018-02-01', needOf())).toMatchObject({ available_on: '2018-02-01', late: false });
    expect(of('2014-06-09', needOf({ newestKnown: null, oldestBar: null }))).toMatchObject({ late: false });
    expect(of('2014-06-09', undefined)).toMatchObject({ available_on: '2014-06-09', late: false });
  });

  it('tonight, where nights were there before without it', () => {
    expect(of('2018-01-30', needOf())).toMatchObject({ available_on: '2018-02-01', late: true });
    expect(of('2018-01-31', needOf())).toMatchObject({ available_on: '2018-02-01', late: true });
  });

  it('its date, where a longer history is loaded only now, unless facts of any date were asked for', () => {
    expect(of('2017-12-29', needOf())).toMatchObject({ available_on: '2017-12-29', late: false });
    expect(of('2017-12-29', needOf(), 'always')).toMatchObject({ available_on: '2018-02-01', late: true });
  });

  it('tonight, where it says something else now; a replayed night changes nothing', () => {
    expect(of('2014-06-09', needOf())).toMatchObject({ changed_on: '2018-02-01', revise: true });
    expect(of('2014-06-09', needOf({ hasLater: true }))).toMatchObject({ revise: false });
    expect(of('2018-02-02', needOf()).changed_on).toBe('2018-02-02');
  });
});
