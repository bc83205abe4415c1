import type { Queryable } from '../client.ts';
import type { PromotionRow } from './result-models.ts';

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
