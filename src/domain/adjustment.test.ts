import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adjustBars } from './adjustment.ts';
import { AS_TRADED, epochDayOf, sessionDateOf, type BarColumns, type PriceBasis } from './bars.ts';
import type { CorporateActions, SplitAction } from './market-data.ts';
import slices from './testdata/adjustment.json' with { type: 'json' };

const PRICES = ['open', 'high', 'low', 'close'] as const;
const ARCHIVE: PriceBasis = { splits: 'adjusted', dividends: 'asTraded', asOf: '2018-02-07' };

function barsOf(rows: (string | number)[][]): BarColumns {
  const column = (c: number): Float64Array => Float64Array.from(rows, (row) => Number(row[c]));
  return {
    symbol: 'AAPL',
    epochDays: Int32Array.from(rows, ([date]) => epochDayOf(String(date))),
    open: column(1),
    high: column(2),
    low: column(3),
    close: column(4),
    volume: column(5),
  };
}

const traded = barsOf(slices.asTraded);
const archive = barsOf(slices.splitAdjusted);
const split = (exDate: string, newShares: number, oldShares = 1): SplitAction => ({
  symbol: 'AAPL',
  exDate,
  newShares,
  oldShares,
});
const actions: CorporateActions = {
  splits: [split('2014-06-09', 7), split('2020-08-31', 4)],
  dividends: slices.dividends.map(([exDate, cashAmount]) => ({
    symbol: 'AAPL',
    exDate: String(exDate),
    cashAmount: Number(cashAmount),
    currency: 'USD',
  })),
};
const rowOf = (bars: BarColumns, date: string): number => bars.epochDays.indexOf(epochDayOf(date));

describe('adjustment of AAPL around its 7:1 split of 2014-06-09', () => {
  it('turns bars as traded into those of the split-adjusted archive', () => {
    const { bars, basis } = adjustBars({ bars: traded, basis: AS_TRADED, actions, asOf: '2018-02-07' });
    expect(basis).toEqual(ARCHIVE);
    expect(bars.epochDays).toEqual(archive.epochDays);
    // One source has the primary exchange, the other all of them: closes agree, extremes nearly.
    for (const [field, tolerance] of [
      ['close', 1e-3],
      ['high', 1e-2],
      ['low', 1e-2],
    ] as const) {
      for (const [i, price] of bars[field].entries()) {
        expect(Math.abs(price / archive[field][i]! - 1), `${field} ${String(i)}`).toBeLessThan(tolerance);
      }
    }
    expect(bars.close[rowOf(bars, '2014-06-06')]).toBeCloseTo(645.57 / 7, 10);
    expect(bars.close[rowOf(bars, '2014-06-09')]).toBe(93.7);
    expect(bars.volume[rowOf(bars, '2014-06-06')]).toBe(12_116_671 * 7);
    expect(bars.volume[rowOf(bars, '2014-06-09')]).toBe(72_875_948);
  });

  it('leaves the archive alone: its basis already holds the split', () => {
    for (const asOf of ['2014-05-15', '2014-06-09', '2018-02-07']) {
      const { bars, basis } = adjustBars({ bars: archive, basis: ARCHIVE, actions, asOf });
      expect(bars).toEqual(archive);
      expect(basis.asOf).toBe('2018-02-07');
    }
  });

  it('applies only what comes after the basis date', () => {
    const { bars, basis } = adjustBars({ bars: archive, basis: ARCHIVE, actions, asOf: '2021-01-04' });
    expect(bars.close[0]).toBeCloseTo(archive.close[0]! / 4, 12);
    expect(bars.volume[0]).toBe(archive.volume[0]! * 4);
    expect(basis.asOf).toBe('2021-01-04');
  });

  it('is applied to the rows that lack it, where a person found some on a basis that claims it', () => {
    const lacking: BarColumns = {
      ...archive,
      close: archive.close.map((close, row) => (row < 3 ? close * 7 : close)),
      volume: archive.volume.map((volume, row) => (row < 3 ? volume / 7 : volume)),
    };
    const missingBefore = sessionDateOf(archive.epochDays[3]!);
    const applied = { splits: [{ ...actions.splits[0]!, missingBefore }], dividends: [] };
    const { bars } = adjustBars({ bars: lacking, basis: ARCHIVE, actions: applied, asOf: '2018-02-07' });
    for (const [row, close] of bars.close.entries()) {
      expect(close / archive.close[row]!).toBeCloseTo(1, 12);
      expect(bars.volume[row]! / archive.volume[row]!).toBeCloseTo(1, 12);
    }
    // As-traded rows take it once, whether before that date or after.
    const plain = { splits: [actions.splits[0]!], dividends: [] };
    const input = { bars: traded, basis: AS_TRADED, asOf: '2018-02-07' };
    expect(adjustBars({ ...input, actions: applied }).bars).toEqual(
      adjustBars({ ...input, actions: plain }).bars,
    );
  });

  it('knows no split before its ex-date', () => {
    const before = adjustBars({ bars: traded, basis: AS_TRADED, actions, asOf: '2014-06-08' });
    expect(before.bars).toEqual(traded);
    const after = adjustBars({ bars: traded, basis: AS_TRADED, actions, asOf: '2014-06-09' });
    expect(after.bars.close[0]).toBeCloseTo(594.09 / 7, 12);
  });

  it('gives one-session returns without a jump, and keeps price times volume', () => {
    const { bars } = adjustBars({ bars: traded, basis: AS_TRADED, actions, asOf: '2014-08-15' });
    for (let i = 1; i < bars.close.length; i += 1) {
      expect(Math.abs(bars.close[i]! / bars.close[i - 1]! - 1)).toBeLessThan(0.05);
    }
    for (const [i, close] of bars.close.entries()) {
      expect(close * bars.volume[i]!).toBeCloseTo(traded.close[i]! * traded.volume[i]!, -2);
    }
  });
});

