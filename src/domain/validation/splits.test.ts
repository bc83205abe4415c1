import { describe, expect, it } from 'vitest';
import { adjustBars } from '../adjustment.ts';
import { AS_TRADED, type BarColumns, epochDayOf, type PriceBasis, sessionDateOf } from '../bars.ts';
import type { ReportedSplit } from '../market-data.ts';
import fixture from '../testdata/bad-splits.json' with { type: 'json' };
import { judgeSplits, splitRatioWords, splitsToApply, type SplitVerdict } from './splits.ts';

type Row = [date: string, open: number, close: number];
const RULES = { splitTolerance: 0.2, secondSourceRatio: 1.5 };
const HELD: PriceBasis = { splits: 'adjusted', dividends: 'asTraded', asOf: '2024-01-01' };

function barsOf(symbol: string, rows: readonly (string | number)[][]): BarColumns {
  const column = (index: number): Float64Array => Float64Array.from(rows, (row) => Number(row[index]));
  return {
    symbol,
    epochDays: Int32Array.from(rows, ([date]) => epochDayOf(String(date))),
    open: column(1),
    high: column(2),
    low: column(1),
    close: column(2),
    volume: new Float64Array(rows.length).fill(1000),
  };
}

function reported(symbol: string, exDate: string, newShares: number, oldShares = 1): ReportedSplit {
  return { symbol, exDate, newShares, oldShares, asked: [], confirmedBy: [] };
}

function judge(input: {
  rows: readonly (string | number)[][];
  split: ReportedSplit;
  basis?: PriceBasis;
  flagged?: Uint8Array;
}): SplitVerdict {
  const { rows, split, basis = AS_TRADED, flagged = new Uint8Array(rows.length) } = input;
  const bars = barsOf(split.symbol, rows);
  const [verdict] = judgeSplits({ bars, flagged, basisOf: () => basis, splits: [split], rules: RULES });
  if (verdict === undefined) throw new Error('no verdict');
  return verdict;
}

/** A calm series that falls to `1 / factor` at its fifth session. */
function series(factor: number, sessions = 8): Row[] {
  const first = epochDayOf('2018-01-08');
  return Array.from({ length: sessions }, (_, index): Row => {
    const price = (100 + index * 0.2) / (index < 4 ? 1 : factor);
    return [sessionDateOf(first + index), price, price * 1.001];
  });
}
const EX = '2018-01-12';

describe('splits of as-traded prices', () => {
  it.each([
    ['AAPL', '2014-06-09', 7, 1],
    ['EEM', '2008-07-24', 3, 1],
    ['AIG', '2009-07-01', 1, 20],
    ['USO', '2020-04-29', 1, 8],
  ] as const)('%s %s %d:%d is in the real prices', (symbol, exDate, newShares, oldShares) => {
    const rows = fixture.asTraded[symbol];
    const split = reported(symbol, exDate, newShares, oldShares);
    const verdict = judge({ rows, split });
    expect(verdict).toMatchObject({ status: 'confirmed', code: null, movedOn: exDate });
    expect(Math.abs(Math.log((verdict.seen ?? 0) / (newShares / oldShares)))).toBeLessThan(Math.log(1.2));
    // The same split a day too late, twice as large, or upside down is not.
    const day = (offset: number): string =>
      String(rows[rows.findIndex(([date]) => date === exDate) + offset]?.[0]);
    for (const wrong of [
      reported(symbol, day(1), newShares, oldShares),
      reported(symbol, day(-1), newShares, oldShares),
      reported(symbol, exDate, newShares * 2, oldShares),
      reported(symbol, exDate, oldShares, newShares),
    ]) {
      expect(judge({ rows, split: wrong })).toMatchObject({
        status: 'unconfirmed',
        code: 'splitNotInPrices',
      });
    }
  });

  it('says what was expected and what was seen', () => {
    const split = reported('AAPL', '2014-06-10', 7);
    expect(judge({ rows: fixture.asTraded.AAPL, split })).toMatchObject({
      expected: 7,
      seen: 93.7 / 94.64,
      reason:
        'split 7:1 of AAPL on 2014-06-10: the price was expected to be divided by 7; it went from 93.7 ' +
        '(close of 2014-06-09) to 94.64 (open of 2014-06-10), divided by 0.990068',
    });
  });

  it.each([
    [2, 2.38, 'confirmed'],
    [2, 2.42, 'unconfirmed'],
    [2, 1.68, 'confirmed'],
    [2, 1.64, 'unconfirmed'],
    // Near a small ratio an unmoved price is within the tolerance too, but nearer to no split.
    [1.25, 1.2, 'confirmed'],
    [1.25, 1.08, 'unconfirmed'],
    [1.05, 1, 'untestable'],
  ] as const)('of ratio %d where the price moved by %d: %s', (ratio, moved, status) => {
    expect(judge({ rows: series(moved), split: reported('S', EX, ratio) }).status).toBe(status);
  });

  it('are judged by what is there: not before the first price after them, not by doubtful rows', () => {
    const split = reported('S', EX, 2);
    expect(judge({ rows: series(1).slice(0, 4), split })).toMatchObject({ status: 'untestable', seen: null });
    expect(judge({ rows: series(1).slice(4), split })).toMatchObject({ status: 'untestable', seen: null });
    const rows = series(2);
    rows[4] = [EX, 100, 100];
    expect(judge({ rows, split })).toMatchObject({ status: 'unconfirmed', movedOn: EX });
    const flagged = Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0);
    expect(judge({ rows, split, flagged })).toMatchObject({ status: 'confirmed', movedOn: '2018-01-13' });
  });

  it('of more than 3:2 need a second source where one could be asked', () => {
    const rows = series(2);
    const split = reported('S', EX, 2);
    const alone = judge({ rows, split: { ...split, asked: ['second'] } });
    expect(alone).toMatchObject({ status: 'unconfirmed', code: 'splitOneSource' });
    expect(alone.reason).toContain('its ratio needs a second source, and second does not report it');
    expect(judge({ rows, split: { ...split, asked: ['second'], confirmedBy: ['second'] } }).status).toBe(
      'confirmed',
    );
    expect(judge({ rows, split }).status).toBe('confirmed');
    const small = { ...reported('S', EX, 3, 2), asked: ['second'] };
    expect(judge({ rows: series(1.5), split: small }).status).toBe('confirmed');
    const reverse = { ...reported('S', EX, 1, 2), asked: ['second'] };
    expect(judge({ rows: series(0.5), split: reverse }).code).toBe('splitOneSource');
  });
});

