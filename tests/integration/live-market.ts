import type { Info } from '@temporalio/activity';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import {
  type MarketPanel,
  readCalendar,
  readMarketPanel,
} from '../../src/activities/datasets/market-panel.ts';
import type { TaskResult, TaskStep } from '../../src/contracts/activities.ts';
import { effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { readBars } from '../../src/db/queries/bars.ts';
import { nightCutoff } from '../../src/db/queries/sessions.ts';
import { universeVersionOf } from '../../src/domain/universe.ts';
import { IngestionHouse, type LeftHouse, runAs } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

/** 2018: Thursday to the Wednesday after; 22:45 New York is 03:45Z the day after. */
export const SESSIONS = ['2018-01-25', '2018-01-26', '2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01'];
export const [, , S1, S2, S3, S4] = SESSIONS as [string, string, string, string, string, string];
export const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
export const UNIVERSE = 'live';

type DecisionInput = Parameters<IngestionHouse['decisions']['decideQuarantine']>[0];

export type LiveMarket = {
  house: IngestionHouse;
  provider: ScriptedProvider;
  fallback: ScriptedProvider;
  settings: { historySessions: number } & Record<string, unknown>;
  /** What batches of a night are told of their attempt. */
  info: Partial<Info>;
  /** Puts the clock on the nominal instant of a session's night, or another time of New York plus five hours. */
  at(session: string, time?: string): void;
  /** The whole task at the nominal instant of the session. */
  night(sessionDate: string): Promise<TaskResult>;
  /** Closes of a symbol as the night of a session sees them. */
  asOf(symbol: string, throughSession: string): Promise<number[]>;
  /** Closes of a symbol by session as a pipeline's night works with them: adjusted. */
  adjusted(symbol: string, sessionDate: string): Promise<Map<string, number>>;
  /** A person decides: Ann, and about a question that both sources raise, where nothing else is said. */
  decide(
    about: Pick<DecisionInput, 'symbol' | 'sessionDate' | 'subject' | 'decision' | 'why'> &
      Partial<DecisionInput>,
  ): ReturnType<IngestionHouse['decisions']['decideQuarantine']>;
  /** A task run that has begun and its only batch. */
  batchOf(
    sessionDate: string,
    symbols?: readonly string[],
  ): Promise<TaskStep & { batch: { index: number; symbols: string[] } }>;
};

/** What the pipeline's night of a session works with: bars, adjusted and judged as known then. */
export async function panelOf(
  house: IngestionHouse,
  input: {
    universe: string;
    sessionDate: string;
    symbols: readonly string[];
    settings: Record<string, unknown>;
  },
): Promise<MarketPanel> {
  const { universe, sessionDate, symbols, settings } = input;
  const { sql } = house.db('pipeline');
  const file = parseConfigFile({
    scheduled_tasks: [{ task_id: 1 }],
    nightshift: { universes: { [universe]: settings } },
  });
  const config = effectiveConfig(file, universe);
  const calendar = await readCalendar(sql, config);
  const universeVersion = universeVersionOf(symbols);
  return await readMarketPanel(sql, { sessionDate, universe, universeVersion, config, calendar });
}

/** For each test: two live sources, 24 symbols over six sessions in the first, a database of its own. */
export function useLiveMarket(): LiveMarket {
  let house: IngestionHouse | undefined;
  let empty: LeftHouse | undefined;
  const market: LiveMarket = {
    provider: new ScriptedProvider('first'),
    fallback: new ScriptedProvider('second'),
    settings: { historySessions: 3 },
    info: {},
    get house() {
      if (house === undefined) throw new Error('the house opens before each test');
      return house;
    },
    at: (session, time = '27:45') => {
      const [hours = 0, minutes = 0] = time.split(':').map(Number);
      market.house.now = new Date(Date.parse(`${session}T00:00:00Z`) + (hours * 60 + minutes) * 60_000);
    },
    night: async (sessionDate) => {
      market.at(sessionDate);
      const { settings, info } = market;
      return await market.house.night({ universe: UNIVERSE, sessionDate, symbols: SYMBOLS, settings, info });
    },
    asOf: async (symbol, throughSession) => {
      const { sql } = market.house.db('pipeline');
      const cutoff = await nightCutoff(sql, throughSession);
      const { symbols } = await readBars(sql, { symbols: [symbol], throughSession, cutoff });
      return [...(symbols.get(symbol)?.bars.close ?? [])];
    },
    adjusted: async (symbol, sessionDate) => {
      const { house, settings } = market;
      const panel = await panelOf(house, { universe: UNIVERSE, sessionDate, symbols: SYMBOLS, settings });
      const closes = panel.close[panel.symbols.indexOf(symbol)];
      return new Map(panel.sessions.map((session, index) => [session, closes?.[index] ?? Number.NaN]));
    },
    decide: (about) =>
      market.house.decisions.decideQuarantine({
        provider: 'first+second',
        row: null,
        by: 'Ann',
        workflowId: 'w',
        ...about,
      }),
    batchOf: async (sessionDate, symbols = SYMBOLS) => {
      const { settings } = market;
      const step = await market.house.begin({ universe: UNIVERSE, sessionDate, symbols, settings });
      const plan = await runAs(() => market.house.activities.planIngestion(step));
      const [batch] = plan.batches;
      if (batch === undefined || plan.batches.length !== 1) throw new Error('one batch was expected');
      return { ...step, batch };
    },
  };
  beforeAll(async () => {
    empty = await IngestionHouse.withCalendar();
  });
  afterAll(() => empty?.drop());
  beforeEach(async () => {
    market.provider = new ScriptedProvider('first');
    market.fallback = new ScriptedProvider('second');
    const from = empty === undefined ? {} : { from: empty };
    house = await IngestionHouse.open([market.provider, market.fallback], from);
    for (const [index, symbol] of SYMBOLS.entries()) {
      for (const [day, session] of SESSIONS.entries())
        market.provider.set(symbol, session, bar(20 + index + day * 0.1));
    }
    market.at(S2);
    market.settings = { historySessions: 3 };
    market.info = {};
  });
  afterEach(() => house?.close());
  return market;
}
