import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import { countOutcomes } from '../../src/db/queries/backtests.ts';
import { insertPredictions, PROBABILITY_NAMES } from '../../src/db/queries/predictions.ts';
import type { MarketDataProvider } from '../../src/providers/port.ts';
import { IngestionHouse, type NightOptions, runAs } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

let market: Market | null = null;
afterEach(async () => {
  await market?.close();
  market = null;
});

/** Nights of one universe whose predictions are there and whose outcomes are asked for. */
class Market {
  readonly house: IngestionHouse;
  readonly #options: Omit<NightOptions, 'sessionDate'>;
  readonly #folder: string;
  readonly #artifacts: ArtifactStore;

  private constructor(house: IngestionHouse, options: Omit<NightOptions, 'sessionDate'>, folder: string) {
    this.house = house;
    this.#options = options;
    this.#folder = folder;
    this.#artifacts = createArtifactStore(pathToFileURL(folder).href);
  }

  static async open(
    options: Omit<NightOptions, 'sessionDate'>,
    providers?: readonly MarketDataProvider[],
  ): Promise<Market> {
    const folder = await mkdtemp(join(tmpdir(), 'nightshift-matured-'));
    return new Market(await IngestionHouse.open(providers), options, folder);
  }

  async close(): Promise<void> {
    await this.house.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async ingest(sessionDate: string): Promise<void> {
    this.house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
    await this.house.night({ ...this.#options, sessionDate });
  }

  async predict(sessionDate: string): Promise<void> {
    const step = await this.house.begin({ ...this.#options, sessionDate });
    const { universe, universeVersion, taskRunId } = step;
    const [list] = await this.house.sql<{ members: string[] }[]>`
      select members from market.universes where universe = ${universe} and version = ${universeVersion}`;
    const set = { sessionDate, universe, universeVersion, modelVersion: 'v1', datasetHash: 'd' };
    const kind = { featureSetVersion: 'f', labelKind: 'excess', horizonSessions: 1, simulated: false };
    const probabilities = Object.fromEntries(PROBABILITY_NAMES.map((name) => [name, 0.5])) as never;
    const rows = (list?.members ?? []).map((symbol) => ({
      symbol,
      probabilities,
      metaLogit: 0,
      baseRate: 0.5,
    }));
    expect(rows.length).toBeGreaterThan(0);
    await this.house
      .db('pipeline')
      .sql.begin((tx) =>
        insertPredictions(tx, { header: { ...set, ...kind, taskRunId }, revision: 1, rows }),
      );
  }

  async mature(sessionDate: string): Promise<{ matured: number; pending: number }> {
    const step = await this.house.begin({ ...this.#options, sessionDate });
    const db = this.house.db('pipeline');
    const deps = { db, artifacts: this.#artifacts, clock: () => this.house.now };
    return await runAs(() => createBacktestActivities(deps).maturePredictions(step));
  }

  async outcomesAt(throughSession: string) {
    const { universe } = this.#options;
    return await countOutcomes(this.house.db('pipeline').sql, { universe, throughSession });
  }

  /** What is stored, without who wrote it and when. */
  async rows(where: { symbol?: string; session?: string } = {}) {
    return await this.house.sql<
      {
        symbol: string;
        session: string;
        available: string;
        invalidFrom: string | null;
        invalidReason: string | null;
        price: number | null;
        excess: number | null;
        missing: string | null;
      }[]
    >`
      select symbol, session_date as session, available_session as available, invalid_from, invalid_reason,
        exit_price as price, excess_return as excess, missing_reason as missing
      from turbomode.matured_predictions
      where symbol = coalesce(${where.symbol ?? null}, symbol)
        and session_date = coalesce(${where.session ?? null}::date, session_date)
      order by session_date, symbol, available_session, invalid_from`;
  }

  async print(): Promise<unknown> {
    return await this.house.sql`
      select coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') as outcomes
      from turbomode.matured_predictions t`;
  }
}

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