describe('splits of prices that claim to hold them', () => {
  it.each([
    ['4063.T', '4063.T', '2023-03-30', 5, '2023-03-29'],
    ['DEX.AX', 'DEX.AX', '2023-05-30', 0.4406, '2023-05-22'],
  ] as const)(
    '%s: real rows without it are found, and repaired once a person says so',
    (name, symbol, exDate, ratio, movedOn) => {
      const rows = fixture.splitAdjusted[name];
      const split = reported(symbol, exDate, ratio);
      const verdict = judge({ rows, split, basis: HELD });
      expect(verdict).toMatchObject({
        status: 'unconfirmed',
        code: 'splitNotAdjusted',
        expected: 1,
        movedOn,
      });
      expect(verdict.reason).toContain(
        'these prices claim to hold it, so no move was expected; it went from',
      );
      const fixed = fixture.splitAdjusted[`${name} fixed`];
      expect(judge({ rows: fixed, split, basis: HELD }).status).toBe('confirmed');
      const bars = barsOf(symbol, rows);
      const repaired = (isReleased: boolean): BarColumns =>
        adjustBars({
          bars,
          basis: HELD,
          actions: { splits: splitsToApply([verdict], () => isReleased), dividends: [] },
          asOf: '2023-12-29',
        }).bars;
      expect(repaired(false)).toEqual(bars);
      for (const [row, close] of repaired(true).close.entries()) {
        expect(close / Number(fixed[row]?.[2])).toBeCloseTo(1, 3);
      }
      expect(repaired(true).volume[0]).toBeCloseTo(1000 * ratio, 9);
    },
  );

  it('one row that has it twice is no matter of the split', () => {
    const split = reported('MOB.ST', '2023-05-24', 0.1);
    expect(judge({ rows: fixture.splitAdjusted['MOB.ST'], split, basis: HELD }).status).toBe('confirmed');
  });

  it('move as others do on that day', () => {
    expect(judge({ rows: series(1.12), split: reported('S', EX, 7), basis: HELD }).status).toBe('confirmed');
    expect(judge({ rows: series(7), split: reported('S', EX, 7), basis: HELD }).status).toBe('unconfirmed');
    // Held up to the day before: these rows are to move.
    const before: PriceBasis = { ...HELD, asOf: '2018-01-11' };
    expect(judge({ rows: series(7), split: reported('S', EX, 7), basis: before }).status).toBe('confirmed');
  });
});

describe('what reads apply', () => {
  const verdictOf = (moved: number): SplitVerdict =>
    judge({ rows: series(moved), split: reported('S', EX, 2) });

  it('is what is confirmed, too small to show, or released by a person', () => {
    const [yes, no, small] = [
      verdictOf(2),
      verdictOf(1),
      judge({ rows: series(1), split: reported('S', EX, 1.01) }),
    ];
    expect(splitsToApply([yes, no, small], () => false)).toEqual([yes.split, small.split]);
    expect(splitsToApply([yes, no, small], () => true)).toEqual([yes.split, no.split, small.split]);
  });

  it('names a split by its ratio', () => {
    expect(splitRatioWords(reported('S', EX, 10_027, 10_000))).toBe('10027:10000');
    expect(splitRatioWords(reported('S', EX, 6.9999999))).toBe('7:1');
    expect(splitRatioWords(reported('S', EX, 0.4406))).toBe('0.4406:1');
  });
});
