import type { Queryable } from '../client.ts';

export type QualityCounts = {
  /** Quarantined rows that nobody released. */
  quarantined: number;
  /** Of those, rows nobody has decided about. */
  undecided: number;
  /** Bars that count as missing. */
  flagged: number;
  /** Bars with a note; they stay usable. */
  notes: number;
  /** Flags and notes by kind. */
  byKind: Record<string, number>;
  /** Sessions on which many bars are doubtful, by date. */
  doubtfulSessions: { sessionDate: string; bars: number; kinds: string[] }[];
  /** Splits and dividends that prices deny and symbols held after a long gap, as far as nobody has decided. */
  reviews: { symbol: string; sessionDate: string; subject: string; reason: string }[];
};

type QualityInput = {
  symbols: readonly string[];
  fromSession: string;
  throughSession: string;
  universeVersion: string;
};

/** Doubtful bars from which a session is worth a line of its own. */
const SESSION_BARS = 5;

/** What is wrong with the members' data as the night of `throughSession` knows it. */
export async function readQualityCounts(sql: Queryable, input: QualityInput): Promise<QualityCounts> {
  const symbols = [...input.symbols];
  const known = sql`
    symbol = any(${symbols}) and scope in ('', ${input.universeVersion})
    and session_date between ${input.fromSession} and ${input.throughSession}
    and available_session <= ${input.throughSession}
    and (resolved_session is null or resolved_session > ${input.throughSession})`;
  const kinds = await sql<{ kind: string; count: number }[]>`
    select kind, count(*) as count from market.bar_flags where ${known} group by kind order by kind`;
  const [bars] = await sql<{ flagged: number; notes: number }[]>`
    select count(distinct (symbol, session_date)) filter (where severity = 'doubtful') as flagged,
      count(distinct (symbol, session_date)) filter (where severity = 'note') as notes
    from market.bar_flags where ${known}`;
  const sessions = await sql<QualityCounts['doubtfulSessions']>`
    select session_date, count(distinct symbol) as bars, array_agg(distinct kind order by kind) as kinds
    from market.bar_flags where ${known} and severity = 'doubtful'
    group by session_date having count(distinct symbol) >= ${SESSION_BARS} order by session_date`;
  const [quarantine] = await sql<{ quarantined: number; undecided: number }[]>`
    select count(*) as quarantined, count(*) filter (where status = 'pending') as undecided from market.quarantine
    where symbol = any(${symbols}) and subject = 'bar' and status <> 'released'
      and session_date between ${input.fromSession} and ${input.throughSession}`;
  const reviews = await sql<QualityCounts['reviews']>`
    select symbol, session_date, subject, reason from market.quarantine
    where symbol = any(${symbols}) and subject <> 'bar' and status = 'pending'
      and session_date <= ${input.throughSession}
    order by symbol, session_date, subject`;
  return {
    quarantined: quarantine?.quarantined ?? 0,
    undecided: quarantine?.undecided ?? 0,
    flagged: bars?.flagged ?? 0,
    notes: bars?.notes ?? 0,
    byKind: Object.fromEntries(kinds.map((row) => [row.kind, row.count])),
    doubtfulSessions: sessions.map((row) => ({ ...row })),
    reviews: reviews.map((row) => ({ ...row })),
  };
}
