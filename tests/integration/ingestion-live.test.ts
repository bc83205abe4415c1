import { CancelledFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { beginAttempt } from '../../src/db/queries/attempts.ts';
import { readBars } from '../../src/db/queries/bars.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import { nightCutoff } from '../../src/db/queries/sessions.ts';
import { readSymbolOutcomes } from '../../src/db/queries/symbol-outcomes.ts';
import { RateLimitedError, TransientError } from '../../src/providers/errors.ts';
import { uniqueName } from '../support/env.ts';
import { IngestionHouse, runAs } from './ingestion-house.ts';
import { bar, type Row, ScriptedProvider } from './scripted-provider.ts';

/** 2018: Thursday to the Wednesday after; 22:45 New York is 03:45Z the day after. */
const SESSIONS = ['2018-01-25', '2018-01-26', '2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01'];
const [, , S1, S2, S3, S4] = SESSIONS as [string, string, string, string, string, string];
const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
const universe = 'live';
let settings = { historySessions: 3 };

let house: IngestionHouse;
let provider: ScriptedProvider;
let fallback: ScriptedProvider;

beforeEach(async () => {
  provider = new ScriptedProvider('first');
  fallback = new ScriptedProvider('second');
  house = await IngestionHouse.open([provider, fallback]);
  for (const [index, symbol] of SYMBOLS.entries()) {
    for (const [day, session] of SESSIONS.entries())
      provider.set(symbol, session, bar(20 + index + day * 0.1));
  }
  at(S2);
  settings = { historySessions: 3 };
});

afterEach(() => house.close());

/** The clock at the nominal instant of a session's night. */
function at(session: string, time = '27:45'): void {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  house.now = new Date(Date.parse(`${session}T00:00:00Z`) + (hours * 60 + minutes) * 60_000);
}

async function night(sessionDate: string, symbols: readonly string[] = SYMBOLS) {
  at(sessionDate);
  return await house.night({ universe, sessionDate, symbols, settings });
}

async function asOf(symbol: string, throughSession: string): Promise<number[]> {
  const { sql } = house.db('pipeline');
  const cutoff = await nightCutoff(sql, throughSession);
  const { symbols } = await readBars(sql, { symbols: [symbol], throughSession, cutoff });
  return [...(symbols.get(symbol)?.bars.close ?? [])];
}

async function batchOf(sessionDate: string, symbols: readonly string[] = SYMBOLS) {
  const step = await house.begin({ universe, sessionDate, symbols, settings });
  const plan = await runAs(() => house.activities.planIngestion(step));
  const [batch] = plan.batches;
  if (batch === undefined || plan.batches.length !== 1) throw new Error('one batch was expected');
  return { ...step, batch };
}

describe('symbols that fail', () => {
  it('have their reason in a row and leave the others alone, within the threshold', async () => {
    provider.rows.delete('SA');
    const result = await night(S2);
    expect(result).toMatchObject({ totalSymbols: 24, successful: 23, failed: 1 });
    expect(result['failures']).toEqual([
      { symbol: 'SA', reason: expect.stringContaining('notFound: first does not know SA') as string },
    ]);
    const [missing] = await house.sql`select count(*) from market.bars where symbol = 'SA'`;
    expect(missing).toEqual({ count: 0 });
  });

  it('fail the step beyond the threshold, with everything else stored', async () => {
    provider.rows.delete('SA');
    provider.rows.delete('SB');
    await expect(night(S2)).rejects.toMatchObject({
      type: 'CoverageTooLow',
      nonRetryable: true,
      message: expect.stringContaining('2 of 24 symbols failed, more than 5 %') as string,
    });
    const [stored] = await house.sql`select count(distinct symbol) as symbols from market.bars`;
    expect(stored).toEqual({ symbols: 22 });
    const outcomes = await readSymbolOutcomes(house.sql, { taskRunId: await lastRun(), status: 'failed' });
    expect(outcomes.map((one) => one.symbol)).toEqual(['SA', 'SB']);
  });

  it('are asked again alone when they may pass, and no longer than the activity may try', async () => {
    provider.errors.set('SC', new RateLimitedError('slow down', { provider: 'first', retryAfterMs: 7000 }));
    const step = await batchOf(S2);
    const limited = runAs(() => house.activities.ingestBatch(step), {
      info: { attempt: 1, retryPolicy: { maximumAttempts: 3 } },
    });
    await expect(limited).rejects.toMatchObject({
      type: 'ProviderRateLimited',
      nonRetryable: false,
      nextRetryDelay: 7000,
    });
    const asked = provider.requests.length;
    provider.errors.set('SC', new TransientError('reset', { provider: 'first', symbol: 'SC' }));
    const second = runAs(() => house.activities.ingestBatch(step), {
      info: { attempt: 2, retryPolicy: { maximumAttempts: 3 } },
    });
    await expect(second).rejects.toMatchObject({ type: 'ProviderTransient' });
    expect(provider.requests.slice(asked).map((request) => request.symbols)).toEqual([['SC']]);
    fallback.set('SC', S2, bar(99));
    const last = await runAs(() => house.activities.ingestBatch(step), {
      info: { attempt: 3, retryPolicy: { maximumAttempts: 3 } },
    });
    expect(last).toMatchObject({ symbols: 24, failedSymbols: 0 });
    const [outcome] = await readSymbolOutcomes(house.sql, { taskRunId: step.taskRunId, symbols: ['SC'] });
    expect(outcome).toMatchObject({ status: 'ok', provider: 'second' });
    expect(outcome?.details['fallbackFrom']).toMatchObject([{ provider: 'first', outcome: 'transient' }]);
  });

  it('a whole source that is down is a retryable failure of the step, not 24 silent ones', async () => {
    const down = async (): Promise<never> => {
      throw new TransientError('connection refused', { provider: 'first' });
    };
    Object.assign(provider, { coverage: down });
    Object.assign(fallback, { coverage: down });
    await expect(night(S2)).rejects.toMatchObject({ type: 'ProviderTransient', nonRetryable: false });
  });

  it('a session without any bar is an unscheduled closure or a late source, and says so', async () => {
    for (const symbol of SYMBOLS) provider.set(symbol, S2, null);
    await expect(night(S2)).rejects.toMatchObject({
      type: 'CoverageTooLow',
      message: expect.stringContaining(`no symbol has a bar for ${S2}`) as string,
    });
  });
});

describe('bars that change', () => {
  it('a revised final bar keeps its predecessor, tells others, and past nights see what they saw', async () => {
    settings = { historySessions: 6 };
    await night(S1);
    await night(S2);
    const before = await asOf('SA', S2);
    provider.set('SA', S1, bar(50));
    const result = await night(S3);
    expect(result).toMatchObject({ rowsRevised: 1, rowsInserted: 24 });
    const [row] = await house.sql`
      select close, state, revision from market.bars where symbol = 'SA' and session_date = ${S1}`;
    expect(row).toEqual({ close: 50 * 1.002, state: 2, revision: 1 });
    const kept = await house.sql`select symbol, session_date, revision, state from market.bar_revisions`;
    expect(kept).toEqual([{ symbol: 'SA', sessionDate: S1, revision: 0, state: 1 }]);
    expect(await openEvents(house.sql, 'bar.revised')).toMatchObject([
      { subject: 'SA', sessionDate: S1, details: { revision: 1, after: { close: 50 * 1.002 } } },
    ]);
    expect(await asOf('SA', S2)).toEqual(before);
    expect((await asOf('SA', S3))[2]).toBe(50 * 1.002);
    const print = await house.fingerprint();
    expect(await night(S3)).toMatchObject({ rowsChanged: 0 });
    // A replay of the older night meets the revised value and leaves it.
    expect(await night(S2)).toMatchObject({ rowsChanged: 0 });
    expect(await house.fingerprint()).toEqual(print);
    provider.set('SA', S1, bar(60));
    await night(S4);
    expect((await asOf('SA', S3))[2]).toBe(50 * 1.002);
    expect((await asOf('SA', S4))[2]).toBe(60 * 1.002);
    expect(await asOf('SA', S2)).toEqual(before);
  });

  it('a bar fetched before its session has settled is provisional until the next night', async () => {
    await night(S1);
    at(S2, '21:30');
    const step = { universe, sessionDate: S2, symbols: SYMBOLS, settings };
    await house.night(step);
    const states = () => house.sql`
      select state, count(*) from market.bars where session_date = ${S2} group by state order by state`;
    expect(await states()).toEqual([{ state: 0, count: 24 }]);
    provider.set('SB', S2, bar(33));
    expect(await night(S3)).toMatchObject({ rowsRevised: 24 });
    expect(await states()).toEqual([{ state: 1, count: 24 }]);
    const [row] = await house.sql`
      select close, revision from market.bars where symbol = 'SB' and session_date = ${S2}`;
    expect(row).toEqual({ close: 33 * 1.002, revision: 1 });
    expect(await openEvents(house.sql, 'bar.revised')).toEqual([]);
    expect((await asOf('SB', S2)).at(-1)).not.toBe(33 * 1.002);
    expect((await asOf('SB', S3)).at(-2)).toBe(33 * 1.002);
  });

  it('another provider fills what is missing but does not overwrite what is final', async () => {
    await night(S1);
    provider.rows.delete('SD');
    for (const session of [S1, S2]) fallback.set('SD', session, bar(77));
    const result = await night(S2);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0, providers: ['first', 'second'] });
    const stored = await house.sql`
      select b.session_date, s.provider from market.bars b join market.bar_sources s using (source_id)
      where symbol = 'SD' order by 1 desc limit 2`;
    expect(stored).toEqual([
      { sessionDate: S2, provider: 'second' },
      { sessionDate: S1, provider: 'first' },
    ]);
  });

  it('a session that comes late is known from then on, not before', async () => {
    provider.set('SE', S1, null);
    await night(S1);
    expect(await house.sql`select symbol, session_date from market.gaps`).toEqual([
      { symbol: 'SE', sessionDate: S1 },
    ]);
    const before = await asOf('SE', S1);
    provider.set('SE', S1, bar(24));
    await night(S2);
    expect(await asOf('SE', S1)).toEqual(before);
    expect(await asOf('SE', S2)).toHaveLength(before.length + 2);
  });
});

