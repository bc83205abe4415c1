import type { Queryable } from '../client.ts';
import { type PredictionRow, probabilitiesOf, type SignalSide, type StoredSignal } from './predictions.ts';
import { knownOutcome, type OutcomeColumns, scannedSets, type SignalSet } from './task-results.ts';

/** Symbols without a rank come last. */
const NO_RANK = 2_147_483_647;

export type SignalWithOutcome = StoredSignal & OutcomeColumns & { position: number };

/** Signals of one revision with what became of them, by rank or by symbol, after a position and symbol. */
export async function readSignalPage(
  sql: Queryable,
  input: {
    set: SignalSet;
    sort: 'rank' | 'symbol';
    after: { position: number; symbol: string } | null;
    limit: number;
    /** Only this one. */
    symbol?: string;
  },
): Promise<SignalWithOutcome[]> {
  const { set, sort, after, limit, symbol } = input;
  const position = sort === 'rank' ? sql`coalesce(s.rank, ${NO_RANK}::int)` : sql`0::int`;
  // The page is cut before outcomes are looked for: one look into the index for each row that is shown.
  return await sql<SignalWithOutcome[]>`
    select s.symbol, s.rank, s.side, s.probability, s.base_rate, s.confidence, s.reason_code, s.reason_words,
      s.reasons, s.model_version, s.revision, s.feature_set_version, s.data_cutoff, s.position, o.*
    from (
      select *, ${position} as position from turbomode.signals s
      where s.session_date = ${set.sessionDate} and s.universe = ${set.universe}
        and s.universe_version = ${set.universeVersion} and s.model_version = ${set.modelVersion}
        and s.revision = ${set.revision} and ${symbol === undefined ? sql`true` : sql`s.symbol = ${symbol}`}
        and ${after === null ? sql`true` : sql`(${position}, s.symbol) > (${after.position}, ${after.symbol})`}
      order by ${position}, s.symbol limit ${limit}) s
    left join ${knownOutcome(sql)} o on true
    order by s.position, s.symbol`;
}

export type SymbolPrediction = SignalSet &
  OutcomeColumns &
  Pick<PredictionRow, 'probabilities' | 'metaLogit'> & {
    symbol: string;
    side: SignalSide;
    rank: number | null;
    probability: number | null;
    baseRate: number | null;
    confidence: number | null;
    reasonWords: string;
    labelKind: string | null;
    horizonSessions: number | null;
    simulated: boolean | null;
  };

/** One symbol's predictions over sessions as their newest scan left them, newest first, before a session. */
export async function readSymbolPredictions(
  sql: Queryable,
  input: {
    symbol: string;
    universe: string;
    from: string;
    /** Last session, included. */
    through: string;
    /** Only sessions before this one. */
    before: string | null;
    limit: number;
  },
): Promise<SymbolPrediction[]> {
  const { symbol, universe, from, through, before, limit } = input;
  const rows = await sql<(Record<string, unknown> & Omit<SymbolPrediction, 'probabilities'>)[]>`
    select p.*, s.session_date, s.universe, s.universe_version, s.model_version, s.revision, s.symbol, s.side,
      s.rank, s.probability, s.base_rate, s.confidence, s.reason_words, o.*
    from ${scannedSets(sql, { universe, from, through })} c
    join turbomode.signals s using (session_date, universe, universe_version, model_version, revision)
    left join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    left join ${knownOutcome(sql)} o on true
    where s.symbol = ${symbol} and ${before === null ? sql`true` : sql`s.session_date < ${before}`}
    order by s.session_date desc limit ${limit}`;
  return rows.map((row) => ({ ...row, probabilities: probabilitiesOf(row) }));
}
