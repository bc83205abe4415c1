import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { insertBarSource, readBars } from '../../src/db/queries/bars.ts';
import { readFreshness, readRecentCoverage } from '../../src/db/queries/dashboard-data.ts';
import { type BarRows, insertBars, replaceBars } from '../../src/db/queries/bars-write.ts';
import {
  readCorporateActions,
  readFundamentals,
  storeCorporateActions,
  storeFundamentals,
} from '../../src/db/queries/reference.ts';
import {
  nightCutoff,
  readCalendarOverrides,
  readSessions,
  saveSessionOverride,
  storeSessions,
} from '../../src/db/queries/sessions.ts';
import type { Knowledge } from '../../src/db/queries/versioned.ts';
import { findUniverse, storeUniverse } from '../../src/db/queries/universes.ts';
import { createCalendar } from '../../src/domain/calendar.ts';
import { epochDayOf } from '../../src/domain/bars.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDatabase(database.urls.ingest, { max: 3 });
  await db.sql.begin(async (tx) =>
    storeSessions(tx, await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE))),
  );
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

describe('the calendar', () => {
  it('is stored as the file has it, and a second load changes nothing', async () => {
    const file = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
    expect(await readSessions(db.sql)).toEqual(file);
    expect(await db.sql.begin((tx) => storeSessions(tx, file))).toBe(0);
    const moved = file.map((one) =>
      one.sessionDate === '2012-11-01' ? { ...one, closeMs: one.closeMs - 60_000 } : one,
    );
    expect(await db.sql.begin((tx) => storeSessions(tx, moved))).toBe(1);
    expect(await db.sql.begin((tx) => storeSessions(tx, file))).toBe(1);
  });

  it('ends a night at the open of the next session, over weekends, half days and the change of clocks', async () => {
    expect(await nightCutoff(db.sql, '2018-02-07')).toBe('2018-02-08T14:30:00.000Z');
    expect(await nightCutoff(db.sql, '2027-03-12')).toBe('2027-03-15T13:30:00.000Z');
    expect(await nightCutoff(db.sql, '2026-12-24')).toBe('2026-12-28T14:30:00.000Z');
    await expect(nightCutoff(db.sql, '2099-01-01')).rejects.toThrow('no session after 2099-01-01');
  });

  it('obeys overrides: a closure moves the end of the night, hours move its open', async () => {
    const decided = { reason: 'a hurricane', decidedBy: 'ann' };
    const none = { openAt: null, closeAt: null };
    await saveSessionOverride(db.sql, { sessionDate: '2027-06-01', kind: 'closed', ...none, ...decided });
    await saveSessionOverride(db.sql, {
      sessionDate: '2027-06-02',
      kind: 'hours',
      openAt: '2027-06-02T15:00:00Z',
      closeAt: '2027-06-02T20:00:00Z',
      ...decided,
    });
    await saveSessionOverride(db.sql, {
      sessionDate: '2027-06-03',
      kind: 'early_close',
      openAt: null,
      closeAt: '2027-06-03T17:00:00Z',
      ...decided,
    });
    expect(await nightCutoff(db.sql, '2027-05-28')).toBe('2027-06-02T15:00:00.000Z');
    const calendar = createCalendar({
      exchange: 'XNYS',
      timeZone: 'America/New_York',
      sessions: await readSessions(db.sql),
      overrides: await readCalendarOverrides(db.sql),
    });
    expect(calendar.isSession('2027-06-01')).toBe(false);
    expect(calendar.sessionOf('2027-06-02')).toMatchObject({ openMs: Date.parse('2027-06-02T15:00:00Z') });
    expect(calendar.sessionOf('2027-06-03')).toMatchObject({
      openMs: Date.parse('2027-06-03T13:30:00Z'),
      closeMs: Date.parse('2027-06-03T17:00:00Z'),
      earlyClose: true,
    });
    await expect(
      saveSessionOverride(db.sql, { sessionDate: '2027-06-04', kind: 'early_close', ...none, ...decided }),
    ).rejects.toMatchObject({ code: '23514' });
  });
});

