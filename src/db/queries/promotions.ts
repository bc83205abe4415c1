import type { Queryable, Tx } from '../client.ts';
import { standingVersions, type PointerDecision } from '../../domain/model-history.ts';
import {
  findCurrentVersion,
  insertPromotion,
  type ModelVersionRow,
  type StoredModelVersion,
} from './training.ts';

/**
 * Makes a version that passed the gate current from its own session on, but not for a later session that was run
 * before: there a row says that it keeps what it used. The caller holds `lockCurrentVersion`.
 */
export async function promoteByGate(
  tx: Tx,
  row: Pick<ModelVersionRow, 'universe' | 'version' | 'featureSetVersion' | 'sessionDate'> & { why: string },
): Promise<void> {
  const { universe, version, featureSetVersion, sessionDate, why } = row;
  const decided = { universe, kind: 'gate', decidedBy: 'gate' } as const;
  const used = await firstSessionUsed(tx, { universe, after: sessionDate });
  const kept =
    used === null
      ? []
      : [
          // The scan asks for versions of its own features: the pin of those comes first, what is newest counts.
          await findCurrentVersion(tx, { universe, sessionDate: used, featureSetVersion }),
          await findCurrentVersion(tx, { universe, sessionDate: used }),
        ];
  await insertPromotion(tx, { ...decided, version, effectiveFromSession: sessionDate, why });
  const pins = [...new Set(kept.flatMap((current) => (current === null ? [] : [current.version])))];
  for (const pin of used === null ? [] : pins) {
    await insertPromotion(tx, {
      ...decided,
      version: pin,
      effectiveFromSession: used ?? sessionDate,
      why: `kept: ${used ?? sessionDate} was run before ${sessionDate} was decided for ${version}`,
    });
  }
}

/** The version that the next night begins with; null before the first. */
export async function findNewestCurrentVersion(
  sql: Queryable,
  universe: string,
): Promise<StoredModelVersion | null> {
  return await findCurrentVersion(sql, { universe, sessionDate: 'infinity' });
}

/** Versions behind the current one of a universe, which is the last; see `standingVersions`. */
export async function readStandingVersions(sql: Queryable, universe: string): Promise<string[]> {
  return standingVersions(
    await sql<PointerDecision[]>`
      select version, kind from turbomode.model_promotions where universe = ${universe}
      order by effective_from_session, promotion_id`,
  );
}

/**
 * The first session of the calendar that has used no version yet: from there on a person's decision counts, and
 * nights that were run keep what they used. Null where the stored calendar ends before it.
 */
export async function findFirstUnusedSession(sql: Queryable, universe: string): Promise<string | null> {
  const [row] = await sql<{ session: string | null }[]>`
    with used as (
      select session_date from turbomode.model_versions where universe = ${universe}
      union all select session_date from turbomode.predictions where universe = ${universe}
      union all select session_date from turbomode.drift_log where universe = ${universe}
      union all select effective_from_session from turbomode.model_promotions
      where universe = ${universe} and kind = 'gate')
    select min(s.session_date) as session from market.sessions s
    where s.session_date > (select max(session_date) from used)
      and s.session_date >= coalesce((select max(effective_from_session) from turbomode.model_promotions
        where universe = ${universe}), s.session_date)
      and not exists (select 1 from market.session_overrides o
        where o.session_date = s.session_date and o.kind = 'closed' and o.removed_at is null)`;
  return row?.session ?? null;
}

/**
 * The first session after `after` that asked for the current version and has no decision of its own up to it: one
 * that was trained (and compared with it), scanned or watched for drift. Null if there is none.
 */
async function firstSessionUsed(
  sql: Queryable,
  { universe, after }: { universe: string; after: string },
): Promise<string | null> {
  const [row] = await sql<{ session: string | null }[]>`
    with used as (
      select min(session_date) as session from turbomode.model_versions
      where universe = ${universe} and session_date > ${after}
      union all select min(session_date) from turbomode.predictions
      where universe = ${universe} and session_date > ${after}
      union all select min(session_date) from turbomode.drift_log
      where universe = ${universe} and session_date > ${after}),
    decided as (
      select min(effective_from_session) as session from turbomode.model_promotions
      where universe = ${universe} and effective_from_session > ${after})
    select min(u.session) as session from used u, decided d
    where d.session is null or u.session < d.session`;
  return row?.session ?? null;
}
