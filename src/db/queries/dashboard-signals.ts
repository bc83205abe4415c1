import type { Queryable } from '../client.ts';
import { type PredictionSet, probabilitiesOf, type ProbabilityName, type SignalSide } from './predictions.ts';

export type SignalSet = PredictionSet & { revision: number; writtenAt: string; simulated: boolean };

/** Sessions of a universe that have signals, newest first; at most `limit`. */
export async function readSignalSessions(
  sql: Queryable,
  input: { universe: string; limit: number },
): Promise<string[]> {
  const rows = await sql<{ sessionDate: string }[]>`
    select distinct session_date from turbomode.signals where universe = ${input.universe}
    order by session_date desc limit ${input.limit}`;
  return rows.map(({ sessionDate }) => sessionDate);
}

/** The signals that a session's newest scan left; null if there are none. */
export async function findSignalSet(
  sql: Queryable,
  input: { universe: string; sessionDate: string },
): Promise<SignalSet | null> {
  const [row] = await sql<SignalSet[]>`
    select s.session_date, s.universe, s.universe_version, s.model_version, s.revision::int as revision,
      s.written_at, coalesce(p.simulated, false) as simulated
    from turbomode.signals s
    left join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    where s.session_date = ${input.sessionDate} and s.universe = ${input.universe}
    order by s.written_at desc, s.revision desc, p.simulated nulls last limit 1`;
  return row ?? null;
}

export type TrackPoint = {
  sessionDate: string;
  modelVersion: string;
  side: SignalSide;
  rank: number | null;
  probability: number | null;
  baseRate: number | null;
  probabilities: Record<ProbabilityName, number | null>;
  /** Open of the next session to close of the exit; null until it is known. */
  forwardReturn: number | null;
  excessReturn: number | null;
  missingReason: string | null;
};

/** A symbol's predictions as each session's newest scan left them, with what came of them; oldest first. */
export async function readSymbolTrack(
  sql: Queryable,
  input: { universe: string; symbol: string; sessions: number },
): Promise<TrackPoint[]> {
  const { universe, symbol, sessions } = input;
  const rows = await sql<(Record<string, unknown> & Omit<TrackPoint, 'probabilities'>)[]>`
    select distinct on (s.session_date) p.*, s.session_date, s.model_version, s.side, s.rank, s.probability,
      s.base_rate, o.forward_return, o.excess_return, o.missing_reason
    from turbomode.signals s
    left join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    left join lateral (
      select m.forward_return, m.excess_return, m.missing_reason from turbomode.matured_predictions m
      where m.session_date = s.session_date and m.universe = s.universe
        and m.universe_version = s.universe_version and m.model_version = s.model_version
        and m.revision = s.revision and m.symbol = s.symbol and m.invalid_from is null
      order by m.outcome_version desc limit 1) o on true
    where s.universe = ${universe} and s.symbol = ${symbol}
    order by s.session_date desc, s.written_at desc, s.revision desc limit ${sessions}`;
  return rows.toReversed().map((row) => ({ ...row, probabilities: probabilitiesOf(row) }));
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
