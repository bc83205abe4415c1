import { describe, expect, it } from 'vitest';
import { answeringSource, type SourceOptions } from '../../tests/support/answering-source.ts';
import { createProviderChain } from './chain.ts';
import { TransientError } from './errors.ts';
import type { MarketDataProvider } from './port.ts';
import { askOtherSources } from './split-sources.ts';

const split = (symbol: string, newShares = 7, exDate = '2014-06-09') => ({
  symbol,
  exDate,
  newShares,
  oldShares: 1,
});

/** A source with some splits; it has bars of nothing. */
const source = (input: SourceOptions & { splits?: ReturnType<typeof split>[]; unknown?: string[] }) => {
  const { splits = [], unknown = [], ...options } = input;
  return answeringSource({
    ...options,
    actionsOf: (symbol) =>
      unknown.includes(symbol)
        ? undefined
        : { splits: splits.filter((one) => one.symbol === symbol), dividends: [] },
  });
};

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
    const range = { from: '2014-06-09', to: '2014-06-09', asOfSession: '2018-02-07' };
    expect(second.asked).toEqual([{ symbols: ['AAPL', 'MSFT', 'IBM'], ...range }]);
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
