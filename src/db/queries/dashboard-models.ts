import type { Queryable } from '../client.ts';
import type { ModelMetricRow, Promotion } from './training.ts';

export type PromotionRow = Promotion & { recordedAt: string };

/** Decisions about which version is current, newest first. */
export async function readPromotions(
  sql: Queryable,
  input: { universe: string; limit: number },
): Promise<PromotionRow[]> {
  return await sql<PromotionRow[]>`
    select universe, version, effective_from_session, kind, decided_by, why, recorded_at
    from turbomode.model_promotions where universe = ${input.universe}
    order by effective_from_session desc, promotion_id desc limit ${input.limit}`;
}

/** Metrics of a version: models, the stack, baselines. */
export async function readModelMetrics(sql: Queryable, version: string): Promise<ModelMetricRow[]> {
  return await sql<ModelMetricRow[]>`
    select version, model, metric, value, lower, upper, n, baseline, survivorship
    from turbomode.model_metrics where version = ${version} order by model, metric`;
}

export type ShapSummary = {
  model: string;
  space: string;
  additive: boolean;
  additivityMaxError: number;
  top20: unknown;
};

/** What the explanations of a version say, by model. */
export async function readShapSummaries(sql: Queryable, version: string): Promise<ShapSummary[]> {
  return await sql<ShapSummary[]>`
    select model, space, additive, additivity_max_error, top20
    from turbomode.shap_runs where version = ${version} order by model`;
}
