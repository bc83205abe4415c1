import { afterEach, describe, expect, it } from 'vitest';
import { MaturedMarket as Market } from './matured-market.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

let market: Market | null = null;
afterEach(async () => {
  await market?.close();
  market = null;
});

describe('outcomes of bars that become doubtful after their own session', () => {
  const [DECIDED, TRADED, KNOWN] = ['2017-07-31', '2017-08-01', '2017-08-02'] as const;

  async function matured(nights: readonly ('ingest' | 'mature')[][], sessions: readonly string[][]) {
    market = await Market.open({ universe: 'sample', settings: { historySessions: 60 } });
    await market.ingest(DECIDED);
    await market.predict(DECIDED);
    for (const [index, acts] of nights.entries()) {
      for (const [at, act] of acts.entries()) await market[act](sessions[index]?.[at] ?? '');
    }
    return market;
  }

  it('stay what the night of the exit knew and are made again from the night that doubts them', async () => {
    const nights = await matured([['ingest', 'mature', 'ingest']], [[TRADED, TRADED, KNOWN]]);
    const first = await nights.rows();
    expect(new Set(first.map(({ available, invalidFrom }) => `${available} ${invalidFrom}`))).toEqual(
      new Set([`${TRADED} null`]),
    );
    await nights.mature(KNOWN);
    const [doubted] = await nights.house.sql<{ symbols: string[] }[]>`
      select array_agg(distinct symbol order by symbol) as symbols from market.bar_flags
      where session_date = ${TRADED} and severity = 'doubtful' and available_session = ${KNOWN}`;
    expect(doubted?.symbols.length).toBeGreaterThan(0);
    const rows = await nights.rows();
    const before = rows.filter(({ available }) => available === TRADED);
    expect(before.map(({ invalidFrom: _from, invalidReason: _why, ...row }) => row)).toEqual(
      first.map(({ invalidFrom: _from, invalidReason: _why, ...row }) => row),
    );
    expect(before.every(({ invalidFrom }) => invalidFrom === KNOWN)).toBe(true);
    const since = rows.filter(({ available }) => available === KNOWN);
    expect(since).toHaveLength(first.length);
    expect(since.filter(({ missing }) => missing?.endsWith('Flagged')).map(({ symbol }) => symbol)).toEqual(
      doubted?.symbols,
    );
    for (const symbol of doubted?.symbols ?? []) {
      expect(before.find((row) => row.symbol === symbol)).toMatchObject({ missing: null });
    }
    const print = await nights.print();
    for (const session of [TRADED, KNOWN, TRADED]) await nights.mature(session);
    expect(await nights.print()).toEqual(print);
  });

  it('are the same rows whichever night runs first', async () => {
    const inOrder = await matured(
      [['ingest', 'mature', 'ingest', 'mature']],
      [[TRADED, TRADED, KNOWN, KNOWN]],
    );
    const expected = await inOrder.rows();
    await inOrder.close();
    const late = await matured([['ingest', 'mature', 'mature']], [[KNOWN, KNOWN, TRADED]]);
    expect(await late.rows()).toEqual(expected);
    await late.close();
    const caughtUp = await matured(
      [['ingest', 'ingest', 'mature', 'mature']],
      [[TRADED, KNOWN, TRADED, KNOWN]],
    );
    expect(await caughtUp.rows()).toEqual(expected);
  });
});