describe('price bases', () => {
  const halve = ([open, high, low, close, volume]: Row): Row => [
    open / 2,
    high / 2,
    low / 2,
    close / 2,
    volume * 2,
  ];

  it('an overlap on a newer basis agrees through the known split and nothing is revised', async () => {
    await night(S2);
    provider.splits = [{ symbol: 'SF', exDate: S3, newShares: 2, oldShares: 1 }];
    provider.basis = { ...provider.basis, asOf: S3 };
    rebase('SF', halve);
    const result = await night(S3);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0, rowsInserted: 24 });
    const bases = await house.sql`
      select b.session_date, s.basis_date from market.bars b join market.bar_sources s using (source_id)
      where symbol = 'SF' order by 1 desc limit 2`;
    expect(bases).toEqual([
      { sessionDate: S3, basisDate: S3 },
      { sessionDate: S2, basisDate: '2018-01-24' },
    ]);
  });

  it('a split nobody told of stops the symbol instead of revising its history', async () => {
    settings = { historySessions: 4 };
    await night(S2);
    rebase('SF', halve);
    const result = await night(S3);
    expect(result).toMatchObject({ failed: 1, rowsRevised: 0 });
    expect(result['failures']).toMatchObject([
      { symbol: 'SF', reason: expect.stringContaining('differ by the factor 0.500000') as string },
    ]);
  });

  function rebase(symbol: string, change: (row: Row) => Row): void {
    for (const [session, row] of provider.rows.get(symbol) ?? []) provider.set(symbol, session, change(row));
  }
});

