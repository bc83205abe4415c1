import type { Queryable } from '../client.ts';
import type { BaselineKind, DriftBaselineRow, RetrainingFlag, StoredDriftRow } from './drift.ts';
import { PROBABILITY_COLUMNS, type ProbabilityName } from './predictions.ts';
import { scannedSets } from './task-results.ts';

export type DriftRow = StoredDriftRow & {
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  invalidReason: string | null;
};

const columns = (
  sql: Queryable,
) => sql`session_date, universe, universe_version, feature_set_version, baseline_kind,
  feature, baseline_id, baseline_rows, current_rows, windows, psi, kl_current_given_baseline,
  kl_baseline_given_current, jensen_shannon, ks_statistic, ks_p_value, psi_critical, kl_critical, ks_critical, p_value,
  q_value, exceeded, alarm, status, details, invalid_reason`;

/** A night's drift log in the order of its key, after a place. */
export async function readDriftPage(
  sql: Queryable,
  input: {
    night: { sessionDate: string; universe: string; universeVersion: string };
    baseline: BaselineKind | undefined;
    after: { featureSetVersion: string; baselineKind: string; feature: string } | null;
    limit: number;
  },
): Promise<DriftRow[]> {
  const { night, baseline, after, limit } = input;
  return await sql<DriftRow[]>`
    select ${columns(sql)} from turbomode.drift_log
    where session_date = ${night.sessionDate} and universe = ${night.universe}
      and universe_version = ${night.universeVersion}
      and ${baseline === undefined ? sql`true` : sql`baseline_kind = ${baseline}`}
      and ${after === null ? sql`true` : sql`(feature_set_version, baseline_kind, feature) > (${after.featureSetVersion}, ${after.baselineKind}, ${after.feature})`}
    order by feature_set_version, baseline_kind, feature limit ${limit}`;
}

/** Where a page of one series ended. */
export type SeriesEnd = { sessionDate: string; universeVersion: string; featureSetVersion: string };

/** One series over sessions against one baseline, newest first, before the end of the page before. */
export async function readDriftSeries(
  sql: Queryable,
  input: {
    universe: string;
    /** Only as this list of members was watched. */
    universeVersion?: string;
    series: string;
    baseline: BaselineKind;
    from: string;
    through: string;
    after: SeriesEnd | null;
    limit: number;
  },
): Promise<DriftRow[]> {
  const { universe, universeVersion, series, baseline, from, through, after, limit } = input;
  return await sql<DriftRow[]>`
    select ${columns(sql)} from turbomode.drift_log
    where universe = ${universe} and feature = ${series} and baseline_kind = ${baseline}
      and session_date between ${from} and ${through}
      and ${universeVersion === undefined ? sql`true` : sql`universe_version = ${universeVersion}`}
      and ${after === null ? sql`true` : sql`(session_date, universe_version, feature_set_version) < (${after.sessionDate}, ${after.universeVersion}, ${after.featureSetVersion})`}
    order by session_date desc, universe_version desc, feature_set_version desc limit ${limit}`;
}

/** The bins of a baseline for one series; null where it had no value. */
export async function findDriftBaseline(
  sql: Queryable,
  key: { baselineId: string; feature: string },
): Promise<Pick<DriftBaselineRow, 'firstSession' | 'lastSession' | 'rows' | 'edges' | 'shares'> | null> {
  const [row] = await sql<
    Pick<DriftBaselineRow, 'firstSession' | 'lastSession' | 'rows' | 'edges' | 'shares'>[]
  >`
    select first_session, last_session, rows, edges, shares from turbomode.drift_baselines
    where baseline_id = ${key.baselineId} and feature = ${key.feature}`;
  return row ?? null;
}

/** One series on one session; NaN or null: no value. */
export type SessionValues = { sessionDate: string; values: (number | null)[] };

/** A feature's stored values that still hold on the newest sessions up to one whose night has run, newest first. */
export async function readStoredFeatureValues(
  sql: Queryable,
  input: {
    feature: string;
    through: string;
    from: string;
    universeVersion: string;
    featureSetVersion: string;
    sessions: number;
  },
): Promise<SessionValues[]> {
  const { feature, through, from, universeVersion, featureSetVersion, sessions } = input;
  return await sql<SessionValues[]>`
    with place as (
      select d.position from turbomode.feature_sets,
        jsonb_array_elements(definitions) with ordinality as d(definition, position)
      where feature_set_version = ${featureSetVersion} and d.definition ->> 'name' = ${feature})
    select f.session_date, array_agg(f.values[place.position::int] order by f.symbol) as values
    from turbomode.session_features f, place
    where f.session_date between ${from} and ${through} and f.universe_version = ${universeVersion}
      and f.feature_set_version = ${featureSetVersion} and f.invalid_reason is null
    group by f.session_date order by f.session_date desc limit ${sessions}`;
}

/** A model's issued probabilities on the newest scanned sessions up to one, newest first. */
export async function readStoredProbabilities(
  sql: Queryable,
  input: { model: ProbabilityName; universe: string; through: string; from: string; sessions: number },
): Promise<SessionValues[]> {
  const { model, universe, through, from, sessions } = input;
  return await sql<SessionValues[]>`
    select p.session_date, array_agg(p.${sql(PROBABILITY_COLUMNS[model])} order by p.symbol) as values
    from ${scannedSets(sql, { universe, from, through })} c
    join turbomode.predictions p using (session_date, universe, universe_version, model_version, revision)
    group by p.session_date order by p.session_date desc limit ${sessions}`;
}

export type FlagEnd = Pick<RetrainingFlag, 'sessionDate' | 'universe' | 'universeVersion' | 'modelVersion'>;

/** Retraining flags, newest first; those that are no longer due have no reasons. */
export async function readFlagPage(
  sql: Queryable,
  input: { universe: string | undefined; after: FlagEnd | null; limit: number },
): Promise<(RetrainingFlag & { recordedAt: string })[]> {
  const { universe, after, limit } = input;
  return await sql<(RetrainingFlag & { recordedAt: string })[]>`
    select session_date, universe, universe_version, model_version, reasons, task_run_id, recorded_at
    from turbomode.retraining_flags
    where ${universe === undefined ? sql`true` : sql`universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(session_date, universe, universe_version, model_version) < (${after.sessionDate}, ${after.universe}, ${after.universeVersion}, ${after.modelVersion})`}
    order by session_date desc, universe desc, universe_version desc, model_version desc limit ${limit}`;
}
