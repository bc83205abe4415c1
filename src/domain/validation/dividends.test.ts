import { describe, expect, it } from 'vitest';
import { AS_TRADED, type PriceBasis } from '../bars.ts';
import type { SplitAction } from '../market-data.ts';
import { doubtDividends, type PricedDividend } from './dividends.ts';

const HELD: PriceBasis = { splits: 'adjusted', dividends: 'asTraded', asOf: '2018-02-07' };

type Given = { exDate: string; cashAmount: number; close?: number; open?: number; currency?: string };

/** The close is of the day before the ex date, the open of the ex date itself. */
function priced(given: Given, basis: PriceBasis): PricedDividend {
  const { exDate, cashAmount, close, open, currency = 'USD' } = given;
  const day = new Date(Date.parse(exDate) - 86_400_000).toISOString().slice(0, 10);
  return {
    symbol: 'XYZ',
    exDate,
    cashAmount,
    currency,
    lastClose: close === undefined ? null : { sessionDate: day, price: close, basis },
    nextOpen: open === undefined ? null : { sessionDate: exDate, price: open, basis },
  };
}

function doubts(given: readonly Given[], splits: readonly SplitAction[] = [], basis = AS_TRADED) {
  return doubtDividends({
    dividends: given.map((one) => priced(one, basis)),
    splits,
    throughSession: '2018-02-07',
  });
}

const split = (exDate: string, newShares: number, oldShares = 1): SplitAction => ({
  symbol: 'XYZ',
  exDate,
  newShares,
  oldShares,
});

describe('an amount beside the price before it', () => {
  it.each([
    ['an ordinary one', { cashAmount: 0.5, close: 100, open: 99.8 }],
    ['one of exactly a quarter', { cashAmount: 25, close: 100, open: 100 }],
    ['a special one that the price fell by', { cashAmount: 40, close: 100, open: 62 }],
    ['a special one with no price after it yet', { cashAmount: 40, close: 100 }],
    ['one without any price before it', { cashAmount: 40, open: 62 }],
  ])('believes %s', (_, given) => {
    expect(doubts([{ exDate: '2018-01-12', ...given }])).toEqual([]);
  });

  it('doubts a large one that the price did not fall by, in words', () => {
    expect(doubts([{ exDate: '2018-01-12', cashAmount: 40, close: 100, open: 99 }])).toEqual([
      {
        symbol: 'XYZ',
        sessionDate: '2018-01-12',
        subject: 'dividend 40',
        code: 'dividendNotInPrices',
        reason:
          'dividend 40 of XYZ on 2018-01-12 is 40.0 % of the price before it (100, close of 2018-01-11), which did ' +
          'not fall by it (99, open of 2018-01-12)',
      },
    ]);
  });

  it.each([100, 250])('doubts %d of a price of 100, whatever came after', (cashAmount) => {
    for (const open of [undefined, 1]) {
      const given = { exDate: '2018-01-12', cashAmount, close: 100, ...(open !== undefined && { open }) };
      expect(doubts([given]).map(({ code }) => code)).toEqual(['dividendNotInPrices']);
    }
  });

  it('takes a price in the share units of the ex date', () => {
    // Held by the basis: 65 is 455 as traded before the 7:1, so that 30 are 7 %.
    const later = [split('2014-06-09', 7)];
    expect(doubts([{ exDate: '2013-05-09', cashAmount: 30, close: 65, open: 65 }], later, HELD)).toEqual([]);
    expect(doubts([{ exDate: '2013-05-09', cashAmount: 30, close: 65, open: 65 }], later)).toHaveLength(1);
    // As traded, with the split on the ex date: 455 are 65 new shares, so that 30 are 46 %.
    const same = [split('2014-06-09', 7)];
    expect(doubts([{ exDate: '2014-06-09', cashAmount: 30, close: 455, open: 65 }], same)).toHaveLength(1);
    expect(doubts([{ exDate: '2014-06-09', cashAmount: 30, close: 455, open: 37 }], same)).toEqual([]);
  });
});

describe('prices that tell nothing of an amount', () => {
  const large = { exDate: '2018-01-12', cashAmount: 40, close: 100, open: 99 };
  const asOf = (date: string): PriceBasis => ({ ...HELD, asOf: date });

  it.each([
    ['hold dividends', doubts([large], [], { ...HELD, dividends: 'adjusted' })],
    ['hold splits of later sessions', doubts([large], [], asOf('2018-02-08'))],
    ['hold splits up to nobody knows when', doubts([large], [], { ...HELD, asOf: null })],
    ['are in another currency', doubts([{ ...large, currency: 'JPY' }])],
  ])('are those that %s', (_, found) => {
    expect(found).toEqual([]);
    expect(doubts([large], [], asOf('2018-02-07'))).toHaveLength(1);
  });

  it('are those of more than four weeks away', () => {
    const dividend = priced(large, AS_TRADED);
    const at = (sessionDate: string) =>
      doubtDividends({
        dividends: [{ ...dividend, lastClose: { sessionDate, price: 100, basis: AS_TRADED } }],
        splits: [],
        throughSession: '2018-02-07',
      });
    expect(at('2017-12-15')).toHaveLength(1);
    expect(at('2017-12-14')).toEqual([]);
  });
});

describe('amounts around a split', () => {
  const around = (before: number, after: number, currency = 'USD') => [
    { exDate: '2014-02-06', cashAmount: 3.05 },
    { exDate: '2014-05-08', cashAmount: before },
    { exDate: '2014-08-07', cashAmount: after, currency },
  ];
  const seven = [split('2014-06-09', 7)];

  it('believes those that change by its ratio', () => {
    expect(doubts(around(3.29, 0.47), seven)).toEqual([]);
    // A reverse split of 1 for 8, and a raise beside the split.
    expect(doubts(around(0.1, 0.8), [split('2014-06-09', 1, 8)])).toEqual([]);
    expect(doubts(around(3.29, 0.6), seven)).toEqual([]);
  });

  it('doubts those that do not, as if divided already', () => {
    expect(doubts(around(0.47, 0.47), seven)).toEqual([
      {
        symbol: 'XYZ',
        sessionDate: '2014-06-09',
        subject: 'dividend basis',
        code: 'dividendsLookAdjusted',
        reason:
          'dividends of XYZ around the split 7:1 on 2014-06-09: 0.47 before it (2014-05-08) and 0.47 after it ' +
          '(2014-08-07), as if those before it were divided by it already; they are stored as cash per share as traded',
      },
    ]);
    expect(doubts(around(0.8, 0.8), [split('2014-06-09', 1, 8)])).toHaveLength(1);
  });

  it('says nothing where nothing can be said', () => {
    expect(doubts(around(0.47, 0.47), [split('2014-06-09', 5, 4)])).toEqual([]);
    expect(doubts(around(0.47, 0.47).slice(0, 2), seven)).toEqual([]);
    expect(doubts(around(0.47, 0.47).slice(2), seven)).toEqual([]);
    expect(doubts(around(0.47, 0.47, 'EUR'), seven)).toEqual([]);
    expect(
      doubts([{ exDate: '2012-01-05', cashAmount: 0.47 }, ...around(0.47, 0.47).slice(2)], seven),
    ).toEqual([]);
    expect(doubts(around(0, 0.47).slice(1), seven)).toEqual([]);
  });
});
