import type { EquityPoint } from './backtests.ts';
import type { Queryable } from '../client.ts';

/** Equity after costs of each series of a backtest, in the order of sessions. */
export async function readEquity(
  sql: Queryable,
  backtestId: string,
): Promise<Pick<EquityPoint, 'series' | 'sessionDate' | 'equityNet'>[]> {
  return await sql<Pick<EquityPoint, 'series' | 'sessionDate' | 'equityNet'>[]>`
    select series, session_date, equity_net from turbomode.equity_curves
    where backtest_id = ${backtestId} order by session_date, series`;
}
