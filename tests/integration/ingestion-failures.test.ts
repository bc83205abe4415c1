import { CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { beginAttempt } from '../../src/db/queries/attempts.ts';
import { readSymbolOutcomes } from '../../src/db/queries/symbol-outcomes.ts';
import { RateLimitedError, TransientError } from '../../src/providers/errors.ts';
import { uniqueName } from '../support/env.ts';
import { runAs } from './ingestion-house.ts';
import { S2, SESSIONS, SYMBOLS, useLiveMarket } from './live-market.ts';
import { bar } from './scripted-provider.ts';

const live = useLiveMarket();

describe('symbols that fail', () => {
  it('have their reason in a row and leave the others alone, within the threshold', async () => {
    live.provider.rows.delete('SA');
    const result = await live.night(S2);
    expect(result).toMatchObject({ totalSymbols: 24, successful: 23, failed: 1 });
    expect(result['failures']).toEqual([
      { symbol: 'SA', reason: expect.stringContaining('notFound: first does not know SA') as string },
    ]);
    const [missing] = await live.house.sql`select count(*) from market.bars where symbol = 'SA'`;
    expect(missing).toEqual({ count: 0 });
  });

  it('fail the step beyond the threshold, with everything else stored', async () => {
    live.provider.rows.delete('SA');
    live.provider.rows.delete('SB');
    await expect(live.night(S2)).rejects.toMatchObject({
      type: 'CoverageTooLow',
      nonRetryable: true,
      message: expect.stringContaining('2 of 24 symbols failed, more than 5 %') as string,
    });
    const [stored] = await live.house.sql`select count(distinct symbol) as symbols from market.bars`;
    expect(stored).toEqual({ symbols: 22 });
    const outcomes = await readSymbolOutcomes(live.house.sql, {
      taskRunId: await lastRun(),
      status: 'failed',
    });
    expect(outcomes.map((one) => one.symbol)).toEqual(['SA', 'SB']);
  });

  it('are asked again alone when they may pass, and no longer than the activity may try', async () => {
    live.provider.errors.set(
      'SC',
      new RateLimitedError('slow down', { provider: 'first', retryAfterMs: 7000 }),
    );
    const step = await live.batchOf(S2);
    const limited = runAs(() => live.house.activities.ingestBatch(step), {
      info: { attempt: 1, retryPolicy: { maximumAttempts: 3 } },
    });
    await expect(limited).rejects.toMatchObject({
      type: 'ProviderRateLimited',
      nonRetryable: false,
      nextRetryDelay: 7000,
    });
    const asked = live.provider.requests.length;
    live.provider.errors.set('SC', new TransientError('reset', { provider: 'first', symbol: 'SC' }));
    const second = runAs(() => live.house.activities.ingestBatch(step), {
      info: { attempt: 2, retryPolicy: { maximumAttempts: 3 } },
    });
    await expect(second).rejects.toMatchObject({ type: 'ProviderTransient' });
    expect(live.provider.requests.slice(asked).map((request) => request.symbols)).toEqual([['SC']]);
    live.fallback.set('SC', S2, bar(99));
    const last = await runAs(() => live.house.activities.ingestBatch(step), {
      info: { attempt: 3, retryPolicy: { maximumAttempts: 3 } },
    });
    expect(last).toMatchObject({ symbols: 24, failedSymbols: 0 });
    const [outcome] = await readSymbolOutcomes(live.house.sql, {
      taskRunId: step.taskRunId,
      symbols: ['SC'],
    });
    expect(outcome).toMatchObject({ status: 'ok', provider: 'second' });
    expect(outcome?.details['fallbackFrom']).toMatchObject([{ provider: 'first', outcome: 'transient' }]);
  });

  it('a whole source that is down is a retryable failure of the step, not 24 silent ones', async () => {
    const down = async (): Promise<never> => {
      throw new TransientError('connection refused', { provider: 'first' });
    };
    Object.assign(live.provider, { coverage: down });
    Object.assign(live.fallback, { coverage: down });
    await expect(live.night(S2)).rejects.toMatchObject({ type: 'ProviderTransient', nonRetryable: false });
  });

  it('a session without any bar is an unscheduled closure or a late source, and says so', async () => {
    for (const symbol of SYMBOLS) live.provider.set(symbol, S2, null);
    await expect(live.night(S2)).rejects.toMatchObject({
      type: 'CoverageTooLow',
      message: expect.stringContaining(`no symbol has a bar for ${S2}`) as string,
    });
  });
});

describe('attempts', () => {
  it('one that was superseded stores nothing', async () => {
    const step = await live.batchOf(S2);
    await beginAttempt(live.house.db('pipeline').sql, {
      ...step.fence,
      runId: uniqueName('newer'),
      attempt: 2,
    });
    for (const act of [
      () => live.house.activities.planIngestion(step),
      () => live.house.activities.ingestBatch(step),
      () => live.house.activities.finishIngestion(step),
    ]) {
      await expect(runAs<unknown>(act)).rejects.toMatchObject({
        type: 'SupersededAttempt',
        nonRetryable: true,
      });
    }
    const [stored] = await live.house.sql`select count(*) from market.bars`;
    expect(stored).toEqual({ count: 0 });
  });

  it('one that is superseded while it waits for the provider stores nothing either', async () => {
    const step = await live.batchOf(S2);
    live.provider.beforeBars = async () => {
      await beginAttempt(live.house.db('pipeline').sql, {
        ...step.fence,
        runId: uniqueName('newer'),
        attempt: 2,
      });
    };
    await expect(runAs(() => live.house.activities.ingestBatch(step))).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
    expect(await counts(step)).toEqual({ bars: 0, outcomes: 0, sources: 0 });
  });

  it('a cancelled one ends at once and stores nothing of its chunk', async () => {
    const step = await live.batchOf(S2);
    let asked: () => void = () => undefined;
    const cancelAfter = new Promise<void>((resolve) => {
      asked = resolve;
    });
    live.provider.beforeBars = async ({ signal }) => {
      asked();
      await new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    const run = runAs(() => live.house.activities.ingestBatch(step), { cancelAfter });
    await expect(run).rejects.toBeInstanceOf(CancelledFailure);
    expect(await counts(step)).toEqual({ bars: 0, outcomes: 0, sources: 0 });
  });

  it('a crash in the middle repeats only what was not stored', async () => {
    const many = Array.from(
      { length: 40 },
      (_, index) => `T${Math.trunc(index / 26)}${String.fromCharCode(65 + (index % 26))}`,
    );
    for (const symbol of many) for (const session of SESSIONS) live.provider.set(symbol, session, bar(30));
    const step = await live.batchOf(S2, many);
    live.provider.beforeBars = async ({ symbols }) => {
      if (symbols.length < 20) throw new TypeError('the process died here');
    };
    const crashed = runAs(() => live.house.activities.ingestBatch(step), {
      info: { attempt: 1, retryPolicy: { maximumAttempts: 2 } },
    });
    await expect(crashed).rejects.toThrow('8 symbols are to be asked again');
    expect(await counts(step)).toMatchObject({ bars: 32 * 3 });
    live.provider.beforeBars = async () => undefined;
    live.provider.requests.length = 0;
    const result = await runAs(() => live.house.activities.ingestBatch(step));
    expect(result).toMatchObject({ symbols: 40, failedSymbols: 0, rowsChanged: 120 });
    expect(live.provider.requests.map((request) => request.symbols.length)).toEqual([8]);
  });

  it('two attempts that store the same rows at once leave each row once', async () => {
    const [first, second] = await Promise.all([live.batchOf(S2), live.batchOf(S2)]);
    await Promise.all([first, second].map((step) => runAs(() => live.house.activities.ingestBatch(step))));
    const [stored] = await live.house
      .sql`select count(*), count(distinct (symbol, session_date)) as keys from market.bars`;
    expect(stored).toEqual({ count: 72, keys: 72 });
  });

  async function counts(step: TaskStep) {
    const [row] = await live.house.sql`
      select (select count(*) from market.bars) as bars, (select count(*) from market.bar_sources) as sources,
        (select count(*) from ops.symbol_outcomes where task_run_id = ${step.taskRunId}) as outcomes`;
    return row;
  }
});

async function lastRun(): Promise<string> {
  const [row] = await live.house.sql<{ taskRunId: string }[]>`
    select task_run_id from ops.task_runs order by created_at desc limit 1`;
  return row?.taskRunId ?? '';
}