describe('bars', () => {
  const rowsOf = (
    sourceId: number,
    closes: readonly (readonly [string, number])[],
    availableAt: string,
  ): BarRows => {
    const close = Float64Array.from(closes, ([, value]) => value);
    const rows = closes.length;
    return {
      rows,
      symbols: ['ZZZ'],
      codes: new Int32Array(rows),
      epochDays: Int32Array.from(closes, ([date]) => epochDayOf(date)),
      open: close,
      high: close,
      low: close,
      close,
      volume: new Float64Array(rows).fill(1),
      availableAtMs: new Float64Array(rows).fill(Date.parse(availableAt)),
      states: new Int32Array(rows).fill(1),
      sourceId,
    };
  };
  const source = {
    provider: 'p',
    dataset: 'd',
    basis: { splits: 'asTraded', dividends: 'asTraded', asOf: null },
    fetchedAt: '2018-01-01T00:00:00Z',
    nightSession: '2018-02-07',
    taskRunId: 't',
  } as const;
  const closesAt = async (cutoff: string): Promise<number[]> => {
    const { symbols } = await readBars(db.sql, { symbols: ['ZZZ'], throughSession: '2018-02-07', cutoff });
    return [...(symbols.get('ZZZ')?.bars.close ?? [])];
  };

  it('come as each instant knew them, also through several revisions and a filled hole', async () => {
    await db.sql.begin(async (tx) => {
      const sourceId = await insertBarSource(tx, source);
      await insertBars(
        tx,
        rowsOf(
          sourceId,
          [
            ['2018-02-01', 1],
            ['2018-02-05', 3],
          ],
          '2018-02-05T22:00:00Z',
        ),
      );
    });
    const revise = (close: number, availableAt: string, expected: number) =>
      db.sql.begin(async (tx) => {
        const sourceId = await insertBarSource(tx, source);
        return await replaceBars(tx, {
          bars: rowsOf(sourceId, [['2018-02-01', close]], availableAt),
          expectedRevisions: Int32Array.of(expected),
          sessionDate: '2018-02-06',
          taskRunId: 't',
        });
      });
    expect(await revise(10, '2018-02-06T22:00:00Z', 0)).toEqual({ revised: 1, finalized: 0 });
    expect(await revise(10, '2018-02-06T23:00:00Z', 1)).toEqual({ revised: 0, finalized: 0 });
    expect(await revise(11, '2018-02-07T22:00:00Z', 0)).toEqual({ revised: 0, finalized: 0 });
    expect(await revise(20, '2018-02-07T22:00:00Z', 1)).toEqual({ revised: 1, finalized: 0 });
    await db.sql.begin(async (tx) => {
      const sourceId = await insertBarSource(tx, source);
      const late = rowsOf(
        sourceId,
        [
          ['2018-02-02', 2],
          ['2018-02-05', 99],
        ],
        '2018-02-07T12:00:00Z',
      );
      expect(await insertBars(tx, late)).toBe(1);
    });
    expect(await closesAt('2018-02-06T14:30:00Z')).toEqual([1, 3]);
    expect(await closesAt('2018-02-07T11:00:00Z')).toEqual([10, 3]);
    expect(await closesAt('2018-02-07T14:30:00Z')).toEqual([10, 2, 3]);
    expect(await closesAt('2018-02-08T14:30:00Z')).toEqual([20, 2, 3]);
  });

  it('are told by symbol, the oldest first, and by session, the newest first', async () => {
    const universe = { universe: 'fresh', version: 'v', asOf: '2013-02-08', survivorship: 'biased' } as const;
    await storeUniverse(db.sql, { ...universe, members: ['ZZZ', 'NONE', 'OLD'] });
    await db.sql.begin(async (tx) => {
      const old = rowsOf(await insertBarSource(tx, source), [['2018-02-01', 1]], '2018-02-01T22:00:00Z');
      await insertBars(tx, { ...old, symbols: ['OLD'] });
    });
    const rows = await readFreshness(db.sql, { universe: 'fresh', through: null });
    expect(rows.map(({ symbol, firstBar, lastBar, behind }) => [symbol, firstBar, lastBar, behind])).toEqual([
      ['NONE', null, null, 0],
      ['OLD', '2018-02-01', '2018-02-01', 2],
      ['ZZZ', '2018-02-01', '2018-02-05', 0],
    ]);
    const due = await readFreshness(db.sql, { universe: 'fresh', through: '2018-02-07' });
    expect(due.map(({ behind }) => behind)).toEqual([0, 4, 2]);
    const days = await readRecentCoverage(db.sql, { symbols: ['ZZZ', 'NONE', 'OLD'], sessions: 3 });
    expect(days.map(({ sessionDate, bars }) => [sessionDate, bars])).toEqual([
      ['2018-02-05', 1],
      ['2018-02-02', 1],
      ['2018-02-01', 2],
    ]);
    expect(await readRecentCoverage(db.sql, { symbols: ['NONE'], sessions: 3 })).toEqual([]);
  });
});

