import type { Queryable } from '../client.ts';
import type { BacktestMetric, BacktestRun, EquityPoint } from './backtests.ts';

/** A stored backtest, without what only its own run needs. */
export type BacktestHead = Omit<BacktestRun, 'metaHash' | 'parameters' | 'knownAt'> & {
  recordedAt: string;
  invalidReason: string | null;
};

/** A backtest by its id; null if it is no longer kept. */
export async function findBacktestById(sql: Queryable, backtestId: string): Promise<BacktestHead | null> {
  const [row] = await sql<BacktestHead[]>`
    select backtest_id, task_run_id, session_date, universe, universe_version, feature_set_version, dataset_hash,
      oof_hash, survivorship, summary, recorded_at, invalid_reason
    from turbomode.backtest_runs where backtest_id = ${backtestId}`;
  return row ?? null;
}

/** A backtest in a list; `isShown`: it is what its session and universe show, that of the newest success. */
export type ListedBacktest = Omit<BacktestHead, 'summary' | 'oofHash'> & { isShown: boolean; pageAt: string };
export type BacktestEnd = { sessionDate: string; recordedAt: string; backtestId: string };

/** Backtests that are kept, newest session first, after the end of the page before; rows never move. */
export async function readBacktestPage(
  sql: Queryable,
  input: { universe: string | undefined; after: BacktestEnd | null; limit: number },
): Promise<ListedBacktest[]> {
  const { universe, after, limit } = input;
  return await sql<ListedBacktest[]>`
    select b.backtest_id, b.task_run_id, b.session_date, b.universe, b.universe_version, b.feature_set_version,
      b.dataset_hash, b.survivorship, b.recorded_at, b.invalid_reason,
      to_char(b.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as page_at,
      b.backtest_id = coalesce((
        select t.result ->> 'backtestId' from ops.task_runs t
        where t.task = 'backtest' and t.state = 'succeeded' and t.session_date = b.session_date
          and t.universe = b.universe
        order by t.completed_at desc, t.task_run_id desc limit 1), '') as is_shown
    from turbomode.backtest_runs b
    where ${universe === undefined ? sql`true` : sql`b.universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(b.session_date, b.recorded_at, b.backtest_id) < (${after.sessionDate}, ${after.recordedAt}::timestamptz, ${after.backtestId})`}
    order by b.session_date desc, b.recorded_at desc, b.backtest_id desc limit ${limit}`;
}

type MetricPlace = Pick<BacktestMetric, 'model' | 'dimension' | 'bucket' | 'metric'>;

/** Metrics of a backtest in the order of its key, of some of them only, after a place. */
export async function readMetricPage(
  sql: Queryable,
  input: {
    backtestId: string;
    filter: { model: string | undefined; dimension: string | undefined; bucket: string | undefined };
    after: MetricPlace | null;
    limit: number;
  },
): Promise<BacktestMetric[]> {
  const { backtestId, filter, after, limit } = input;
  const { model, dimension, bucket } = filter;
  return await sql<BacktestMetric[]>`
    select model, dimension, bucket, metric, value, lower, upper, n from turbomode.backtest_metrics
    where backtest_id = ${backtestId}
      and ${model === undefined ? sql`true` : sql`model = ${model}`}
      and ${dimension === undefined ? sql`true` : sql`dimension = ${dimension}`}
      and ${bucket === undefined ? sql`true` : sql`bucket = ${bucket}`}
      and ${after === null ? sql`true` : sql`(model, dimension, bucket, metric) > (${after.model}, ${after.dimension}, ${after.bucket}, ${after.metric})`}
    order by model, dimension, bucket, metric limit ${limit}`;
}

/** Equity curves of a backtest by series and session, after one of them. */
export async function readEquityPage(
  sql: Queryable,
  input: {
    backtestId: string;
    series: string | undefined;
    after: { series: string; sessionDate: string } | null;
    limit: number;
  },
): Promise<EquityPoint[]> {
  const { backtestId, series, after, limit } = input;
  return await sql<EquityPoint[]>`
    select series, session_date, gross_return, net_return, equity_gross, equity_net, turnover, exposure, drawdown
    from turbomode.equity_curves
    where backtest_id = ${backtestId} and ${series === undefined ? sql`true` : sql`series = ${series}`}
      and ${after === null ? sql`true` : sql`(series, session_date) > (${after.series}, ${after.sessionDate})`}
    order by series, session_date limit ${limit}`;
}
