import { parsePriceBasisKey } from '../../domain/bars.ts';
import type { PricedDividend, QuotedPrice } from '../../domain/validation/dividends.ts';
import type { Queryable } from '../client.ts';

type Row = {
  symbol: string;
  exDate: string;
  cashAmount: number;
  currency: string;
  closeSession: string | null;
  close: number | null;
  closeBasis: string | null;
  openSession: string | null;
  open: number | null;
  openBasis: string | null;
};

/**
 * Dividends up to a session by symbol, ascending by ex date, each with the newest close before its ex date and the
 * first open from it on of bars that nothing doubts, as stored.
 */
export async function readPricedDividends(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string; universeVersion: string },
): Promise<Map<string, PricedDividend[]>> {
  const { throughSession, universeVersion } = input;
  const undoubted = sql`not exists (select 1 from market.bar_flags f
    where f.symbol = b.symbol and f.session_date = b.session_date and f.severity = 'doubtful'
      and f.scope in ('', ${universeVersion}) and f.available_session <= ${throughSession}
      and (f.resolved_session is null or f.resolved_session > ${throughSession}))`;
  const rows = await sql<Row[]>`
    select d.symbol, d.ex_date, d.amount as cash_amount, d.currency,
      c.session_date as close_session, c.close, cs.price_basis as close_basis,
      o.session_date as open_session, o.open, os.price_basis as open_basis
    from market.dividends d
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
    where d.symbol = any(${[...input.symbols]}) and d.available_on <= ${throughSession}
    order by d.symbol, d.ex_date`;
  const bySymbol = new Map<string, PricedDividend[]>();
  for (const row of rows) {
    const { symbol, exDate, cashAmount, currency } = row;
    const priced: PricedDividend = {
      symbol,
      exDate,
      cashAmount,
      currency,
      lastClose: quoted(row.closeSession, row.close, row.closeBasis),
      nextOpen: quoted(row.openSession, row.open, row.openBasis),
    };
    bySymbol.set(symbol, [...(bySymbol.get(symbol) ?? []), priced]);
  }
  return bySymbol;
}

function quoted(sessionDate: string | null, price: number | null, basis: string | null): QuotedPrice | null {
  if (sessionDate === null || price === null || basis === null) return null;
  return { sessionDate, price, basis: parsePriceBasisKey(basis) };
}
