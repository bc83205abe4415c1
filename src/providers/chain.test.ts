import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArchiveRow, writeArchiveFolder } from '../../tests/support/archive-folder.ts';
import { createArchiveProvider } from './archive/archive-provider.ts';
import { createProviderChain, retryAfterMs } from './chain.ts';
import {
  BadDataError,
  NotFoundError,
  type ProviderError,
  RateLimitedError,
  toProviderError,
  TransientError,
} from './errors.ts';
import type { MarketDataProvider, SymbolResult } from './port.ts';

const row = (date: string, close: number): ArchiveRow => ({
  date,
  open: close,
  high: close + 1,
  low: close - 1,
  close,
  volume: 1_000,
});
const RANGE = { from: '2018-02-05', to: '2018-02-09', asOfSession: '2018-02-09' };

/** A real archive whose bars fail for some symbols, or altogether, as a network source would. */
function failing(
  inner: MarketDataProvider,
  failures: Record<string, ProviderError> | Error,
): MarketDataProvider {
  return {
    ...inner,
    async bars(request) {
      if (failures instanceof Error) throw failures;
      const results = await inner.bars(request);
      return results.map(
        (result): SymbolResult<(typeof results)[number] extends SymbolResult<infer V> ? V : never> => {
          const error = failures[result.symbol];
          return error === undefined ? result : { ok: false, symbol: result.symbol, error, attempts: [] };
        },
      );
    },
  };
}

