import type { Survivorship } from '../../domain/market-data.ts';
import type { Queryable } from '../client.ts';

export type UniverseList = {
  universe: string;
  /** Hash of the member list as of the night's session. */
  version: string;
  /** Sorted, each once. */
  members: string[];
  survivorship: Survivorship;
};
export type UniverseRow = UniverseList & { asOf: string; recordedAt: string };

/** Leaves the list a plan resolved, for ingestion to take; the same list again changes nothing. */
export async function insertUniverseList(sql: Queryable, list: UniverseList): Promise<void> {
  await sql`
    insert into ops.universe_lists (universe, version, members, survivorship)
    values (${list.universe}, ${list.version}, ${list.members}, ${list.survivorship})
    on conflict do nothing`;
}

export async function findUniverseList(
  sql: Queryable,
  key: { universe: string; version: string },
): Promise<UniverseList | null> {
  const [row] = await sql<UniverseList[]>`
    select universe, version, members, survivorship from ops.universe_lists
    where universe = ${key.universe} and version = ${key.version}`;
  return row ?? null;
}

/** Stores a member list as master data; a version never changes. Ingest role only. */
export async function storeUniverse(
  sql: Queryable,
  universe: Omit<UniverseRow, 'recordedAt'>,
): Promise<boolean> {
  const rows = await sql`
    insert into market.universes (universe, version, members, as_of, survivorship)
    values (${universe.universe}, ${universe.version}, ${universe.members}, ${universe.asOf}, ${universe.survivorship})
    on conflict do nothing returning 1`;
  return rows.length > 0;
}

/** Members of a universe version; null if no ingestion has stored it. */
export async function findUniverse(
  sql: Queryable,
  key: { universe: string; version: string },
): Promise<UniverseRow | null> {
  const [row] = await sql<UniverseRow[]>`
    select * from market.universes where universe = ${key.universe} and version = ${key.version}`;
  return row ?? null;
}

/**
 * What every result of a universe version says about survivorship: a list of unknown origin, or one that nobody
 * stored, is taken for a later one.
 */
export async function readSurvivorship(
  sql: Queryable,
  key: { universe: string; version: string },
): Promise<'biased' | 'unbiased'> {
  const universe = (await findUniverse(sql, key)) ?? (await findUniverseList(sql, key));
  return universe?.survivorship === 'unbiased' ? 'unbiased' : 'biased';
}
