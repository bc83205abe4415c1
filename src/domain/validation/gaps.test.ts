import { describe, expect, it } from 'vitest';
import { epochDayOf } from '../bars.ts';
import fixture from '../testdata/bad-splits.json' with { type: 'json' };
import { findLongGaps, gapWords, validityOf } from './gaps.ts';

/** Weekdays since 1970-01-01, a Thursday. */
const weekdayIndexOf = (day: number): number => {
  const sinceMonday = day + 3;
  const dayOfWeek = sinceMonday % 7;
  return dayOfWeek > 4 ? -1 : Math.floor(sinceMonday / 7) * 5 + dayOfWeek;
};
const find = (dates: readonly string[], maxGapSessions = 20, previous?: string) =>
  findLongGaps({
    epochDays: Int32Array.from(dates, epochDayOf),
    previousDay: previous === undefined ? null : epochDayOf(previous),
    sessionIndexOf: weekdayIndexOf,
    maxGapSessions,
  });

describe('long gaps', () => {
  it.each([
    ['FB', '2003-03-28', '2012-05-18'],
    ['USO', '1998-12-30', '2006-04-10'],
    ['BNO', '2002-05-20', '2010-06-02'],
    ['WM', '2008-09-26', '2009-08-05'],
  ] as const)('part the real companies that had the ticker %s', (symbol, lastBefore, firstAfter) => {
    const gaps = find(fixture.tickerReuse[symbol].map(([date]) => String(date)));
    expect(gaps).toMatchObject([{ lastBefore, firstAfter }]);
    expect(gaps[0]?.sessions).toBeGreaterThan(200);
  });

  it('begin at a bar of a day that is no session, and do not end at one', () => {
    // 2018-01-06 and 2018-02-10 are Saturdays.
    expect(find(['2018-01-06', '2018-02-12'])).toEqual([
      { lastBefore: '2018-01-06', firstAfter: '2018-02-12', sessions: 25 },
    ]);
    expect(find(['2018-02-12'], 20, '2018-01-06')).toMatchObject([{ sessions: 25 }]);
    expect(find(['2018-01-05', '2018-02-10', '2018-02-12'])).toEqual([
      { lastBefore: '2018-01-05', firstAfter: '2018-02-12', sessions: 25 },
    ]);
  });

  it('are longer than the limit, not as long', () => {
    // 2018-01-01 is a Monday: between it and Tuesday four weeks later lie 20 weekdays.
    expect(find(['2018-01-01', '2018-01-30'])).toEqual([]);
    expect(find(['2018-01-01', '2018-01-31'])).toEqual([
      { lastBefore: '2018-01-01', firstAfter: '2018-01-31', sessions: 21 },
    ]);
    expect(find(['2018-01-01', '2018-01-31'], 21)).toEqual([]);
  });

  it('reach back to the newest bar before the given ones', () => {
    expect(find(['2018-01-31', '2018-02-01'])).toEqual([]);
    expect(find(['2018-01-31', '2018-02-01'], 20, '2017-06-01')).toMatchObject([
      { lastBefore: '2017-06-01', firstAfter: '2018-01-31' },
    ]);
  });

  it('are put to a person in words', () => {
    const [gap] = find(['2018-01-01', '2018-01-31']);
    expect(gap === undefined ? '' : gapWords('ZZZ', gap)).toBe(
      'ZZZ had no bar for 21 sessions between 2018-01-01 and 2018-01-31: is it still the same company?',
    );
  });
});

describe('which bars are one company', () => {
  const gaps = find(['2016-01-04', '2017-01-02', '2018-01-01']);
  const [older, newer] = gaps;
  const decided = (decisions: Record<string, 'released' | 'rejected'>) =>
    validityOf(gaps, ({ firstAfter }) => decisions[firstAfter]);

  it('those after the newest gap nobody released, held until somebody decides', () => {
    expect(validityOf([], () => undefined)).toEqual({ from: null, held: null });
    expect(decided({})).toEqual({ from: '2018-01-01', held: newer });
    expect(decided({ '2018-01-01': 'rejected' })).toEqual({ from: '2018-01-01', held: null });
    expect(decided({ '2018-01-01': 'released' })).toEqual({ from: '2017-01-02', held: older });
    expect(decided({ '2018-01-01': 'released', '2017-01-02': 'rejected' })).toEqual({
      from: '2017-01-02',
      held: null,
    });
    expect(decided({ '2018-01-01': 'released', '2017-01-02': 'released' })).toEqual({
      from: null,
      held: null,
    });
  });
});
