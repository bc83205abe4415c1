import { describe, expect, it } from 'vitest';
import type { BarSource, StoredBars } from '../../db/queries/bars.ts';
import { adjustBars } from '../../domain/adjustment.ts';
import { AS_TRADED, epochDayOf, type PriceBasis } from '../../domain/bars.ts';
import { adjustStored, adjustStoredTotal } from './adjust-stored.ts';

const DAYS = ['2018-01-02', '2018-01-03', '2018-01-04', '2018-01-05', '2018-01-08'];
const ADJUSTED: PriceBasis = { splits: 'adjusted', dividends: 'asTraded', asOf: '2018-01-08' };
const WITH_DIVIDENDS: PriceBasis = { splits: 'adjusted', dividends: 'adjusted', asOf: '2018-01-04' };
/** Two for one on the fourth day, dividends of one dollar as traded on the third and the fifth. */
const ACTIONS = {
  splits: [{ symbol: 'A', exDate: '2018-01-05', newShares: 2, oldShares: 1 }],
  dividends: ['2018-01-04', '2018-01-08'].map((exDate) => ({
    symbol: 'A',
    exDate,
    cashAmount: 1,
    currency: 'USD',
  })),
};

function stored(closes: number[], bases: PriceBasis[]) {
  const prices = Float64Array.from(closes);
  const bars: StoredBars = {
    bars: {
      symbol: 'A',
      epochDays: Int32Array.from(DAYS, epochDayOf),
      open: prices,
      high: prices,
      low: prices,
      close: prices,
      volume: prices.map(() => 100),
    },
    sourceIds: Int32Array.from(bases.keys()),
    states: new Int32Array(closes.length),
    revisions: new Int32Array(closes.length),
    flagged: new Uint8Array(closes.length),
  };
  const source = (basis: PriceBasis, sourceId: number): [number, BarSource] => [
    sourceId,
    { sourceId, provider: 'p', basis, fetchedAt: '2018-01-08T23:00:00.000Z' },
  ];
  return { stored: bars, sources: new Map(bases.map(source)), actions: ACTIONS, units: '2018-01-08' };
}

describe('dividends reinvested in stored bars', () => {
  it('are those of the domain where all bars stand on one basis', () => {
    const closes = [20, 22, 21, 10, 11];
    const input = stored(
      closes,
      closes.map(() => AS_TRADED),
    );
    const { bars } = adjustBars({
      bars: input.stored.bars,
      basis: AS_TRADED,
      actions: ACTIONS,
      asOf: '2018-01-08',
      totalReturn: true,
    });
    const total = adjustStoredTotal(input);
    for (const field of ['open', 'high', 'low', 'close', 'volume'] as const)
      expect([field, total[field]]).toEqual([field, bars[field]]);
    expect([...total.close].slice(2)).toEqual([10.5 * (1 - 1 / 10), 10 * (1 - 1 / 10), 11]);
  });

  it('are the same whichever rows hold the split already', () => {
    const one = adjustStoredTotal(
      stored(
        [20, 22, 21, 10, 11],
        DAYS.map(() => AS_TRADED),
      ),
    );
    const mixed = stored([20, 11, 21, 10, 11], [AS_TRADED, ADJUSTED, AS_TRADED, ADJUSTED, AS_TRADED]);
    expect([...adjustStored(mixed).close]).toEqual([10, 11, 10.5, 10, 11]);
    expect([...adjustStoredTotal(mixed).close]).toEqual([...one.close]);
    expect([...adjustStoredTotal(mixed).volume]).toEqual([200, 100, 200, 100, 100]);
  });

  it('leave out what the basis of a row holds', () => {
    // In units of after the split the second day's row has the first dividend in it, not the second.
    const input = stored([20, 22, 21, 10, 11], [AS_TRADED, WITH_DIVIDENDS, AS_TRADED, AS_TRADED, AS_TRADED]);
    const { close } = adjustStoredTotal(input);
    expect(close[1]).toBeCloseTo(11 * (1 - 1 / 10), 12);
    expect(close[0]).toBeCloseTo(10 * (1 - 0.5 / 11) * (1 - 1 / 10), 12);
  });

  it('refuse one that is not below the price', () => {
    const closes = [20, 0.4, 21, 10, 11];
    expect(() =>
      adjustStoredTotal(
        stored(
          closes,
          closes.map(() => ADJUSTED),
        ),
      ),
    ).toThrow(/not below the price/);
  });
});
