import type { TaskStep } from '../../contracts/activities.ts';
import { findUniverse, findUniverseList } from '../../db/queries/universes.ts';
import type { Instrument, Survivorship } from '../../domain/market-data.ts';
import { membersAsOf, UniverseError, universeVersionOf } from '../../domain/universe.ts';
import { failure } from '../errors.ts';
import type { IngestionDeps } from './deps.ts';
import type { IngestionNight } from './night.ts';

export type Members = {
  symbols: readonly string[];
  survivorship: Survivorship;
  /** First session from which exactly these are members. */
  asOf: string;
};

/**
 * Members of the universe version a night was planned with: as stored, as the plan left them, or from
 * the universe's definition as of S. Throws InvalidInput if none of them has that version's hash.
 */
export async function resolveMembers(
  deps: IngestionDeps,
  step: TaskStep,
  night: IngestionNight,
): Promise<Members> {
  const { sql } = deps.db;
  const key = { universe: step.universe, version: step.universeVersion };
  const stored = await findUniverse(sql, key);
  if (stored !== null) {
    return { symbols: stored.members, survivorship: stored.survivorship, asOf: stored.asOf };
  }
  const planned = await findUniverseList(sql, key);
  const definition = planned === null ? await readDefinition(deps, step.universe) : null;
  const candidates = planned?.members ?? definition?.symbols ?? [];
  const survivorship = planned?.survivorship ?? definition?.survivorship ?? 'unknown';
  const firstSessions = await readFirstSessions(night, step.sessionDate, candidates);
  const listed = membersAsOf({ symbols: candidates, firstSessions, session: step.sessionDate });
  const symbols = [candidates, listed].find((list) => universeVersionOf(list) === step.universeVersion);
  if (symbols === undefined) {
    throw failure(
      'InvalidInput',
      `universe ${step.universe} has changed: no member list as of ${step.sessionDate} has version ${step.universeVersion}`,
    );
  }
  const asOf = symbols.reduce((latest, symbol) => {
    const first = firstSessions.get(symbol) ?? latest;
    return first > latest ? first : latest;
  }, night.coverage.firstSession ?? night.calendar.first);
  return { symbols, survivorship, asOf };
}

async function readDefinition(deps: IngestionDeps, universe: string) {
  try {
    return await deps.readUniverse(universe);
  } catch (error) {
    if (error instanceof UniverseError) throw failure('InvalidInput', error.message, { cause: error });
    throw error;
  }
}

async function readFirstSessions(
  night: IngestionNight,
  asOfSession: string,
  symbols: readonly string[],
): Promise<Map<string, string>> {
  if (!night.coverage.has.instruments) return new Map();
  const results = await night.provider.instruments({ symbols, asOfSession });
  const known = results.flatMap((result): Instrument[] => (result.ok ? [result.value] : []));
  return new Map(known.map((instrument) => [instrument.symbol, instrument.firstSession]));
}
