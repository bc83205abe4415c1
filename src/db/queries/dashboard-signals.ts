import type { Queryable } from '../client.ts';
import type { SignalSet } from './task-results.ts';

/** When signals were written, and whether only after the session they are about had begun. */
export type SignalHead = SignalSet & { writtenAt: string; simulated: boolean };

/** What a set of signals says of itself; null where none of it is kept. */
export async function findSignalHead(sql: Queryable, set: SignalSet): Promise<SignalHead | null> {
  const [row] = await sql<Pick<SignalHead, 'writtenAt' | 'simulated'>[]>`
    select s.written_at, coalesce(p.simulated, false) as simulated
    from turbomode.signals s
    left join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    where s.session_date = ${set.sessionDate} and s.universe = ${set.universe}
      and s.universe_version = ${set.universeVersion} and s.model_version = ${set.modelVersion}
      and s.revision = ${set.revision}
    order by p.simulated nulls last limit 1`;
  return row === undefined ? null : { ...set, ...row };
}

export type Instrument = {
  symbol: string;
  name: string | null;
  sector: string | null;
  industry: string | null;
};

/** What is known of a company; null for a symbol that no provider has described. */
export async function findInstrument(sql: Queryable, symbol: string): Promise<Instrument | null> {
  const [row] = await sql<Instrument[]>`
    select symbol, name, sector, industry from market.instruments where symbol = ${symbol}`;
  return row ?? null;
}

/** Sectors of symbols, by symbol. */
export async function readSectors(sql: Queryable, symbols: readonly string[]): Promise<Map<string, string>> {
  const rows = await sql<{ symbol: string; sector: string }[]>`
    select symbol, sector from market.instruments where symbol = any(${[...symbols]}) and sector is not null`;
  return new Map(rows.map(({ symbol, sector }) => [symbol, sector]));
}
