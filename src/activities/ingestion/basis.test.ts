import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AS_TRADED, epochDayOf, type PriceBasis } from '../../domain/bars.ts';
import { basisFactor } from './basis.ts';

const split = (exDate: string, newShares: number, oldShares = 1) => ({
  symbol: 'AAPL',
  exDate,
  newShares,
  oldShares,
});
const adjusted = (asOf: string | null): PriceBasis => ({ splits: 'adjusted', dividends: 'asTraded', asOf });
/** AAPL's own: 7:1 and 4:1. */
const SPLITS = [split('2014-06-09', 7), split('2020-08-31', 4)];
const day = epochDayOf;

describe('basisFactor', () => {
  it.each([
    ['as traded to 2018', AS_TRADED, adjusted('2018-02-07'), '2014-06-06', 1 / 7],
    ['the ex date is at the new price already', AS_TRADED, adjusted('2018-02-07'), '2014-06-09', 1],
    ['2018 to 2021', adjusted('2018-02-07'), adjusted('2021-01-04'), '2014-06-06', 1 / 4],
    ['2021 back to 2018', adjusted('2021-01-04'), adjusted('2018-02-07'), '2014-06-06', 4],
    ['to all there were', AS_TRADED, adjusted(null), '2013-01-02', 1 / 28],
    ['after both', adjusted('2018-02-07'), adjusted('2021-01-04'), '2020-08-31', 1],
    ['nothing between', adjusted('2018-02-06'), adjusted('2018-02-07'), '2014-06-06', 1],
  ])('%s', (_name, from, to, date, expected) => {
    const factor = basisFactor({ from, to, splits: SPLITS });
    expect(factor?.(day(date))).toBeCloseTo(expected, 12);
  });

  it('a reverse split raises the older price', () => {
    const factor = basisFactor({
      from: AS_TRADED,
      to: adjusted('2021-01-04'),
      splits: [split('2020-04-29', 1, 8)],
    });
    expect(factor?.(day('2020-04-28'))).toBe(8);
  });

  it('does not compare prices that treat dividends differently', () => {
    const total: PriceBasis = { splits: 'adjusted', dividends: 'adjusted', asOf: '2018-02-07' };
    expect(basisFactor({ from: total, to: adjusted('2018-02-07'), splits: [] })).toBeNull();
    expect(basisFactor({ from: total, to: { ...total, asOf: '2018-02-06' }, splits: [] })).toBeNull();
    expect(basisFactor({ from: total, to: total, splits: [] })?.(day('2018-01-02'))).toBe(1);
  });

  it('there and back is where it was', () => {
    const date = fc.integer({ min: day('2012-01-01'), max: day('2022-01-01') });
    const basis = fc.constantFrom(AS_TRADED, adjusted('2013-01-02'), adjusted('2018-02-07'), adjusted(null));
    fc.assert(
      fc.property(date, basis, basis, (epochDay, from, to) => {
        const there = basisFactor({ from, to, splits: SPLITS })?.(epochDay) ?? Number.NaN;
        const back = basisFactor({ from: to, to: from, splits: SPLITS })?.(epochDay) ?? Number.NaN;
        expect(there * back).toBeCloseTo(1, 12);
      }),
    );
  });
});
