import type { Queryable } from '../client.ts';

export type KnownRow = {
  symbol: string;
  /** Newest session with a bar or a quarantined row that the night knew. */
  newest: string | null;
  /** Who said that there is no bar of `throughSession`. */
  gapProvider: string | null;
};

/** Newest row of each symbol up to a session, as the night of that session knew them. `cutoff` is its `nightCutoff`. */
export async function readNewestKnown(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string; cutoff: string },
): Promise<Map<string, KnownRow>> {
  const { throughSession, cutoff } = input;
  const rows = await sql<KnownRow[]>`
    select a.symbol, greatest(b.newest, r.newest, q.newest) as newest, g.provider as gap_provider
    from (select symbol collate "C" as symbol from unnest(${[...input.symbols]}::text[]) as s(symbol)) a
    left join lateral (select session_date as newest from market.bars o
      where o.symbol = a.symbol and session_date <= ${throughSession} and available_at < ${cutoff}
      order by session_date desc limit 1) b on true
    left join lateral (select max(session_date) as newest from market.bar_revisions o
      where o.symbol = a.symbol and session_date <= ${throughSession} and available_at < ${cutoff}) r on true
    left join lateral (select max(session_date) as newest from market.quarantine o
      where o.symbol = a.symbol and subject = 'bar' and session_date <= ${throughSession}
        and available_at < ${cutoff}) q on true
    left join market.gaps g on g.symbol = a.symbol and g.session_date = ${throughSession}`;
  return new Map(rows.map((row) => [row.symbol, row]));
}
