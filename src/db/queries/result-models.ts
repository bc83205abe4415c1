import type { Queryable } from '../client.ts';
import type { ModelMetricRow, Promotion, ShapRow, StoredModelVersion } from './training.ts';

type ModelVersionEnd = { sessionDate: string; recordedAt: string; version: string };
export type PagedModelVersion = StoredModelVersion & { pageAt: string };

/** Versions, newest session first, after the end of the page before; `pageAt` is their record to the microsecond. */
export async function readModelPage(
  sql: Queryable,
  input: { universe: string | undefined; after: ModelVersionEnd | null; limit: number },
): Promise<PagedModelVersion[]> {
  const { universe, after, limit } = input;
  return await sql<PagedModelVersion[]>`
    select *, to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as page_at
    from turbomode.model_versions
    where ${universe === undefined ? sql`true` : sql`universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(session_date, recorded_at, version) < (${after.sessionDate}, ${after.recordedAt}::timestamptz, ${after.version})`}
    order by session_date desc, recorded_at desc, version desc limit ${limit}`;
}

export type PromotionRow = Promotion & { recordedAt: string };

/** Of each universe the decision since which its current version is in use without a break. */
export async function readVersionsInUse(
  sql: Queryable,
  universes: readonly string[],
): Promise<PromotionRow[]> {
  return await sql<PromotionRow[]>`
    with newest as (
      select distinct on (universe) universe, version from turbomode.model_promotions
      where universe = any(${[...universes]})
      order by universe, effective_from_session desc, promotion_id desc)
    select distinct on (p.universe) p.universe, p.version, p.effective_from_session, p.kind, p.decided_by, p.why,
      p.recorded_at
    from newest join turbomode.model_promotions p using (universe, version)
    where not exists (select 1 from turbomode.model_promotions o
      where o.universe = p.universe and o.version <> p.version
        and (o.effective_from_session, o.promotion_id) > (p.effective_from_session, p.promotion_id))
    order by p.universe, p.effective_from_session, p.promotion_id`;
}

/** Decisions that made one version current, oldest first. */
export async function readPromotionsOf(
  sql: Queryable,
  key: { universe: string; version: string },
): Promise<PromotionRow[]> {
  return await sql<PromotionRow[]>`
    select universe, version, effective_from_session, kind, decided_by, why, recorded_at
    from turbomode.model_promotions where universe = ${key.universe} and version = ${key.version}
    order by effective_from_session, promotion_id`;
}

/** Every metric of a version. */
export async function readModelMetrics(sql: Queryable, version: string): Promise<ModelMetricRow[]> {
  return await sql<ModelMetricRow[]>`
    select version, model, metric, value, lower, upper, n, baseline, survivorship
    from turbomode.model_metrics where version = ${version} order by model, metric`;
}

export type CalibrationBin = {
  model: string;
  decile: number;
  meanProbability: number | null;
  realisedRate: number | null;
  lower: number | null;
  upper: number | null;
  rows: number | null;
};

/**
 * Deciles of the out-of-fold predictions of a version with what was realised in each, from the backtest of the same
 * predictions; empty where none of them is kept.
 */
export async function readCalibration(
  sql: Queryable,
  key: { sessionDate: string; universe: string; oofHash: string },
): Promise<CalibrationBin[]> {
  return await sql<CalibrationBin[]>`
    with run as (
      select backtest_id from turbomode.backtest_runs
      where session_date = ${key.sessionDate} and universe = ${key.universe} and oof_hash = ${key.oofHash}
      order by (invalid_reason is null) desc, recorded_at desc limit 1)
    select r.model, r.bucket::int as decile, p.value as mean_probability, r.value as realised_rate, r.lower, r.upper,
      r.n as rows
    from run join turbomode.backtest_metrics r using (backtest_id)
    join turbomode.backtest_metrics p using (backtest_id, model, dimension, bucket)
    where r.dimension = 'decile' and r.metric = 'realisedRate' and p.metric = 'meanProbability'
    order by r.model, decile`;
}

/** Explanations of a version by model. */
export async function readShapRows(sql: Queryable, version: string): Promise<ShapRow[]> {
  return await sql<ShapRow[]>`
    select task_run_id, version, model, shap_hash, space, additive, additivity_max_error, top10, top20
    from turbomode.shap_runs where version = ${version} order by model`;
}