describe('dividends', () => {
  const cashOn = (exDate: string, asOf: string, bars = traded, basis = AS_TRADED): number | undefined =>
    adjustBars({ bars, basis, actions, asOf }).dividends.find((dividend) => dividend.exDate === exDate)
      ?.cashAmount;

  it('are divided by the splits after their ex-date', () => {
    expect(cashOn('2014-05-08', '2014-06-06')).toBeCloseTo(3.29, 12);
    expect(cashOn('2014-05-08', '2014-06-09')).toBeCloseTo(0.47, 12);
    expect(cashOn('2014-08-07', '2018-02-07')).toBeCloseTo(0.47, 12);
    expect(cashOn('2014-08-07', '2020-08-31')).toBeCloseTo(0.47 / 4, 12);
  });

  it('are in the units of bars whose basis is later than the night', () => {
    expect(cashOn('2013-05-09', '2013-12-31', archive, ARCHIVE)).toBeCloseTo(3.05 / 7, 12);
  });

  it('on the day of a split are quoted in its new shares', () => {
    const { dividends } = adjustBars({
      bars: traded,
      basis: AS_TRADED,
      actions: {
        splits: [split('2014-06-09', 7)],
        dividends: [{ symbol: 'AAPL', exDate: '2014-06-09', cashAmount: 0.47, currency: 'USD' }],
      },
      asOf: '2014-12-31',
    });
    expect(dividends[0]?.cashAmount).toBe(0.47);
  });

  it('that are quoted adjusted are not divided twice', () => {
    const { dividends } = adjustBars({
      bars: traded,
      basis: AS_TRADED,
      actions: { ...actions, dividends: actions.dividends.map((d) => ({ ...d, cashAmount: 0.1 })) },
      asOf: '2021-01-04',
      dividendBasis: ARCHIVE,
    });
    expect(dividends[0]?.cashAmount).toBe(0.1 / 4);
  });

  it('change neither price nor volume unless a total return is asked for, and never volume', () => {
    const input = { bars: traded, basis: AS_TRADED, actions, asOf: '2014-08-15' } as const;
    const price = adjustBars(input).bars;
    const total = adjustBars({ ...input, totalReturn: true });
    expect(total.bars.volume).toEqual(price.volume);
    expect(total.basis.dividends).toBe('adjusted');
    const [may, june] = [rowOf(price, '2014-05-07'), rowOf(price, '2014-06-09')];
    const august = 1 - 0.47 / price.close[rowOf(price, '2014-08-06')]!;
    expect(total.bars.close[june]! / price.close[june]!).toBeCloseTo(august, 12);
    expect(total.bars.close[may]! / price.close[may]!).toBeCloseTo(august * (1 - 3.29 / 592.33), 12);
    expect(total.bars.close.at(-1)).toBe(price.close.at(-1));
    // The return over the ex-date is the one of a holder who got the cash.
    const ex = rowOf(price, '2014-05-08');
    const held = price.close[ex]! / (price.close[may]! - 0.47) - 1;
    expect(total.bars.close[ex]! / total.bars.close[may]! - 1).toBeCloseTo(held, 10);
  });
});

