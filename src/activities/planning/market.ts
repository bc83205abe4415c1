import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import { insertUniverseList } from '../../db/queries/universes.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import type { Instrument } from '../../domain/market-data.ts';
import {
  checkSymbolsKnown,
  membersAsOf,
  type UniverseDefinition,
  UniverseError,
  universeVersionOf,
} from '../../domain/universe.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import type { MarketDataProvider, ProviderCoverage } from '../../providers/port.ts';
import { readExchangeCalendar } from '../calendar.ts';
import { failure } from '../errors.ts';
import type { RunDeps } from './deps.ts';

/** Dates of sessions are dates of the exchange, whatever zone the schedule's clock is in. */
export const EXCHANGE_TIME_ZONE = XNYS_TIME_ZONE;

/** The exchange calendar with the corrections people made. */
export function readCalendar(deps: RunDeps): Promise<ExchangeCalendar> {
  const { sql } = deps.database;
  return readExchangeCalendar({ sql, sessions: deps.sessions, timeZone: EXCHANGE_TIME_ZONE });
}

/** The providers of a configuration. Fails with InvalidConfiguration for a name that none of them has. */
export function providerOf(deps: RunDeps, config: EffectiveConfig): MarketDataProvider {
  try {
    return deps.provider(config.providers.chain);
  } catch (error) {
    if (error instanceof RangeError) throw failure('InvalidConfiguration', error.message, { cause: error });
    throw error;
  }
}

/** A universe by name or file. Fails with InvalidInput in words for people. */
export async function readDefinition(deps: RunDeps, nameOrFile: string): Promise<UniverseDefinition> {
  return asInvalidInput(() => deps.readUniverse(nameOrFile));
}

/**
 * Members of a universe as of a session; the list is left in `ops.universe_lists` for ingestion. Returns the
 * hash that names it. Fails with InvalidInput for symbols the provider does not list.
 */
export async function planUniverse(options: {
  deps: RunDeps;
  definition: UniverseDefinition;
  config: EffectiveConfig;
  coverage: ProviderCoverage;
  sessionDate: string;
}): Promise<string> {
  const { deps, definition, config, coverage, sessionDate } = options;
  const { name: universe, symbols, survivorship } = definition;
  const known = coverage.symbols;
  if (known !== null) {
    await asInvalidInput(async () => checkSymbolsKnown({ source: universe, symbols, known }));
  }
  let members = [...symbols];
  if (coverage.has.instruments) {
    const provider = providerOf(deps, config);
    const results = await provider.instruments({ symbols, asOfSession: sessionDate });
    const found = results.flatMap((result): Instrument[] => (result.ok ? [result.value] : []));
    const firstSessions = new Map(found.map((instrument) => [instrument.symbol, instrument.firstSession]));
    members = [...membersAsOf({ symbols, firstSessions, session: sessionDate })];
  }
  if (members.length === 0) {
    throw failure('InvalidInput', `universe ${universe} has no member that was listed by ${sessionDate}`);
  }
  const version = universeVersionOf(members);
  await insertUniverseList(deps.database.sql, { universe, version, members, survivorship });
  return version;
}

async function asInvalidInput<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UniverseError) throw failure('InvalidInput', error.message, { cause: error });
    throw error;
  }
}
