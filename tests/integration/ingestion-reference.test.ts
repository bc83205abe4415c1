import { beforeEach, describe, expect, it } from 'vitest';
import { ActionRequiredError, RateLimitedError, TransientError } from '../../src/providers/errors.ts';
import { runAs } from './ingestion-house.ts';
import { S3, S4, SESSIONS, useLiveMarket } from './live-market.ts';
import { bar } from './scripted-provider.ts';

const live = useLiveMarket();
/** Listed, members of nothing; the last two never have an answer. */
const OTHERS = ['ZA', 'ZB', 'ZC', 'ZD'];

describe('a source that lists more than the members', () => {
  /** ZA has the data of SJ: what makes SJ doubtful is outside the universe. */
  beforeEach(() => {
    live.settings = { historySessions: 6 };
    live.provider.symbols = [...live.provider.rows.keys(), ...OTHERS];
    live.fallback.symbols = [];
    for (const [day, session] of SESSIONS.entries()) {
      const same = bar(40 + day * 0.3, 123_456 + day);
      live.provider.set('SJ', session, same);
      live.provider.set('ZA', session, same);
      live.provider.set('ZB', session, bar(90 + day * 0.2));
    }
  });

  const fails = (symbol: string) =>
    live.provider.errors.set(symbol, new TransientError(`${symbol} was cut off`, { provider: 'first' }));
  const marks = () => live.house.sql`select distinct revealed_through from market.validation_state`;

  it('is looked through as a whole, whatever it does not know', async () => {
    expect(await live.night(S3)).toMatchObject({ flagsByKind: { identicalSeries: 5 } });
    expect(await marks()).toEqual([{ revealedThrough: S3 }]);
  });

  it('is looked through again when a symbol of it could not be had', async () => {
    fails('ZA');
    expect(await live.night(S3)).toMatchObject({ failed: 0, flagged: 0 });
    expect(await marks()).toEqual([]);
    live.provider.errors.clear();
    expect(await live.night(S4)).toMatchObject({ flagsByKind: { identicalSeries: 6 } });
    expect(await marks()).toEqual([{ revealedThrough: S4 }]);
  });

  it('is asked again when too much of it could not be had', async () => {
    fails('ZA');
    fails('ZB');
    await expect(live.night(S3)).rejects.toMatchObject({
      type: 'ProviderTransient',
      nonRetryable: false,
      message: expect.stringContaining('2 symbols are to be asked again: ZA was cut off') as string,
    });
    const limited = new RateLimitedError('slow down', { provider: 'first', retryAfterMs: 7000 });
    live.provider.errors.set('ZB', limited);
    await expect(live.night(S3)).rejects.toMatchObject({
      type: 'ProviderRateLimited',
      nextRetryDelay: 7000,
    });
    for (const symbol of ['ZA', 'ZB']) {
      live.provider.errors.set(symbol, new ActionRequiredError('log in again', { provider: 'first' }));
    }
    await expect(live.night(S3)).rejects.toMatchObject({ type: 'ProviderBadData', nonRetryable: true });
    expect(await marks()).toEqual([]);
    const [flags] = await live.house.sql`select count(*) from market.bar_flags`;
    expect(flags).toEqual({ count: 0 });
  });

  it('is left for the next source by the last attempt', async () => {
    fails('ZA');
    fails('ZB');
    for (const symbol of ['ZA', 'ZB']) {
      for (const [day, session] of SESSIONS.entries())
        live.fallback.set(symbol, session, bar(60 + day * 0.1));
    }
    const batch = await live.batchOf(S3);
    await runAs(() => live.house.activities.ingestBatch(batch));
    const finish = (attempt: number) =>
      runAs(() => live.house.activities.finishIngestion(batch), {
        info: { attempt, retryPolicy: { maximumAttempts: 2 } },
      });
    await expect(finish(1)).rejects.toMatchObject({ type: 'ProviderTransient' });
    expect(await finish(2)).toMatchObject({ failed: 0 });
    expect(await marks()).toEqual([{ revealedThrough: S3 }]);
  });
});
