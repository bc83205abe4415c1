import { describe, expect, it } from 'vitest';
import { createProviderChain } from './chain.ts';
import { NotFoundError, TransientError } from './errors.ts';
import type { MarketDataProvider, ProviderCoverage } from './port.ts';
import { askOtherSources } from './split-sources.ts';

const split = (symbol: string, newShares = 7, exDate = '2014-06-09') => ({
  symbol,
  exDate,
  newShares,
  oldShares: 1,
});

/** A source with some splits; it has bars of nothing. */
function source(input: {
  id: string;
  splits?: ReturnType<typeof split>[];
  coverage?: Partial<ProviderCoverage> | Error;
  unknown?: string[];
  fails?: Error;
}): MarketDataProvider & { asked: string[][] } {
  const { id, splits = [], coverage = {}, unknown = [], fails } = input;
  const asked: string[][] = [];
  return {
    id,
    asked,
    coverage: async () => {
      if (coverage instanceof Error) throw coverage;
      return {
        provider: id,
        dataset: id,
        firstSession: null,
        lastSession: null,
        symbols: null,
        basis: { splits: 'asTraded', dividends: 'asTraded', asOf: null },
        survivorship: 'unknown',
        has: { corporateActions: true, fundamentals: false, instruments: false },
        ...coverage,
      };
    },
    corporateActions: async ({ symbols, from, to }) => {
      asked.push([...symbols, from, to]);
      if (fails !== undefined) throw fails;
      return symbols.map((symbol) => {
        if (unknown.includes(symbol)) {
          const error = new NotFoundError(`no ${symbol}`, { provider: id, symbol });
          return { ok: false, symbol, error, attempts: [] };
        }
        const value = { splits: splits.filter((one) => one.symbol === symbol), dividends: [] };
        const provenance = { provider: id, dataset: id, fetchedAt: '2018-01-01T00:00:00Z', fallbackFrom: [] };
        return { ok: true, symbol, value, provenance };
      });
    },
    bars: async () => [],
    fundamentals: async () => [],
    instruments: async () => [],
  };
}

const ask = (providers: MarketDataProvider[], splits = [split('AAPL')], provider = 'first') =>
  askOtherSources(providers, {
    splits: splits.map((one) => ({ split: one, provider })),
    asOfSession: '2018-02-07',
  });

describe('a second source', () => {
  const first = source({ id: 'first', splits: [split('AAPL')] });

  it('confirms the same date and ratio only, and who reported it is not asked', async () => {
    const second = source({
      id: 'second',
      splits: [split('AAPL', 7.0001), split('MSFT', 2), split('IBM', 7, '2014-06-10')],
    });
    const splits = [split('AAPL'), split('MSFT'), split('IBM')];
    expect(await ask([first, second], splits)).toMatchObject([
      { split: { symbol: 'AAPL' }, asked: ['second'], confirmedBy: ['second'] },
      { split: { symbol: 'MSFT' }, asked: ['second'], confirmedBy: [] },
      { split: { symbol: 'IBM' }, asked: ['second'], confirmedBy: [] },
    ]);
    expect(first.asked).toEqual([]);
    expect(second.asked).toEqual([['AAPL', 'MSFT', 'IBM', '2014-06-09', '2014-06-09']]);
  });

  it.each([
    [
      'has no actions',
      { coverage: { has: { corporateActions: false, fundamentals: false, instruments: false } } },
    ],
    ['begins later', { coverage: { firstSession: '2015-01-02' } }],
    ['ends earlier', { coverage: { lastSession: '2014-06-06' } }],
    ['does not know the symbol', { unknown: ['AAPL'] }],
  ])('that %s is none', async (_, options) => {
    expect(await ask([first, source({ id: 'second', ...options })])).toMatchObject([
      { asked: [], confirmedBy: [] },
    ]);
  });

  it.each([
    [
      'cannot be reached',
      { coverage: new TransientError('down', { provider: 'second' }), fails: new Error('down') },
    ],
    ['fails', { fails: new TransientError('down', { provider: 'second' }) }],
  ])('that %s was asked and confirms nothing', async (_, options) => {
    expect(await ask([first, source({ id: 'second', ...options })])).toMatchObject([
      { asked: ['second'], confirmedBy: [] },
    ]);
  });

  it('is what a chain of several has, and one of a single source has not', async () => {
    const second = source({ id: 'second', splits: [split('AAPL')] });
    expect(createProviderChain({ providers: [first] }).splitSources).toBeUndefined();
    const chain = createProviderChain({ providers: [first, second] });
    const request = { splits: [{ split: split('AAPL'), provider: 'second' }], asOfSession: '2018-02-07' };
    expect(await chain.splitSources?.(request)).toMatchObject([{ asked: ['first'], confirmedBy: ['first'] }]);
  });

  it('is not waited for after an abort', async () => {
    const abort = new AbortController();
    abort.abort();
    const second = source({ id: 'second', fails: new Error('aborted') });
    await expect(
      askOtherSources([first, second], {
        splits: [{ split: split('AAPL'), provider: 'first' }],
        asOfSession: '2018-02-07',
        signal: abort.signal,
      }),
    ).rejects.toThrow();
  });
});
