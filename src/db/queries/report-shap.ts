import { z } from 'zod';
import type { Queryable } from '../client.ts';

const rankingSchema = z.array(z.looseObject({ feature: z.string(), share: z.number() }));

export type FeatureShare = { feature: string; share: number };

/** Features of a report's model by share of its mean |SHAP|. */
const FEATURES = 5;

/** What matters most to each model of a version, by model; empty for a version without explanations. */
export async function readTopFeatures(sql: Queryable, version: string): Promise<Map<string, FeatureShare[]>> {
  const rows = await sql<{ model: string; top20: unknown }[]>`
    select model, top20 from turbomode.shap_runs where version = ${version} order by model`;
  return new Map(
    rows.map(({ model, top20 }) => {
      const ranking = rankingSchema.safeParse(top20);
      const list = ranking.success ? ranking.data : [];
      return [model, list.slice(0, FEATURES).map(({ feature, share }) => ({ feature, share }))];
    }),
  );
}