describe('impossible rows', () => {
  it('go to quarantine as delivered, and a usable bar later settles them', async () => {
    provider.set('SG', S2, [10, 9, 11, 10, 5]);
    provider.set('SH', S2, [Number.NaN, 11, 9, 10, 5]);
    provider.set('SI', `${S2} again`, bar(1));
    const result = await night(S2);
    expect(result).toMatchObject({ quarantined: 3, coverage: { withBar: 21 } });
    const rows = await house.sql`
      select symbol, codes, raw, status, price_basis from market.quarantine order by symbol`;
    expect(rows).toMatchObject([
      { symbol: 'SG', codes: ['ohlcOrder'], raw: [{ open: 10, high: 9, low: 11, close: 10, volume: 5 }] },
      { symbol: 'SH', codes: ['nullPrice'], raw: [{ open: null, high: 11 }] },
      { symbol: 'SI', codes: ['duplicateSession'], raw: [{}, {}] },
    ]);
    const print = await house.fingerprint();
    expect(await night(S2)).toMatchObject({ rowsChanged: 0, quarantined: 3 });
    expect(await house.fingerprint()).toEqual(print);
    provider.set('SG', S2, bar(26));
    await night(S3);
    const [settled] = await house.sql`select status, decided_by from market.quarantine where symbol = 'SG'`;
    expect(settled).toEqual({ status: 'rejected', decidedBy: 'ingestion' });
    expect(await asOf('SG', S2)).toHaveLength(2);
    expect((await asOf('SG', S3)).at(-2)).toBe(26 * 1.002);
  });

  it('are released or rejected by a named person, and released ones change no past night', async () => {
    provider.set('SG', S2, [10, 9, 11, 10, 5]);
    await night(S2);
    const key = { symbol: 'SG', sessionDate: S2, provider: 'first', by: 'ann', why: 'checked by phone' };
    const decision = { ...key, row: null, workflowId: 'quarantine/SG' };
    const before = await asOf('SG', S2);
    at(S3);
    await house.decisions.decideQuarantine({ ...decision, decision: 'release' });
    expect(await asOf('SG', S2)).toEqual(before);
    const [row] = await house.sql`select close from market.bars where symbol = 'SG' and session_date = ${S2}`;
    expect(row).toEqual({ close: 10 });
    const [audit] = await house.sql`select actor, action, why, role from ops.audit`;
    expect(audit).toEqual({
      actor: 'ann',
      action: 'quarantine.released',
      why: 'checked by phone',
      role: 'nightshift_ingest',
    });
    await expect(house.decisions.decideQuarantine({ ...decision, decision: 'reject' })).rejects.toThrow(
      'was released by ann',
    );
  });
});

