import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { mergeRows } from '../merge.ts';
import { heldOutcomes, type StoredTrackRow, type TrackRow, trackRowOf } from './outcomes.ts';

export type BacktestRun = {
  /** Hash of inputs and parameters: the same backtest is stored once. */
  backtestId: string;
  taskRunId: string;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  datasetHash: string;
  oofHash: string;
  metaHash: string;
  survivorship: string;
  parameters: unknown;
  summary: unknown;
  /** Instant up to which earlier nights were read. */
  knownAt: string;
};

/** Stores a backtest once; a known one only loses its mark of invalidity. Returns whether it was new. */
export async function insertBacktestRun(tx: Tx, run: BacktestRun): Promise<boolean> {
  const inserted = await tx`
    insert into turbomode.backtest_runs (backtest_id, task_run_id, session_date, universe, universe_version,
      feature_set_version, dataset_hash, oof_hash, meta_hash, survivorship, parameters, summary, known_at)
    values (${run.backtestId}, ${run.taskRunId}, ${run.sessionDate}, ${run.universe}, ${run.universeVersion},
      ${run.featureSetVersion}, ${run.datasetHash}, ${run.oofHash}, ${run.metaHash}, ${run.survivorship},
      ${tx.json(jsonb(run.parameters))}, ${tx.json(jsonb(run.summary))}, ${run.knownAt})
    on conflict (backtest_id) do nothing returning 1`;
  if (inserted.length > 0) return true;
  await tx`
    update turbomode.backtest_runs set invalid_reason = null
    where backtest_id = ${run.backtestId} and invalid_reason is not null`;
  return false;
}

export type BacktestMetric = {
  model: string;
  /** `all`, `allWithFlagged`, `month`, `sector`, `decile`, `portfolio`, `portfolioClosedLate`, `leftOutDoubtful`, `overfitting`, `track`. */
  dimension: string;
  bucket: string;
  metric: string;
  value: number | null;
  lower: number | null;
  upper: number | null;
  n: number | null;
};

/** Metrics of one backtest; what is known stays. */
export async function insertBacktestMetrics(
  tx: Tx,
  input: { backtestId: string; metrics: readonly BacktestMetric[] },
): Promise<void> {
  const column = <T>(pick: (row: BacktestMetric) => T): T[] => input.metrics.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.backtest_metrics',
    rows: input.metrics.length,
    columns: {
      backtest_id: { type: 'constant', of: 'text', value: input.backtestId },
      model: { type: 'text', values: column((row) => row.model) },
      dimension: { type: 'text', values: column((row) => row.dimension) },
      bucket: { type: 'text', values: column((row) => row.bucket) },
      metric: { type: 'text', values: column((row) => row.metric) },
      value: { type: 'float8', values: column((row) => row.value) },
      lower: { type: 'float8', values: column((row) => row.lower) },
      upper: { type: 'float8', values: column((row) => row.upper) },
      n: { type: 'int4', values: column((row) => row.n) },
    },
    key: ['backtest_id', 'model', 'dimension', 'bucket', 'metric'],
  });
}

export type EquityPoint = {
  series: string;
  sessionDate: string;
  grossReturn: number | null;
  netReturn: number | null;
  equityGross: number | null;
  equityNet: number | null;
  turnover: number | null;
  exposure: number | null;
  drawdown: number | null;
};

/** Equity curves of one backtest; what is known stays. */
export async function insertEquityCurves(
  tx: Tx,
  input: { backtestId: string; points: readonly EquityPoint[] },
): Promise<void> {
  const column = <T>(pick: (row: EquityPoint) => T): T[] => input.points.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.equity_curves',
    rows: input.points.length,
    columns: {
      backtest_id: { type: 'constant', of: 'text', value: input.backtestId },
      series: { type: 'text', values: column((row) => row.series) },
      session_date: {
        type: 'date',
        values: column((row) => Date.parse(`${row.sessionDate}T00:00:00Z`) / 86_400_000),
      },
      gross_return: { type: 'float8', values: column((row) => row.grossReturn) },
      net_return: { type: 'float8', values: column((row) => row.netReturn) },
      equity_gross: { type: 'float8', values: column((row) => row.equityGross) },
      equity_net: { type: 'float8', values: column((row) => row.equityNet) },
      turnover: { type: 'float8', values: column((row) => row.turnover) },
      exposure: { type: 'float8', values: column((row) => row.exposure) },
      drawdown: { type: 'float8', values: column((row) => row.drawdown) },
    },
    key: ['backtest_id', 'series', 'session_date'],
  });
}

/** The newest backtest of a session and universe, one that still holds first; null if there is none. */
export async function findBacktest(
  sql: Queryable,
  input: { sessionDate: string; universe: string },
): Promise<(BacktestRun & { recordedAt: string }) | null> {
  const [row] = await sql<(BacktestRun & { recordedAt: string })[]>`
    select * from turbomode.backtest_runs
    where session_date = ${input.sessionDate} and universe = ${input.universe}
    order by (invalid_reason is null) desc, recorded_at desc limit 1`;
  return row ?? null;
}

export async function readBacktestMetrics(sql: Queryable, backtestId: string): Promise<BacktestMetric[]> {
  return await sql<BacktestMetric[]>`
    select model, dimension, bucket, metric, value, lower, upper, n from turbomode.backtest_metrics
    where backtest_id = ${backtestId} order by model, dimension, bucket, metric`;
}