describe('adjustment in general', () => {
  const dates = Array.from({ length: 30 }, (_, i) => sessionDateOf(16_000 + i));
  const bars: BarColumns = {
    symbol: 'AAPL',
    epochDays: Int32Array.from(dates, epochDayOf),
    open: Float64Array.from(dates, (_, i) => 50 + i),
    high: Float64Array.from(dates, (_, i) => 52 + i),
    low: Float64Array.from(dates, (_, i) => 49 + i),
    close: Float64Array.from(dates, (_, i) => (i === 7 ? Number.NaN : 51 + i)),
    volume: Float64Array.from(dates, (_, i) => 1000 + i),
  };
  const someSplits = fc
    .uniqueArray(
      fc.record({ day: fc.integer({ min: 0, max: 29 }), ratio: fc.constantFrom(2, 7, 0.125, 1.0027) }),
      {
        selector: ({ day }) => day,
        maxLength: 5,
      },
    )
    .map((list) => list.map(({ day, ratio }) => split(dates[day]!, ratio)));

  it('in two steps is adjustment in one', () => {
    const cut = fc.tuple(fc.integer({ min: 0, max: 29 }), fc.integer({ min: 0, max: 29 }));
    fc.assert(
      fc.property(someSplits, cut, (splits, [a, b]) => {
        const [early, late] = [dates[Math.min(a, b)]!, dates[Math.max(a, b)]!];
        const only = { splits, dividends: [] };
        const first = adjustBars({ bars, basis: AS_TRADED, actions: only, asOf: early });
        const second = adjustBars({ ...first, actions: only, asOf: late });
        const direct = adjustBars({ bars, basis: AS_TRADED, actions: only, asOf: late });
        expect(second.basis).toEqual(direct.basis);
        for (const field of [...PRICES, 'volume'] as const) {
          for (const [i, x] of direct.bars[field].entries()) {
            if (Number.isNaN(x)) expect(second.bars[field][i]).toBeNaN();
            else expect(second.bars[field][i]! / x).toBeCloseTo(1, 12);
          }
        }
      }),
    );
  });

  it('uses the actions of its own symbol, and does not change its input', () => {
    const foreign = { splits: [{ ...split(dates[10]!, 7), symbol: 'MSFT' }], dividends: [] };
    const copy = structuredClone(bars);
    expect(adjustBars({ bars, basis: AS_TRADED, actions: foreign, asOf: dates[29]! }).bars).toEqual(bars);
    expect(bars).toEqual(copy);
  });

  it('refuses impossible actions and a basis without its date', () => {
    const adjust = (splits: SplitAction[], cashAmount = 1, basis = AS_TRADED, totalReturn = false) =>
      adjustBars({
        bars,
        basis,
        actions: { splits, dividends: [{ symbol: 'AAPL', exDate: dates[9]!, cashAmount, currency: 'USD' }] },
        asOf: dates[29]!,
        totalReturn,
      });
    expect(() => adjust([split(dates[3]!, 0)])).toThrow(/split of AAPL/);
    expect(() => adjust([split(dates[3]!, 2, 0)])).toThrow(/split of AAPL/);
    expect(() => adjust([split(dates[3]!, 2), split(dates[3]!, 2)])).toThrow(/two splits/);
    expect(() => adjust([], -1)).toThrow(/dividend of AAPL/);
    expect(() => adjust([], 1000, AS_TRADED, true)).toThrow(/not below the price/);
    expect(() => adjust([], 1, { splits: 'adjusted', dividends: 'asTraded', asOf: null })).toThrow(
      /as of which/,
    );
  });
});
