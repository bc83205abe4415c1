import type { EquityPoint } from './backtests.ts';
import type { Queryable } from '../client.ts';

/** Sessions of a universe with a backtest, newest first. */
export async function readBacktestSessions(
  sql: Queryable,
  input: { universe: string; limit: number },
): Promise<string[]> {
  const rows = await sql<{ sessionDate: string }[]>`
    select distinct session_date from turbomode.backtest_runs where universe = ${input.universe}
    order by session_date desc limit ${input.limit}`;
  return rows.map(({ sessionDate }) => sessionDate);
}

/** Equity after costs of each series of a backtest, in the order of sessions. */
export async function readEquity(
  sql: Queryable,
  backtestId: string,
): Promise<Pick<EquityPoint, 'series' | 'sessionDate' | 'equityNet'>[]> {
  return await sql<Pick<EquityPoint, 'series' | 'sessionDate' | 'equityNet'>[]>`
    select series, session_date, equity_net from turbomode.equity_curves
    where backtest_id = ${backtestId} order by session_date, series`;
}
