import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { readIssuedTrack } from '../../src/db/queries/backtests.ts';
import {
  insertPredictions,
  PROBABILITY_NAMES,
  type PredictionRow,
} from '../../src/db/queries/predictions.ts';
import type { Role } from '../../src/db/roles.ts';
import { IngestionHouse, type LeftHouse, runAs } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

export const SESSIONS = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01', '2018-02-02'] as const;
export const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
export const WHO = { by: 'Ann', why: 'checked by phone' };
const universe = 'live';

export let house: IngestionHouse;
export let provider: ScriptedProvider;
let folder: string;
let artifacts: ArtifactStore;

/** A house with a source of its own: empty, or with what another one had stored when it was left. */
export async function open(
  options: { from?: LeftHouse; settings?: Record<string, unknown> } = {},
): Promise<void> {
  settings = options.settings ?? { historySessions: 4 };
  provider = new ScriptedProvider('first');
  house = await IngestionHouse.open([provider], options.from === undefined ? {} : { from: options.from });
  for (const [index, symbol] of SYMBOLS.entries()) {
    for (const [day, session] of SESSIONS.entries()) {
      provider.set(symbol, session, bar(20 + index + day * 0.1));
    }
  }
}

/** The artifact folder of a file's tests; each test opens its house, which is closed after it. */
export function useOutcomeNights(): void {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-revisions-'));
    artifacts = createArtifactStore(pathToFileURL(folder).href);
  });
  afterEach(() => house.close());
  afterAll(() => rm(folder, { recursive: true, force: true }));
}

/** The clock at the nominal instant of a session's night. */
export function at(sessionDate: string): void {
  house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
}

let settings: Record<string, unknown>;
export function options(sessionDate: string) {
  return { universe, sessionDate, symbols: SYMBOLS, settings };
}

export async function ingest(sessionDate: string): Promise<void> {
  at(sessionDate);
  await house.night(options(sessionDate));
}

/** Predictions of all members for the session after, as a scan leaves them. */
export async function predict(
  sessionDate: string,
  { modelVersion = 'v1', horizonSessions = 1 }: { modelVersion?: string; horizonSessions?: number } = {},
): Promise<void> {
  const { taskRunId, universeVersion } = await house.begin(options(sessionDate));
  const header = {
    sessionDate,
    universe,
    universeVersion,
    modelVersion,
    datasetHash: 'd',
    featureSetVersion: 'f',
    labelKind: 'excess',
    horizonSessions,
    simulated: false,
    taskRunId,
  };
  const rows = SYMBOLS.map(
    (symbol, index): PredictionRow => ({
      symbol,
      probabilities: Object.fromEntries(PROBABILITY_NAMES.map((name) => [name, 0.4 + index / 100])) as never,
      metaLogit: 0,
      baseRate: 0.5,
    }),
  );
  await house.db('pipeline').sql.begin((tx) => insertPredictions(tx, { header, revision: 1, rows }));
}

export async function mature(
  sessionDate: string,
  role: Role = 'pipeline',
): Promise<{ matured: number; pending: number; step: TaskStep }> {
  const step = await house.begin(options(sessionDate));
  const backtests = createBacktestActivities({ db: house.db(role), artifacts, clock: () => house.now });
  return { ...(await runAs(() => backtests.maturePredictions(step))), step };
}

export const track = async (throughSession: string) =>
  await readIssuedTrack(house.db('pipeline').sql, {
    universe,
    throughSession,
    labelKind: 'excess',
    horizonSessions: 1,
  });
export const returnOf = async (throughSession: string, symbol: string): Promise<number | null | undefined> =>
  (await track(throughSession)).find((row) => row.symbol === symbol)?.forwardReturn;

/** Outcome rows by version with their marks. */
export async function versions() {
  return await house.sql`
    select outcome_version as version, available_session as available, invalid_from, count(*) as rows,
      count(missing_reason) as missing, min(exit_session) as exit
    from turbomode.matured_predictions group by 1, 2, 3 order by 1, 2, 3`;
}

/** Row versions: a row that was written again, even equal, makes another print. */
export async function print(): Promise<unknown> {
  return await house.sql`
    select (select coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') from turbomode.matured_predictions t) as outcomes,
      (select coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') from ops.events t) as events`;
}