describe('a chain of two archives', () => {
  let folder: string;
  let first: MarketDataProvider;
  let second: MarketDataProvider;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-chain-'));
    const directory = join(folder, 'second');
    await writeArchiveFolder({
      directory,
      dataset: 'second-source',
      symbols: {
        AAPL: [row('2018-02-06', 1), row('2018-02-07', 2)],
        NEWCO: [row('2018-02-06', 10), row('2018-02-08', 11)],
        ZTS: [row('2018-02-08', 70), row('2018-02-09', 71)],
      },
      dividends: 'symbol,ex_date,cash_amount\nNEWCO,2018-02-08,0.5\n',
    });
    first = createArchiveProvider({
      directory: fileURLToPath(new URL('../../data/sample', import.meta.url)),
      id: 'sample',
    });
    second = createArchiveProvider({ directory, id: 'second' });
  });
  afterAll(async () => rm(folder, { recursive: true, force: true }));

  const summary = (results: readonly SymbolResult<unknown>[]) =>
    results.map((result) =>
      result.ok
        ? `${result.symbol} ${result.provenance.provider} after [${result.provenance.fallbackFrom
            .map((one) => `${one.provider}:${one.outcome}`)
            .join(' ')}]`
        : `${result.symbol} ${result.error.code} [${result.attempts
            .map((one) => `${one.provider}:${one.outcome}`)
            .join(' ')}]`,
    );

  it('takes each symbol from the first source that has it, and says why', async () => {
    const chain = createProviderChain({ providers: [first, second] });
    const results = await chain.bars({ symbols: ['NEWCO', 'AAPL', 'NOPE'], ...RANGE });
    expect(summary(results)).toEqual([
      'NEWCO second after [sample:notFound]',
      'AAPL sample after []',
      'NOPE notFound [sample:notFound second:notFound]',
    ]);
    const newco = results[0];
    expect(newco?.ok === true && newco.value.bars.close).toEqual(Float64Array.of(10, 11));
    expect(newco?.ok === true && newco.provenance.dataset).toBe('second-source');
    const aapl = results[1];
    expect(aapl?.ok === true && aapl.value.bars.close.at(-1)).toBe(159.54);
  });

  it('goes on where the first source ends', async () => {
    const chain = createProviderChain({ providers: [first, second] });
    const later = { from: '2018-02-08', to: '2018-02-09', asOfSession: '2018-02-09' };
    expect(summary(await chain.bars({ symbols: ['ZTS', 'AAPL'], ...later }))).toEqual([
      'ZTS second after [sample:notCovered]',
      // The second knows AAPL but has no bar in the range: an empty answer, not an error.
      'AAPL second after [sample:notCovered]',
    ]);
    // As of 2018-02-07 nobody may show a later bar, whoever has it.
    const past = await chain.bars({ symbols: ['ZTS'], ...later, asOfSession: '2018-02-07' });
    expect(past.every((result) => !result.ok || result.value.bars.epochDays.length === 0)).toBe(true);
  });

  it('takes a range whose end only a later source has from that source, overlap included', async () => {
    const chain = createProviderChain({ providers: [first, second] });
    const results = await chain.bars({ symbols: ['ZTS', 'AAPL', 'A'], ...RANGE });
    expect(summary(results)).toEqual([
      'ZTS second after [sample:notCovered]',
      // The second source has nothing newer of AAPL and nothing at all of A: the first one's answer stands.
      'AAPL sample after []',
      'A sample after []',
    ]);
    const zts = results[0];
    expect(zts?.ok === true && zts.value.bars.close).toEqual(Float64Array.of(70, 71));
  });

  it('waits for a later source that may have the end of the range, and takes what there is at last', async () => {
    const limited = new RateLimitedError('slow down', {
      provider: 'second',
      symbol: 'ZTS',
      retryAfterMs: 1_000,
    });
    const chain = createProviderChain({ providers: [first, failing(second, { ZTS: limited })] });
    const request = { symbols: ['ZTS'], ...RANGE };
    expect(summary(await chain.bars(request))).toEqual([
      'ZTS rateLimited [sample:notCovered second:rateLimited]',
    ]);
    expect(summary(await chain.bars({ ...request, finalAttempt: true }))).toEqual(['ZTS sample after []']);
  });

  it('prefers a later source over an empty answer', async () => {
    const chain = createProviderChain({ providers: [second, first] });
    const early = { from: '2018-02-05', to: '2018-02-05', asOfSession: '2018-02-09' };
    const wide = { ...early, to: '2018-02-06' };
    expect(summary(await chain.bars({ symbols: ['AAPL'], ...early }))).toEqual([
      'AAPL sample after [second:notCovered]',
    ]);
    expect(summary(await chain.bars({ symbols: ['AAPL'], ...wide }))).toEqual(['AAPL second after []']);
  });

  it('stops at what may work later, and falls through to the next at the last attempt', async () => {
    const limited = new RateLimitedError('slow down', {
      provider: 'sample',
      symbol: 'AAPL',
      retryAfterMs: 30_000,
    });
    const broken = new BadDataError('garbled', { provider: 'sample', symbol: 'ZTS' });
    const chain = createProviderChain({
      providers: [failing(first, { AAPL: limited, ZTS: broken }), second],
    });
    const request = { symbols: ['AAPL', 'ZTS', 'A'], ...RANGE };
    const results = await chain.bars(request);
    expect(summary(results)).toEqual([
      'AAPL rateLimited [sample:rateLimited]',
      'ZTS second after [sample:badData]',
      'A sample after []',
    ]);
    expect(retryAfterMs(results)).toBe(30_000);
    expect(summary(await chain.bars({ ...request, finalAttempt: true }))).toEqual([
      'AAPL second after [sample:rateLimited]',
      'ZTS second after [sample:badData]',
      'A sample after []',
    ]);
    expect(retryAfterMs(await chain.bars({ ...request, symbols: ['A'] }))).toBeNull();
  });

  it('treats the failure of a whole source as one of each symbol', async () => {
    const down = failing(first, new Error('ECONNRESET'));
    const chain = createProviderChain({ providers: [down, second] });
    const results = await chain.bars({ symbols: ['AAPL', 'A'], ...RANGE });
    expect(summary(results)).toEqual(['AAPL transient [sample:transient]', 'A transient [sample:transient]']);
    const last = await chain.bars({ symbols: ['AAPL', 'A'], ...RANGE, finalAttempt: true });
    // Nobody had A: the failure that leaves most hope is reported.
    expect(summary(last)).toEqual([
      'AAPL second after [sample:transient]',
      'A transient [sample:transient second:notFound]',
    ]);
  });

  it('asks the next source when a folder is missing, and keeps a person informed', async () => {
    const missing = createArchiveProvider({ directory: join(folder, 'nowhere'), id: 'missing' });
    const chain = createProviderChain({ providers: [missing, second] });
    expect(summary(await chain.bars({ symbols: ['NEWCO', 'A'], ...RANGE }))).toEqual([
      'NEWCO second after [missing:actionRequired]',
      'A actionRequired [missing:actionRequired second:notFound]',
    ]);
    expect((await chain.coverage()).symbols).toEqual(['AAPL', 'NEWCO', 'ZTS']);
  });

  it('does not ask a source for what it does not have', async () => {
    const chain = createProviderChain({ providers: [second, first] });
    const fundamentals = await chain.fundamentals({ symbols: ['AAPL'], asOfSession: '2018-02-07' });
    expect(summary(fundamentals)).toEqual(['AAPL sample after [second:notCovered]']);
    const actions = await chain.corporateActions({ symbols: ['NEWCO', 'IBM'], ...RANGE });
    expect(summary(actions)).toEqual(['NEWCO second after []', 'IBM sample after [second:notFound]']);
    const instruments = await chain.instruments({ symbols: ['NEWCO', 'IBM'], asOfSession: '2018-02-07' });
    expect(summary(instruments)).toEqual(['NEWCO second after []', 'IBM sample after [second:notFound]']);
  });

  it('covers what its members cover together', async () => {
    const chain = createProviderChain({ providers: [first, second] });
    const coverage = await chain.coverage();
    expect(coverage).toMatchObject({
      provider: 'sample+second',
      firstSession: '2013-02-08',
      lastSession: '2018-02-09',
      survivorship: 'biased',
    });
    expect(coverage.symbols).toHaveLength(506);
    expect((await chain.coverages()).map((one) => one.provider)).toEqual(['sample', 'second']);
  });

  it('counts progress over all sources and stops on abort', async () => {
    const chain = createProviderChain({ providers: [first, second] });
    const seen: string[] = [];
    await chain.bars({
      symbols: ['AAPL', 'NEWCO'],
      ...RANGE,
      onProgress: ({ done, total }) => seen.push(`${done}/${total}`),
    });
    // The first source ends before the range does: the second is asked for both symbols too.
    expect(seen).toEqual(['1/2', '2/2', '2/2', '2/2']);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(chain.bars({ symbols: ['AAPL'], ...RANGE, signal })).rejects.toThrow('enough');
  });

  it('needs a provider', () => {
    expect(() => createProviderChain({ providers: [] })).toThrow(RangeError);
  });
});

describe('provider errors', () => {
  it('have a closed classification', () => {
    const provider = 'x';
    expect(new NotFoundError('m', { provider }).disposition).toBe('notRetryable');
    expect(new BadDataError('m', { provider }).disposition).toBe('notRetryable');
    expect(new TransientError('m', { provider }).disposition).toBe('retryable');
    expect(new RateLimitedError('m', { provider, retryAfterMs: 5 }).disposition).toBe('retryable');
  });

  it('wrap what is unknown as transient and keep the cause', () => {
    const cause = new TypeError('fetch failed');
    const error = toProviderError(cause, 'x');
    expect(error).toMatchObject({
      code: 'transient',
      provider: 'x',
      symbol: null,
      cause,
      message: 'x: fetch failed',
    });
    expect(toProviderError(error, 'y')).toBe(error);
  });
});
