import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AS_TRADED,
  createBarColumns,
  epochDayOf,
  lowerBound,
  type PriceBasis,
  parsePriceBasisKey,
  priceBasisKey,
  sessionDateOf,
  sliceBars,
} from './bars.ts';

describe('epoch days', () => {
  it('are days since 1970-01-01 of the exchange date', () => {
    expect(epochDayOf('1970-01-01')).toBe(0);
    expect(epochDayOf('2018-02-07')).toBe(17_569);
    expect(sessionDateOf(-1)).toBe('1969-12-31');
  });

  it('go there and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -20_000, max: 60_000 }), (day) => {
        expect(epochDayOf(sessionDateOf(day))).toBe(day);
      }),
    );
  });

  it('are those of Date, in leap years and centuries too', () => {
    for (let day = -354_300; day <= 2_932_896; day += day > -30_000 && day < 60_000 ? 1 : 271) {
      const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
      if (sessionDateOf(day) !== date) throw new Error(`${day}: ${sessionDateOf(day)}, not ${date}`);
      if (epochDayOf(date) !== day) throw new Error(`${date}: ${epochDayOf(date)}, not ${day}`);
    }
    expect(() => sessionDateOf(Number.NaN)).toThrow(RangeError);
    for (const date of ['1900-02-29', '2000-13-01', '2000-00-10', '2000-01-00', '2001-04-31']) {
      expect(() => epochDayOf(date)).toThrow(RangeError);
    }
  });

  it.each(['2015-02-30', '2015-2-3', '20150203', '2015-02-03T00:00:00Z', '', 'today'])(
    'refuse %j',
    (date) => {
      expect(() => epochDayOf(date)).toThrow(RangeError);
    },
  );
});

describe('columns', () => {
  const bars = createBarColumns('X', 4);
  bars.epochDays.set([10, 11, 13, 14]);
  bars.close.set([1, 2, 3, 4]);

  it('start as nulls', () => {
    expect(createBarColumns('X', 2).volume).toEqual(Float64Array.of(Number.NaN, Number.NaN));
  });

  it('are cut by date, both ends included, without copying', () => {
    expect(sliceBars(bars, 11, 13).close).toEqual(Float64Array.of(2, 3));
    expect(sliceBars(bars, 12, 12).close).toHaveLength(0);
    expect(sliceBars(bars, 0, 99).close).toHaveLength(4);
    expect(sliceBars(bars, 11, 13).close.buffer).toBe(bars.close.buffer);
  });

  it('are searched as a sorted list', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 })),
        fc.integer({ min: -1, max: 51 }),
        (days, wanted) => {
          const sorted = Int32Array.from(days).sort();
          const expected = sorted.findIndex((day) => day >= wanted);
          expect(lowerBound(sorted, wanted)).toBe(expected < 0 ? sorted.length : expected);
        },
      ),
    );
  });
});

describe('price basis', () => {
  it.each<[string, PriceBasis]>([
    ['as-traded', AS_TRADED],
    ['split-adjusted@2018-02-07', { splits: 'adjusted', dividends: 'asTraded', asOf: '2018-02-07' }],
    ['split-dividend-adjusted@unknown', { splits: 'adjusted', dividends: 'adjusted', asOf: null }],
    ['dividend-adjusted@2018-02-07', { splits: 'asTraded', dividends: 'adjusted', asOf: '2018-02-07' }],
  ])('%s goes there and back', (key, basis) => {
    expect(priceBasisKey(basis)).toBe(key);
    expect(parsePriceBasisKey(key)).toEqual(basis);
  });

  it('refuses an unknown form', () => {
    expect(() => parsePriceBasisKey('adjusted')).toThrow(RangeError);
  });
});
