import type { Queryable } from '../client.ts';
import type { BaselineKind, RetrainingFlag } from './drift.ts';

/** Sessions of a universe that were watched for drift, newest first. */
export async function readDriftSessions(
  sql: Queryable,
  input: { universe: string; limit: number },
): Promise<string[]> {
  const rows = await sql<{ sessionDate: string }[]>`
    select distinct session_date from turbomode.drift_log where universe = ${input.universe}
    order by session_date desc limit ${input.limit}`;
  return rows.map(({ sessionDate }) => sessionDate);
}

export type DriftCell = {
  sessionDate: string;
  feature: string;
  status: string;
  psi: number | null;
  psiCritical: number | null;
};

/** What was found for each series against one kind of baseline in these sessions; the newest of several versions. */
export async function readDriftCells(
  sql: Queryable,
  input: { universe: string; sessions: readonly string[]; kind: BaselineKind },
): Promise<DriftCell[]> {
  return await sql<DriftCell[]>`
    select distinct on (session_date, feature) session_date, feature, status, psi, psi_critical
    from turbomode.drift_log
    where universe = ${input.universe} and baseline_kind = ${input.kind}
      and session_date = any(${[...input.sessions]}::date[])
    order by session_date, feature, recorded_at desc`;
}

/** Retraining flags of a universe with reasons, newest first. */
export async function readRaisedFlags(
  sql: Queryable,
  input: { universe: string; limit: number },
): Promise<RetrainingFlag[]> {
  return await sql<RetrainingFlag[]>`
    select session_date, universe, universe_version, model_version, reasons, task_run_id
    from turbomode.retraining_flags
    where universe = ${input.universe} and jsonb_array_length(reasons) > 0
    order by session_date desc, recorded_at desc limit ${input.limit}`;
}

export type SeriesBaseline = {
  edges: number[];
  shares: number[];
  rows: number;
  firstSession: string;
  lastSession: string;
  universeVersion: string;
  featureSetVersion: string;
};

/** The bins that a session's series was compared with, and how its baseline fills them; null if none is stored. */
export async function findSeriesBaseline(
  sql: Queryable,
  input: { universe: string; sessionDate: string; kind: BaselineKind; feature: string },
): Promise<SeriesBaseline | null> {
  const [row] = await sql<SeriesBaseline[]>`
    select b.edges, b.shares, b.rows, b.first_session, b.last_session, l.universe_version, l.feature_set_version
    from turbomode.drift_log l
    join turbomode.drift_baselines b on b.baseline_id = l.baseline_id and b.feature = l.feature
    where l.universe = ${input.universe} and l.session_date = ${input.sessionDate}
      and l.baseline_kind = ${input.kind} and l.feature = ${input.feature}
    order by l.recorded_at desc limit 1`;
  return row ?? null;
}

/** Values of one feature that nights have left of the last sessions up to a session. */
export async function readFeatureValues(
  sql: Queryable,
  input: {
    feature: string;
    throughSession: string;
    universeVersion: string;
    featureSetVersion: string;
    sessions: number;
  },
): Promise<{ sessions: number; values: number[] }> {
  const { feature, throughSession, universeVersion, featureSetVersion, sessions } = input;
  const rows = await sql<{ sessionDate: string; value: number | null }[]>`
    with place as (
      select o.at::int as at from turbomode.feature_sets s,
        jsonb_array_elements(s.definitions) with ordinality as o(definition, at)
      where s.feature_set_version = ${featureSetVersion} and o.definition ->> 'name' = ${feature}),
    days as (
      select distinct session_date from turbomode.session_features
      where universe_version = ${universeVersion} and feature_set_version = ${featureSetVersion}
        and session_date <= ${throughSession} order by session_date desc limit ${sessions})
    select f.session_date, f.values[place.at]::float8 as value
    from turbomode.session_features f join days using (session_date) cross join place
    where f.universe_version = ${universeVersion} and f.feature_set_version = ${featureSetVersion}
      and f.invalid_reason is null`;
  return {
    sessions: new Set(rows.map(({ sessionDate }) => sessionDate)).size,
    values: rows.flatMap(({ value }) => (value === null || Number.isNaN(value) ? [] : [value])),
  };
}