describe('doubtful rows', () => {
  it('two symbols with the same data are flagged, for this member list only', async () => {
    for (const [day, session] of SESSIONS.entries()) {
      const same = bar(40 + day * 0.3, 123_456 + day);
      provider.set('SJ', session, same);
      provider.set('SK', session, same);
    }
    settings = { historySessions: 6 };
    const result = await night(S4);
    expect(result).toMatchObject({ flagsByKind: { identicalSeries: 12 } });
    const flags = await house.sql`
      select distinct symbol, scope, available_session from market.bar_flags where kind = 'identicalSeries'
      order by symbol, available_session`;
    const [run] = await house.sql`select universe_version as version from ops.task_runs limit 1`;
    expect(new Set(flags.map((row) => row['symbol']))).toEqual(new Set(['SJ', 'SK']));
    expect(new Set(flags.map((row) => row['scope']))).toEqual(new Set([run?.['version']]));
    const { sql } = house.db('pipeline');
    const usable = async (universeVersion?: string): Promise<number> => {
      const { symbols } = await readBars(sql, {
        symbols: ['SJ'],
        throughSession: S4,
        cutoff: await nightCutoff(sql, S4),
        ...(universeVersion !== undefined && { universeVersion }),
      });
      return symbols.get('SJ')?.flagged.filter((flag) => flag === 0).length ?? 0;
    };
    expect(await usable()).toBe(6);
    expect(await usable(String(run?.['version']))).toBe(0);
  });

  it('a doubt is settled from the session on that revises the bar', async () => {
    provider.set('SL', S1, [Number.NaN, 1, 1, 1, 1]);
    provider.set('SM', S1, [20, 20.2, 19.8, 20, 0]);
    await night(S1);
    await night(S2);
    const flag = () => house.sql`
      select kind, resolved_session from market.bar_flags where symbol = 'SM' and kind = 'zeroVolume'`;
    expect(await flag()).toEqual([{ kind: 'zeroVolume', resolvedSession: null }]);
    provider.set('SM', S1, bar(20));
    await night(S3);
    expect(await flag()).toEqual([{ kind: 'zeroVolume', resolvedSession: S3 }]);
  });
});