describe('outcomes of bars that come late', () => {
  const SESSIONS = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01', '2018-02-02'] as const;
  const [S1, S2, S3, S4, S5] = SESSIONS;
  const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
  let provider: ScriptedProvider;

  async function open(overlapSessions = 5): Promise<Market> {
    provider = new ScriptedProvider('first');
    for (const [index, symbol] of SYMBOLS.entries()) {
      for (const [day, session] of SESSIONS.entries()) {
        provider.set(symbol, session, bar(20 + index + day * 0.1));
      }
    }
    const settings = { historySessions: 4, ingestion: { overlapSessions } };
    market = await Market.open({ universe: 'live', symbols: SYMBOLS, settings }, [provider]);
    await market.ingest(S1);
    await market.predict(S1);
    return market;
  }

  it('count from the night that could know them, for all whose median they move', async () => {
    const nights = await open();
    provider.set('SC', S2, null);
    await nights.ingest(S2);
    expect(await nights.mature(S2)).toEqual({ matured: 23, pending: 1 });
    await nights.ingest(S3);
    provider.set('SC', S2, bar(22.15));
    await nights.ingest(S4);
    expect(await nights.mature(S4)).toEqual({ matured: 24, pending: 0 });
    expect(await nights.rows({ symbol: 'SC' })).toMatchObject([{ available: S4, invalidFrom: null }]);
    expect(await nights.rows({ symbol: 'SA' })).toMatchObject([
      { available: S2, invalidFrom: S4 },
      { available: S4, invalidFrom: null },
    ]);
    expect(await nights.outcomesAt(S3)).toMatchObject({ matured: 23, pending: 1 });
  });

  it('count from there too where no night asked before', async () => {
    const nights = await open();
    provider.set('SC', S2, null);
    await nights.ingest(S2);
    await nights.ingest(S3);
    provider.set('SC', S2, bar(22.15));
    await nights.ingest(S4);
    await nights.mature(S4);
    await nights.mature(S2);
    expect(await nights.rows({ symbol: 'SC' })).toMatchObject([{ available: S4, invalidFrom: null }]);
    expect(await nights.rows({ symbol: 'SA' })).toMatchObject([
      { available: S2, invalidFrom: S4 },
      { available: S4, invalidFrom: null },
    ]);
  });

  it('members without a bar so far do not count as uncovered, others do', async () => {
    const nights = await open();
    for (const symbol of SYMBOLS.slice(12)) provider.set(symbol, S1, null);
    await nights.close();
    market = await Market.open({ universe: 'live', symbols: SYMBOLS, settings: { historySessions: 4 } }, [
      provider,
    ]);
    for (const symbol of SYMBOLS.slice(12)) provider.set(symbol, S2, null);
    await market.ingest(S1);
    await market.predict(S1);
    await market.ingest(S2);
    await market.predict(S2);
    await market.mature(S2);
    expect((await market.rows({ symbol: 'SA' }))[0]?.excess).not.toBeNull();
    for (const symbol of SYMBOLS.slice(6, 12)) provider.set(symbol, S3, null);
    for (const symbol of SYMBOLS.slice(12)) provider.set(symbol, S3, null);
    await market.ingest(S3);
    await market.mature(S3);
    expect((await market.rows({ symbol: 'SA', session: S2 }))[0]?.excess).toBeNull();
  });

  it('settle quarantine the same way', async () => {
    const nights = await open();
    provider.set('SC', S2, [22.15, 20, 23, 22.2, 1000]);
    await nights.ingest(S2);
    expect(await nights.mature(S2)).toEqual({ matured: 23, pending: 1 });
    provider.set('SC', S2, bar(22.15));
    await nights.ingest(S3);
    expect(await nights.mature(S3)).toEqual({ matured: 24, pending: 0 });
    expect(await nights.rows({ symbol: 'SC' })).toMatchObject([{ available: S3, missing: null }]);
  });

  it('without one, there is none from the night on that ends the waiting', async () => {
    const nights = await open(2);
    provider.set('SC', S2, null);
    for (const session of [S2, S3, S4, S5]) await nights.ingest(session);
    await nights.mature(S5);
    expect(await nights.rows({ symbol: 'SC' })).toMatchObject([{ available: S4, missing: 'entryMissing' }]);
    expect(await nights.outcomesAt(S3)).toMatchObject({ withoutOutcome: 0, pending: 1 });
    expect(await nights.outcomesAt(S4)).toMatchObject({ withoutOutcome: 1, pending: 0 });
  });
});

describe('two nights that mature the same predictions at the same instant', () => {
  const SESSIONS = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01'] as const;
  const [S1, S2, S3, S4] = SESSIONS;
  const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
  const LATE = 'SC';

  /** A market whose predictions of S1 have other outcomes for the night of S2 than for that of S4. */
  async function open(): Promise<Market> {
    const provider = new ScriptedProvider('first');
    for (const [index, symbol] of SYMBOLS.entries()) {
      for (const [day, session] of SESSIONS.entries()) {
        provider.set(symbol, session, bar(20 + index + day * 0.1));
      }
    }
    const settings = { historySessions: 4 };
    market = await Market.open({ universe: 'live', symbols: SYMBOLS, settings }, [provider]);
    await market.ingest(S1);
    await market.predict(S1);
    provider.set(LATE, S2, null);
    for (const session of [S2, S3]) await market.ingest(session);
    provider.set(LATE, S2, bar(22.15));
    await market.ingest(S4);
    return market;
  }

  /** Lets the nights begin while nobody can write outcomes, until all of them have worked theirs out. */
  async function atOnce(nights: Market, sessions: readonly string[]) {
    const { sql } = nights.house;
    const connection = await sql.reserve();
    await connection`begin`;
    await connection`lock table turbomode.matured_predictions in share row exclusive mode`;
    const running = sessions.map((session) => nights.mature(session));
    try {
      await expect.poll(() => waiting(nights), { timeout: 30_000, interval: 20 }).toBe(sessions.length);
    } finally {
      await connection`commit`;
      connection.release();
    }
    return await Promise.all(running);
  }

  async function waiting(nights: Market): Promise<number> {
    const [row] = await nights.house.db('api').sql<{ waiting: number }[]>`
      select count(distinct l.pid) as waiting from pg_locks l join pg_stat_activity a using (pid)
      where not l.granted and a.datname = current_database()`;
    return row?.waiting ?? 0;
  }

  it('each keep theirs, as if they had come one after the other', async () => {
    const inTurn = await open();
    const expected = [await inTurn.mature(S2), await inTurn.mature(S4)];
    const rows = await inTurn.rows();
    await inTurn.close();
    const nights = await open();
    expect(await atOnce(nights, [S2, S4])).toEqual(expected);
    expect(await nights.rows()).toEqual(rows);
    expect(await nights.rows({ symbol: 'SA' })).toMatchObject([
      { available: S2, invalidFrom: S4 },
      { available: S4, invalidFrom: null },
    ]);
    expect(await nights.outcomesAt(S2)).toMatchObject({ matured: 23, pending: 1 });
    expect(await nights.outcomesAt(S4)).toMatchObject({ matured: 24, pending: 0 });
  });

  it('twice the same night leaves each outcome once', async () => {
    const nights = await open();
    expect(await atOnce(nights, [S4, S4])).toEqual([
      { matured: 24, pending: 0 },
      { matured: 24, pending: 0 },
    ]);
    expect(await nights.rows({ symbol: LATE })).toHaveLength(1);
    const versions = await nights.house.sql`
      select symbol from turbomode.matured_predictions group by symbol having max(outcome_version) > 1`;
    expect(versions).toHaveLength(0);
  });
});
