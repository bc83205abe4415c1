import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { countOutcomes } from '../../src/db/queries/backtests.ts';
import {
  insertPredictions,
  PROBABILITY_NAMES,
  type PredictionRow,
} from '../../src/db/queries/predictions.ts';
import type { MarketDataProvider } from '../../src/providers/port.ts';
import { IngestionHouse, type NightOptions, runAs } from './ingestion-house.ts';

function allSay(probability: number): PredictionRow['probabilities'] {
  const entries = PROBABILITY_NAMES.map((name) => [name, probability] as const);
  return Object.fromEntries(entries) as PredictionRow['probabilities'];
}

/** Nights of one universe whose predictions are there and whose outcomes are asked for. */
export class MaturedMarket {
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
  ): Promise<MaturedMarket> {
    const folder = await mkdtemp(join(tmpdir(), 'nightshift-matured-'));
    return new MaturedMarket(await IngestionHouse.open(providers), options, folder);
  }

  async close(): Promise<void> {
    await this.house.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async ingest(sessionDate: string): Promise<void> {
    this.house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
    await this.house.night({ ...this.#options, sessionDate });
  }

  async begin(sessionDate: string): Promise<TaskStep> {
    return await this.house.begin({ ...this.#options, sessionDate });
  }

  /** Predictions of one model version for all members; by default all say one half, before their entry. */
  async predict(
    sessionDate: string,
    options: { simulated?: boolean; probability?: (symbol: string) => number } = {},
  ): Promise<void> {
    const { simulated = false, probability = () => 0.5 } = options;
    const step = await this.begin(sessionDate);
    const { universe, universeVersion, taskRunId } = step;
    const [list] = await this.house.sql<{ members: string[] }[]>`
      select members from market.universes where universe = ${universe} and version = ${universeVersion}`;
    const set = { sessionDate, universe, universeVersion, modelVersion: 'v1', datasetHash: 'd' };
    const kind = { featureSetVersion: 'f', labelKind: 'excess', horizonSessions: 1, simulated };
    const rows = (list?.members ?? []).map((symbol) => ({
      symbol,
      probabilities: allSay(probability(symbol)),
      metaLogit: 0,
      baseRate: 0.5,
    }));
    if (rows.length === 0) throw new Error(`${universe} ${universeVersion} has no members`);
    await this.house
      .db('pipeline')
      .sql.begin((tx) =>
        insertPredictions(tx, { header: { ...set, ...kind, taskRunId }, revision: 1, rows }),
      );
  }

  async mature(sessionDate: string): Promise<{ matured: number; pending: number }> {
    const step = await this.begin(sessionDate);
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
