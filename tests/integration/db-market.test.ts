import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { insertBarSource, readBars } from '../../src/db/queries/bars.ts';
import { type BarRows, insertBars, replaceBars } from '../../src/db/queries/bars-write.ts';
import {
  readCorporateActions,
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
});

describe('reference data', () => {
  it('changes only where it differs', async () => {
    const actions = {
      splits: [{ symbol: 'AAPL', exDate: '2014-06-09', newShares: 7, oldShares: 1 }],
      dividends: [{ symbol: 'AAPL', exDate: '2013-05-09', cashAmount: 3.05, currency: 'USD' }],
    };
    const store = (given: typeof actions) =>
      db.sql.begin((tx) => storeCorporateActions(tx, { actions: given, provider: 'p' }));
    expect(await store(actions)).toBe(2);
    expect(await store(actions)).toBe(0);
    expect(
      await store({ ...actions, dividends: actions.dividends.map((one) => ({ ...one, cashAmount: 3 })) }),
    ).toBe(1);
    const known = await readCorporateActions(db.sql, { symbols: ['AAPL'], throughSession: '2014-06-06' });
    expect(known.get('AAPL')).toEqual({
      splits: [],
      dividends: [{ ...actions.dividends[0], cashAmount: 3 }],
    });
    const record = {
      symbol: 'AAPL',
      kind: 'annual',
      periodEnd: '2013-09-28',
      availableAt: '2013-12-27',
      currency: 'USD',
      metrics: { revenue: 170_910_000_000, none: null },
    } as const;
    const keep = (metrics: Record<string, number | null>) =>
      db.sql.begin((tx) => storeFundamentals(tx, { records: [{ ...record, metrics }], provider: 'p' }));
    expect(await keep(record.metrics)).toBe(1);
    expect(await keep({ none: null, revenue: 170_910_000_000 })).toBe(0);
    expect(await keep({ revenue: 1 })).toBe(1);
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
