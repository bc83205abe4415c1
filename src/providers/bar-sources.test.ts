import { describe, expect, it } from 'vitest';
import { answeringSource, type SourceOptions } from '../../tests/support/answering-source.ts';
import { AS_TRADED, createBarColumns, epochDayOf } from '../domain/bars.ts';
import { askBarSources } from './bar-sources.ts';
import { createProviderChain } from './chain.ts';
import { NotFoundError, type ProviderError, RateLimitedError } from './errors.ts';
import type { BarsValue, MarketDataProvider } from './port.ts';

const RANGE = { from: '2018-01-08', to: '2018-02-07', asOfSession: '2018-02-07' };

/** A source with bars of some symbols on some dates. */
const source = (
  input: SourceOptions & { dates?: Record<string, string[]>; errors?: Record<string, ProviderError> },
) => {
  const { dates = {}, errors = {}, ...options } = input;
  const barsOn = (symbol: string, days: readonly string[]): BarsValue => {
    const bars = createBarColumns(symbol, days.length);
    for (const [row, date] of days.entries()) bars.epochDays[row] = epochDayOf(date);
    return { bars, basis: AS_TRADED };
  };
  return answeringSource({
    ...options,
    barsOf: (symbol) => errors[symbol] ?? (dates[symbol] && barsOn(symbol, dates[symbol])),
  });
};

const ask = (providers: MarketDataProvider[], symbols = ['XYZ']) =>
  askBarSources(providers, { ...RANGE, symbols });
const first = () => source({ id: 'first', dates: { XYZ: ['2018-01-05'], OLD: [], NEW: ['2018-02-07'] } });
const limited = new RateLimitedError('slow down', { provider: 'second', retryAfterMs: 1 });

describe('who has bars in a range', () => {
  it('is asked of every source, also after one has answered, in the order of the request', async () => {
    const second = source({ id: 'second', dates: { XYZ: ['2018-01-08', '2018-02-07'], OLD: [], NEW: [] } });
    expect(await ask([first(), second], ['NEW', 'OLD', 'XYZ'])).toEqual([
      { symbol: 'NEW', asked: ['first', 'second'], answered: ['first', 'second'], withBars: ['first'] },
      { symbol: 'OLD', asked: ['first', 'second'], answered: ['first', 'second'], withBars: [] },
      // A bar before the range is none in it.
      { symbol: 'XYZ', asked: ['first', 'second'], answered: ['first', 'second'], withBars: ['second'] },
    ]);
    expect(second.asked).toMatchObject([{ ...RANGE, symbols: ['NEW', 'OLD', 'XYZ'] }]);
  });

  it.each([
    ['begins within the range', { coverage: { firstSession: '2018-01-09' } }],
    ['ends within the range', { coverage: { lastSession: '2018-02-06' } }],
    ['does not know the symbol', { dates: {} }],
    ['knows none of them', { fails: new NotFoundError('nothing here', { provider: 'second' }) }],
  ])('that %s could not have them', async (_, options) => {
    const second = source({ id: 'second', dates: { XYZ: [] }, ...options });
    expect(await ask([first(), second])).toEqual([
      { symbol: 'XYZ', asked: ['first'], answered: ['first'], withBars: [] },
    ]);
  });

  it('that covers just the range could', async () => {
    const coverage = { firstSession: RANGE.from, lastSession: RANGE.to };
    expect(await ask([source({ id: 'exact', dates: { XYZ: [] }, coverage })])).toMatchObject([
      { answered: ['exact'] },
    ]);
  });

  it.each([
    ['is rate limited', { errors: { XYZ: limited } }],
    ['fails as a whole', { fails: new Error('ECONNRESET') }],
    ['cannot be reached', { coverage: limited, fails: limited }],
  ])('that %s was asked and did not answer', async (_, options) => {
    const second = source({ id: 'second', dates: { XYZ: [] }, ...options });
    expect(await ask([first(), second])).toEqual([
      { symbol: 'XYZ', asked: ['first', 'second'], answered: ['first'], withBars: [] },
    ]);
  });

  it('is what a chain of several tells, and one of a single source does not', async () => {
    expect(createProviderChain({ providers: [first()] }).barSources).toBeUndefined();
    const chain = createProviderChain({
      providers: [first(), source({ id: 'second', dates: { XYZ: [] } })],
    });
    expect(await chain.barSources?.({ ...RANGE, symbols: ['XYZ'] })).toMatchObject([
      { answered: ['first', 'second'], withBars: [] },
    ]);
  });

  it('is not waited for after an abort', async () => {
    const stop = new AbortController();
    const second = source({ id: 'second', fails: new Error('aborted') });
    const aborting: MarketDataProvider = {
      ...second,
      bars: async (request) => {
        stop.abort(new Error('enough'));
        return await second.bars(request);
      },
    };
    const third = source({ id: 'third', dates: { XYZ: [] } });
    const request = { ...RANGE, symbols: ['XYZ'], signal: stop.signal };
    await expect(askBarSources([first(), aborting, third], request)).rejects.toThrow('enough');
    expect([second.asked.length, third.asked]).toEqual([1, []]);
  });
});

describe('who answered a chain', () => {
  const answeredBy = async (providers: MarketDataProvider[]) => {
    const [result] = await createProviderChain({ providers }).bars({ ...RANGE, symbols: ['XYZ'] });
    return result?.ok === true ? result.answeredBy : result?.error.code;
  };

  it('are those that can have the end of the range', async () => {
    const some = { XYZ: ['2018-01-08'] };
    const archive = source({ id: 'archive', dates: some, coverage: { lastSession: '2018-02-06' } });
    const empty = source({ id: 'empty', dates: { XYZ: [] } });
    const unknown = source({ id: 'unknown' });
    // The first that has anything is not followed by others.
    expect(await answeredBy([source({ id: 'live', dates: some }), empty])).toEqual(['live']);
    expect(await answeredBy([empty, source({ id: 'live', dates: some })])).toEqual(['empty', 'live']);
    expect(await answeredBy([empty, source({ id: 'other', dates: { XYZ: [] } })])).toEqual([
      'empty',
      'other',
    ]);
    expect(await answeredBy([archive, empty])).toEqual(['empty']);
    expect(await answeredBy([archive, unknown])).toEqual([]);
    expect(await answeredBy([unknown])).toBe('notFound');
  });
});
