import { parsePriceBasisKey } from '../../domain/bars.ts';
import type { DividendAction } from '../../domain/market-data.ts';
import type { PricedDividend, QuotedPrice } from '../../domain/validation/dividends.ts';
import type { Queryable } from '../client.ts';

type Row = {
  symbol: string;
  exDate: string;
  closeSession: string | null;
  close: number | null;
  closeBasis: string | null;
  openSession: string | null;
  open: number | null;
  openBasis: string | null;
};

/**
 * Dividends in the given order, each with the newest close before its ex date and the first open from it on, up to a
 * session, of bars that nothing doubts, as stored.
 */
export async function priceDividends(
  sql: Queryable,
  input: { dividends: readonly DividendAction[]; throughSession: string; universeVersion: string },
): Promise<PricedDividend[]> {
  const { dividends, throughSession, universeVersion } = input;
  if (dividends.length === 0) return [];
  const undoubted = sql`not exists (select 1 from market.bar_flags f
    where f.symbol = b.symbol and f.session_date = b.session_date and f.severity = 'doubtful'
      and f.scope in ('', ${universeVersion}) and f.available_session <= ${throughSession}
      and (f.resolved_session is null or f.resolved_session > ${throughSession}))`;
  const rows = await sql<Row[]>`
    select d.symbol, d.ex_date, c.session_date as close_session, c.close, cs.price_basis as close_basis,
      o.session_date as open_session, o.open, os.price_basis as open_basis
    from unnest(${dividends.map(({ symbol }) => symbol)}::text[], ${dividends.map(({ exDate }) => exDate)}::date[])
      with ordinality as d(symbol, ex_date, position)
    left join lateral (
      select b.session_date, b.close, b.source_id from market.bars b
      where b.symbol = d.symbol and b.session_date < d.ex_date and b.close > 0 and ${undoubted}
      order by b.session_date desc limit 1) c on true
    left join market.bar_sources cs on cs.source_id = c.source_id
    left join lateral (
      select b.session_date, b.open, b.source_id from market.bars b
      where b.symbol = d.symbol and b.session_date between d.ex_date and ${throughSession} and b.open > 0 and ${undoubted}
      order by b.session_date limit 1) o on true
    left join market.bar_sources os on os.source_id = o.source_id
    order by d.position`;
  return dividends.map((dividend, index): PricedDividend => {
    const row = rows[index];
    return {
      ...dividend,
      lastClose: quoted(row?.closeSession, row?.close, row?.closeBasis),
      nextOpen: quoted(row?.openSession, row?.open, row?.openBasis),
    };
  });
}

function quoted(
  sessionDate: string | null | undefined,
  price: number | null | undefined,
  basis: string | null | undefined,
): QuotedPrice | null {
  if (sessionDate == null || price == null || basis == null) return null;
  return { sessionDate, price, basis: parsePriceBasisKey(basis) };
}