/**
 * The instant up to which a backtest reads what was written of earlier nights: that of its first run, so that a
 * night filled in afterwards does not change it; now, for one that never ran.
 */
export async function readBacktestInstant(
  sql: Queryable,
  key: Pick<BacktestRun, 'sessionDate' | 'universe' | 'universeVersion'> & { trialKey: string },
): Promise<string> {
  const [row] = await sql<{ instant: string }[]>`
    select coalesce(min(coalesce(known_at, recorded_at)), clock_timestamp())::text as instant
    from turbomode.backtest_runs
    where session_date = ${key.sessionDate} and universe = ${key.universe}
      and universe_version = ${key.universeVersion} and parameters ->> 'trialKey' = ${key.trialKey}`;
  if (row === undefined) throw new Error('an aggregate without a row');
  return row.instant;
}

/** Keys of the variants that were backtested for a universe up to a session and instant: each one is a trial. */
export async function readTrialKeys(
  sql: Queryable,
  input: { universe: string; throughSession: string; writtenThrough: string },
): Promise<string[]> {
  const rows = await sql<{ trialKey: string }[]>`
    select distinct parameters ->> 'trialKey' as trial_key from turbomode.backtest_runs
    where universe = ${input.universe} and session_date <= ${input.throughSession}
      and recorded_at <= ${input.writtenThrough} and parameters ->> 'trialKey' is not null
    order by 1`;
  return rows.map((row) => row.trialKey);
}

/** Earlier trials whose returns are read at most: each brings up to ten series. */
const MOST_EARLIER_TRIALS = 50;

export type StoredReturns = { trialKey: string; series: string; sessions: string[]; net: number[] };

/**
 * Net session returns that other trials of a universe left by a session and instant, of each its newest night; newest
 * trial first, in the order of sessions.
 */
export async function readTrialReturns(
  sql: Queryable,
  input: {
    universe: string;
    throughSession: string;
    writtenThrough: string;
    exceptTrial: string;
    series: readonly string[];
  },
): Promise<StoredReturns[]> {
  return await sql<StoredReturns[]>`
    with runs as (
      select distinct on (trial_key) *
      from (select backtest_id, parameters ->> 'trialKey' as trial_key, session_date, recorded_at
        from turbomode.backtest_runs
        where universe = ${input.universe} and session_date <= ${input.throughSession}
          and recorded_at <= ${input.writtenThrough}) r
      where trial_key <> ${input.exceptTrial}
      order by trial_key, session_date desc, recorded_at, backtest_id),
    newest as (
      select * from runs order by session_date desc, recorded_at desc, backtest_id limit ${MOST_EARLIER_TRIALS})
    select n.trial_key, e.series, array_agg(e.session_date::text order by e.session_date) as sessions,
      array_agg(e.net_return order by e.session_date) as net
    from newest n join turbomode.equity_curves e using (backtest_id)
    where e.series = any(${[...input.series]}) and e.net_return is not null
    group by n.session_date, n.recorded_at, n.backtest_id, n.trial_key, e.series
    order by n.session_date desc, n.recorded_at desc, n.backtest_id, e.series`;
}

/** Stored predictions up to a session by what is known of their outcome then. */
export async function countOutcomes(
  sql: Queryable,
  input: { universe: string; throughSession: string },
): Promise<{ matured: number; withoutOutcome: number; pending: number }> {
  const [row] = await sql<{ matured: number; withoutOutcome: number; predictions: number }[]>`
    select count(m.symbol) filter (where m.forward_return is not null) as matured,
      count(m.symbol) filter (where m.forward_return is null) as without_outcome,
      count(*) as predictions
    from turbomode.predictions p
    left join ${heldOutcomes(sql, input)} m on m.session_date = p.session_date
      and m.universe_version = p.universe_version and m.model_version = p.model_version
      and m.revision = p.revision and m.symbol = p.symbol
    where p.universe = ${input.universe} and p.session_date <= ${input.throughSession}`;
  const { matured = 0, withoutOutcome = 0, predictions = 0 } = row ?? {};
  return { matured, withoutOutcome, pending: predictions - matured - withoutOutcome };
}

/**
 * Predictions as they were first issued for each session, written up to an instant, with outcomes known by a
 * session: the track record without the ones made again later.
 */
export async function readIssuedTrack(
  sql: Queryable,
  input: {
    universe: string;
    throughSession: string;
    /** Default: whatever is written by now. */
    writtenThrough?: string;
    labelKind: string;
    horizonSessions: number;
  },
): Promise<TrackRow[]> {
  const stored = await sql<StoredTrackRow[]>`
    with issued as (
      select distinct on (session_date) session_date, universe_version, model_version, revision
      from turbomode.predictions
      where universe = ${input.universe} and session_date < ${input.throughSession}
        and written_at <= ${input.writtenThrough ?? 'infinity'} and label_kind = ${input.labelKind} and horizon_sessions = ${input.horizonSessions}
      order by session_date, written_at, universe_version, model_version, revision)
    select p.*, m.forward_return, m.excess_return, m.target_direction, m.target_excess
    from ${heldOutcomes(sql, input)} m
    join issued using (session_date, universe_version, model_version, revision)
    join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    order by p.session_date, p.symbol`;
  return stored.map(trackRowOf);
}