describe('attempts', () => {
  it('one that was superseded stores nothing', async () => {
    const step = await batchOf(S2);
    await beginAttempt(house.db('pipeline').sql, { ...step.fence, runId: uniqueName('newer'), attempt: 2 });
    for (const act of [
      () => house.activities.planIngestion(step),
      () => house.activities.ingestBatch(step),
      () => house.activities.finishIngestion(step),
    ]) {
      await expect(runAs<unknown>(act)).rejects.toMatchObject({
        type: 'SupersededAttempt',
        nonRetryable: true,
      });
    }
    const [stored] = await house.sql`select count(*) from market.bars`;
    expect(stored).toEqual({ count: 0 });
  });

  it('one that is superseded while it waits for the provider stores nothing either', async () => {
    const step = await batchOf(S2);
    provider.beforeBars = async () => {
      await beginAttempt(house.db('pipeline').sql, { ...step.fence, runId: uniqueName('newer'), attempt: 2 });
    };
    await expect(runAs(() => house.activities.ingestBatch(step))).rejects.toMatchObject({
      type: 'SupersededAttempt',
    });
    expect(await counts(step)).toEqual({ bars: 0, outcomes: 0, sources: 0 });
  });

  it('a cancelled one ends at once and stores nothing of its chunk', async () => {
    const step = await batchOf(S2);
    let asked: () => void = () => undefined;
    const cancelAfter = new Promise<void>((resolve) => {
      asked = resolve;
    });
    provider.beforeBars = async ({ signal }) => {
      asked();
      await new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    const run = runAs(() => house.activities.ingestBatch(step), { cancelAfter });
    await expect(run).rejects.toBeInstanceOf(CancelledFailure);
    expect(await counts(step)).toEqual({ bars: 0, outcomes: 0, sources: 0 });
  });

  it('a crash in the middle repeats only what was not stored', async () => {
    const many = Array.from(
      { length: 40 },
      (_, index) => `T${Math.trunc(index / 26)}${String.fromCharCode(65 + (index % 26))}`,
    );
    for (const symbol of many) for (const session of SESSIONS) provider.set(symbol, session, bar(30));
    const step = await batchOf(S2, many);
    provider.beforeBars = async ({ symbols }) => {
      if (symbols.length < 20) throw new TypeError('the process died here');
    };
    const crashed = runAs(() => house.activities.ingestBatch(step), {
      info: { attempt: 1, retryPolicy: { maximumAttempts: 2 } },
    });
    await expect(crashed).rejects.toThrow('8 symbols are to be asked again');
    expect(await counts(step)).toMatchObject({ bars: 32 * 3 });
    provider.beforeBars = async () => undefined;
    provider.requests.length = 0;
    const result = await runAs(() => house.activities.ingestBatch(step));
    expect(result).toMatchObject({ symbols: 40, failedSymbols: 0, rowsChanged: 120 });
    expect(provider.requests.map((request) => request.symbols.length)).toEqual([8]);
  });

  it('two attempts that store the same rows at once leave each row once', async () => {
    const [first, second] = await Promise.all([batchOf(S2), batchOf(S2)]);
    await Promise.all([first, second].map((step) => runAs(() => house.activities.ingestBatch(step))));
    const [stored] =
      await house.sql`select count(*), count(distinct (symbol, session_date)) as keys from market.bars`;
    expect(stored).toEqual({ count: 72, keys: 72 });
  });

  async function counts(step: TaskStep) {
    const [row] = await house.sql`
      select (select count(*) from market.bars) as bars, (select count(*) from market.bar_sources) as sources,
        (select count(*) from ops.symbol_outcomes where task_run_id = ${step.taskRunId}) as outcomes`;
    return row;
  }
});

async function lastRun(): Promise<string> {
  const [row] = await house.sql<{ taskRunId: string }[]>`
    select task_run_id from ops.task_runs order by created_at desc limit 1`;
  return row?.taskRunId ?? '';
}