describe('reference data', () => {
  const context = { knownAt: '2018-02-06T03:45:00.000Z', taskRunId: 't' };
  const known = <Fact>(fact: Fact, change: Partial<Knowledge> & { available_on: string }) => ({
    fact,
    provider: 'p',
    knowledge: { late: false, changed_on: '2018-02-05', revise: true, ...change },
  });
  const split = (newShares: number, confirmedBy: string[] = []) => ({
    symbol: 'AAPL',
    exDate: '2014-06-09',
    newShares,
    oldShares: 1,
    asked: [],
    confirmedBy,
  });
  const dividend = { symbol: 'AAPL', exDate: '2013-05-09', cashAmount: 3.05, currency: 'USD' };
  const store = (
    given: { newShares?: number; cashAmount?: number; confirmedBy?: string[] },
    change: Partial<Knowledge> = {},
  ) =>
    db.sql.begin((tx) =>
      storeCorporateActions(tx, {
        ...context,
        splits: [
          known(split(given.newShares ?? 7, given.confirmedBy), { available_on: '2014-06-09', ...change }),
        ],
        dividends: [
          known(
            { ...dividend, cashAmount: given.cashAmount ?? 3.05 },
            { available_on: '2013-05-09', ...change },
          ),
        ],
      }),
    );
  const asOf = async (throughSession: string) => {
    const actions = await readCorporateActions(db.sql, { symbols: ['AAPL'], throughSession });
    const { splits = [], dividends = [] } = actions.get('AAPL') ?? {};
    return [splits.map((one) => one.newShares), dividends.map((one) => one.cashAmount)];
  };

  it('of actions changes only where it differs, and keeps what each night knew', async () => {
    expect(await store({})).toEqual({ added: 2, revised: 0 });
    expect(await store({})).toEqual({ added: 0, revised: 0 });
    // A replayed night leaves what later ones have seen.
    expect(await store({ newShares: 70, cashAmount: 30 }, { revise: false })).toEqual({
      added: 0,
      revised: 0,
    });
    expect(await store({ cashAmount: 3 })).toEqual({ added: 0, revised: 1 });
    expect(await store({ newShares: 8, cashAmount: 3 }, { changed_on: '2018-02-06' })).toEqual({
      added: 0,
      revised: 1,
    });
    expect(
      await store({ newShares: 8, cashAmount: 3, confirmedBy: ['q'] }, { changed_on: '2018-02-07' }),
    ).toEqual({ added: 0, revised: 1 });
    expect(await asOf('2014-06-06')).toEqual([[], [3.05]]);
    expect(await asOf('2018-02-02')).toEqual([[7], [3.05]]);
    expect(await asOf('2018-02-05')).toEqual([[7], [3]]);
    expect(await asOf('2018-02-06')).toEqual([[8], [3]]);
    expect(await asOf('2018-02-07')).toEqual([[8], [3]]);
    const kept = await db.sql`
      select revision, new_shares, available_on, superseded_on from market.split_revisions order by revision`;
    expect(kept).toEqual([
      { revision: 0, newShares: 7, availableOn: '2014-06-09', supersededOn: '2018-02-06' },
      { revision: 1, newShares: 8, availableOn: '2018-02-06', supersededOn: '2018-02-07' },
    ]);
    const events = await db.sql`
      select kind, subject, session_date, details from ops.events where kind in ('split.revised', 'dividend.revised')
      order by event_id`;
    expect(events).toEqual([
      {
        kind: 'dividend.revised',
        subject: 'AAPL',
        sessionDate: '2013-05-09',
        details: {
          availableAt: context.knownAt,
          before: { amount: 3.05, currency: 'USD' },
          after: { amount: 3, currency: 'USD' },
        },
      },
      expect.objectContaining({
        kind: 'split.revised',
        details: {
          availableAt: context.knownAt,
          before: { new_shares: 7, old_shares: 1, asked: [], confirmed_by: [] },
          after: { new_shares: 8, old_shares: 1, asked: [], confirmed_by: [] },
        },
      }),
      expect.objectContaining({ kind: 'split.revised' }),
    ]);
  });

  it('of a split between the night and a later basis comes with the units only', async () => {
    const read = async (unitsThrough?: string) => {
      const found = await readCorporateActions(db.sql, {
        symbols: ['AAPL'],
        throughSession: '2014-06-06',
        ...(unitsThrough !== undefined && { unitsThrough }),
      });
      return found.get('AAPL')?.splits.length ?? 0;
    };
    expect(await read()).toBe(0);
    expect(await read('2014-06-06')).toBe(0);
    expect(await read('2018-02-07')).toBe(1);
  });

  it('that came late leaves an event, one that is as old as its date does not', async () => {
    const late = known({ ...split(2), symbol: 'LATE' }, { available_on: '2018-02-05', late: true });
    const natural = known({ ...split(2), symbol: 'NEW' }, { available_on: '2014-06-09' });
    await db.sql.begin((tx) =>
      storeCorporateActions(tx, { ...context, splits: [late, natural], dividends: [] }),
    );
    const events = await db.sql`
      select subject, details -> 'before' as before from ops.events where subject in ('LATE', 'NEW')`;
    expect(events).toEqual([{ subject: 'LATE', before: null }]);
  });

  it('of statements keeps what each night knew', async () => {
    const record = {
      symbol: 'AAPL',
      kind: 'annual',
      periodEnd: '2013-09-28',
      availableAt: '2013-12-27',
      currency: 'USD',
      metrics: { revenue: 170_910_000_000, none: null },
    } as const;
    const keep = (metrics: Record<string, number | null>, change: Partial<Knowledge> = {}) =>
      db.sql.begin((tx) =>
        storeFundamentals(tx, {
          ...context,
          records: [known({ ...record, metrics }, { available_on: '2013-12-27', ...change })],
        }),
      );
    expect(await keep(record.metrics)).toEqual({ added: 1, revised: 0 });
    expect(await keep({ none: null, revenue: 170_910_000_000 })).toEqual({ added: 0, revised: 0 });
    expect(await keep({ revenue: 2 }, { revise: false })).toEqual({ added: 0, revised: 0 });
    expect(await keep({ revenue: 1 })).toEqual({ added: 0, revised: 1 });
    const asOf = async (throughSession: string) =>
      (await readFundamentals(db.sql, { symbols: ['AAPL'], throughSession })).map((one) => one.metrics);
    expect(await asOf('2013-12-26')).toEqual([]);
    expect(await asOf('2018-02-02')).toEqual([record.metrics]);
    expect(await asOf('2018-02-05')).toEqual([{ revenue: 1 }]);
    await expect(db.sql`update market.fundamental_revisions set currency = 'EUR'`).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('a universe version is stored once and never changes', async () => {
    const universe = {
      universe: 'u',
      version: 'v',
      members: ['A', 'B'],
      asOf: '2013-02-08',
      survivorship: 'biased',
    } as const;
    expect(await storeUniverse(db.sql, { ...universe, members: ['A', 'B'] })).toBe(true);
    expect(await storeUniverse(db.sql, { ...universe, members: ['C'] })).toBe(false);
    expect(await findUniverse(db.sql, universe)).toMatchObject(universe);
    expect(await findUniverse(db.sql, { universe: 'u', version: 'w' })).toBeNull();
  });
});
