import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { epochDay } from '../epoch-day.ts';
import { mergeRows } from '../merge.ts';
import { probabilitiesOf, type ProbabilityName } from './predictions.ts';

export type BaselineKind = 'rolling' | 'anchored';

export type DriftBaselineRow = {
  baselineId: string;
  feature: string;
  kind: BaselineKind;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  firstSession: string;
  lastSession: string;
  rows: number;
  edges: readonly number[];
  shares: readonly number[];
  calibration: unknown;
};

/** Baselines by content: what is known stays. */
export async function insertDriftBaselines(tx: Tx, rows: readonly DriftBaselineRow[]): Promise<void> {
  const column = <T>(pick: (row: DriftBaselineRow) => T): T[] => rows.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.drift_baselines',
    rows: rows.length,
    columns: {
      baseline_id: { type: 'text', values: column((row) => row.baselineId) },
      feature: { type: 'text', values: column((row) => row.feature) },
      kind: { type: 'text', values: column((row) => row.kind) },
      session_date: { type: 'date', values: column((row) => epochDay(row.sessionDate)) },
      universe: { type: 'text', values: column((row) => row.universe) },
      universe_version: { type: 'text', values: column((row) => row.universeVersion) },
      feature_set_version: { type: 'text', values: column((row) => row.featureSetVersion) },
      first_session: { type: 'date', values: column((row) => epochDay(row.firstSession)) },
      last_session: { type: 'date', values: column((row) => epochDay(row.lastSession)) },
      rows: { type: 'int4', values: column((row) => row.rows) },
      edges: { type: 'float8[]', values: column((row) => row.edges) },
      shares: { type: 'float8[]', values: column((row) => row.shares) },
      calibration: { type: 'jsonb', values: column((row) => jsonb(row.calibration)) },
    },
    key: ['baseline_id', 'feature'],
  });
}

export type DriftAnchor = {
  universe: string;
  baselineId: string;
  effectiveFromSession: string;
  kind: string;
  decidedBy: string;
  why: string;
};

/** An anchor, the sessions of its series together, and the list of members and features they were measured for. */
export type AnchorInForce = DriftAnchor & {
  firstSession: string;
  lastSession: string;
  universeVersion: string;
  featureSetVersion: string;
};

/**
 * The anchor in force as of a session, for whichever members and features it was set: a changed list does not end it.
 * Null before the first one.
 */
export async function findDriftAnchor(
  sql: Queryable,
  input: { universe: string; universeVersion: string; featureSetVersion: string; sessionDate: string },
): Promise<AnchorInForce | null> {
  const [row] = await sql<AnchorInForce[]>`
    select a.universe, a.baseline_id, a.effective_from_session, a.kind, a.decided_by, a.why,
      b.first_session, b.last_session, b.universe_version, b.feature_set_version
    from turbomode.drift_anchors a
    join lateral (
      select min(first_session) as first_session, max(last_session) as last_session,
        min(universe_version) as universe_version, min(feature_set_version) as feature_set_version
      from turbomode.drift_baselines b where b.baseline_id = a.baseline_id having count(*) > 0) b on true
    where a.universe = ${input.universe} and a.effective_from_session <= ${input.sessionDate}
    order by a.effective_from_session desc,
      (b.universe_version = ${input.universeVersion} and b.feature_set_version = ${input.featureSetVersion}) desc,
      a.anchor_id desc limit 1`;
  return row ?? null;
}

/** Appends an anchor; the same decision for the same session again adds no row. */
export async function insertDriftAnchor(tx: Tx, anchor: DriftAnchor): Promise<boolean> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`drift_anchors/${anchor.universe}`}, 0))`;
  const inserted = await tx`
    insert into turbomode.drift_anchors (universe, baseline_id, effective_from_session, kind, decided_by, why)
    select ${anchor.universe}, ${anchor.baselineId}, ${anchor.effectiveFromSession}::date, ${anchor.kind},
      ${anchor.decidedBy}, ${anchor.why}
    where not exists (
      select 1 from turbomode.drift_anchors
      where universe = ${anchor.universe} and baseline_id = ${anchor.baselineId}
        and effective_from_session = ${anchor.effectiveFromSession} and kind = ${anchor.kind})
    returning 1`;
  return inserted.length > 0;
}

export type DriftLogRow = {
  feature: string;
  baselineKind: BaselineKind;
  baselineId: string | null;
  baselineRows: number | null;
  currentRows: number | null;
  windows: number | null;
  psi: number | null;
  klCurrentGivenBaseline: number | null;
  klBaselineGivenCurrent: number | null;
  jensenShannon: number | null;
  ksStatistic: number | null;
  ksPValue: number | null;
  psiCritical: number | null;
  klCritical: number | null;
  ksCritical: number | null;
  pValue: number | null;
  qValue: number | null;
  exceeded: boolean;
  alarm: boolean;
  status: string;
  details: unknown;
};
export type DriftLogHeader = {
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  taskRunId: string;
  /** Instant up to which earlier nights were read; a row keeps that of its first run. */
  knownAt: string;
};

const MEASURES = [
  'psi',
  'kl_current_given_baseline',
  'kl_baseline_given_current',
  'jensen_shannon',
  'ks_statistic',
  'ks_p_value',
  'psi_critical',
  'kl_critical',
  'ks_critical',
  'p_value',
  'q_value',
];

/** Writes a night's drift log by COPY; the same numbers again change no row. */
export async function mergeDriftLog(
  tx: Tx,
  header: DriftLogHeader,
  rows: readonly DriftLogRow[],
): Promise<void> {
  const column = <T>(pick: (row: DriftLogRow) => T): T[] => rows.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.drift_log',
    rows: rows.length,
    columns: {
      session_date: { type: 'date', values: rows.map(() => epochDay(header.sessionDate)) },
      universe: { type: 'constant', of: 'text', value: header.universe },
      universe_version: { type: 'constant', of: 'text', value: header.universeVersion },
      feature_set_version: { type: 'constant', of: 'text', value: header.featureSetVersion },
      baseline_kind: { type: 'text', values: column((row) => row.baselineKind) },
      feature: { type: 'text', values: column((row) => row.feature) },
      baseline_id: { type: 'text', values: column((row) => row.baselineId) },
      baseline_rows: { type: 'int4', values: column((row) => row.baselineRows) },
      current_rows: { type: 'int4', values: column((row) => row.currentRows) },
      windows: { type: 'int4', values: column((row) => row.windows) },
      psi: { type: 'float8', values: column((row) => row.psi) },
      kl_current_given_baseline: { type: 'float8', values: column((row) => row.klCurrentGivenBaseline) },
      kl_baseline_given_current: { type: 'float8', values: column((row) => row.klBaselineGivenCurrent) },
      jensen_shannon: { type: 'float8', values: column((row) => row.jensenShannon) },
      ks_statistic: { type: 'float8', values: column((row) => row.ksStatistic) },
      ks_p_value: { type: 'float8', values: column((row) => row.ksPValue) },
      psi_critical: { type: 'float8', values: column((row) => row.psiCritical) },
      kl_critical: { type: 'float8', values: column((row) => row.klCritical) },
      ks_critical: { type: 'float8', values: column((row) => row.ksCritical) },
      p_value: { type: 'float8', values: column((row) => row.pValue) },
      q_value: { type: 'float8', values: column((row) => row.qValue) },
      exceeded: { type: 'bool', values: column((row) => row.exceeded) },
      alarm: { type: 'bool', values: column((row) => row.alarm) },
      status: { type: 'text', values: column((row) => row.status) },
      details: { type: 'jsonb', values: column((row) => jsonb(row.details)) },
      task_run_id: { type: 'constant', of: 'text', value: header.taskRunId },
      known_at: { type: 'constant', of: 'timestamptz', value: Date.parse(header.knownAt) },
      // A row that is computed again holds again, whatever was marked since.
      invalid_reason: { type: 'text', values: rows.map(() => null) },
    },
    key: ['session_date', 'universe', 'universe_version', 'feature_set_version', 'baseline_kind', 'feature'],
    compare: [
      'baseline_id',
      'baseline_rows',
      'current_rows',
      'windows',
      ...MEASURES,
      'exceeded',
      'alarm',
      'status',
      'details',
      'invalid_reason',
    ],
    alsoSet: ['task_run_id'],
  });
}

/**
 * The instant up to which a night's drift reads what earlier nights left: that of its first run, so that a night filled
 * in afterwards does not change it; now, for one that never ran. Milliseconds, as it is stored.
 */
export async function readDriftInstant(
  sql: Queryable,
  key: { sessionDate: string; universe: string; universeVersion: string; featureSetVersion: string },
): Promise<string> {
  const [row] = await sql<{ instant: string }[]>`
    select coalesce(min(coalesce(known_at, recorded_at)), date_trunc('milliseconds', clock_timestamp()))::text
      as instant
    from turbomode.drift_log
    where session_date = ${key.sessionDate} and universe = ${key.universe}
      and universe_version = ${key.universeVersion} and feature_set_version = ${key.featureSetVersion}`;
  if (row === undefined) throw new Error('an aggregate without a row');
  return row.instant;
}

export type PastExceedance = { sessionDate: string; baselineKind: BaselineKind; feature: string };

/** Which features exceeded their bound in past nights, as written by an instant; for the rule of consecutive nights. */
export async function readPastExceedances(
  sql: Queryable,
  input: {
    universe: string;
    universeVersion: string;
    featureSetVersion: string;
    sessions: readonly string[];
    writtenThrough: string;
  },
): Promise<PastExceedance[]> {
  if (input.sessions.length === 0) return [];
  return await sql<PastExceedance[]>`
    select session_date, baseline_kind, feature from turbomode.drift_log
    where universe = ${input.universe} and universe_version = ${input.universeVersion}
      and feature_set_version = ${input.featureSetVersion}
      and session_date = any(${[...input.sessions]}::date[]) and exceeded
      and recorded_at <= ${input.writtenThrough}
    order by session_date desc, baseline_kind, feature`;
}

export type StoredDriftRow = DriftLogRow & { sessionDate: string };

/** A night's drift log, alarms first; only as one list of members was watched where that is named. */
export async function readDriftLog(
  sql: Queryable,
  input: { sessionDate: string; universe: string; universeVersion?: string },
): Promise<StoredDriftRow[]> {
  const { sessionDate, universe, universeVersion } = input;
  return await sql<StoredDriftRow[]>`
    select * from turbomode.drift_log
    where session_date = ${sessionDate} and universe = ${universe}
      and ${universeVersion === undefined ? sql`true` : sql`universe_version = ${universeVersion}`}
    order by alarm desc, exceeded desc, baseline_kind, feature`;
}

export type RetrainingFlag = {
  sessionDate: string;
  universe: string;
  universeVersion: string;
  modelVersion: string;
  reasons: unknown;
  taskRunId: string;
};

/** A flag is a row with reasons; it starts nothing. Reasons that changed replace the old ones. */
export async function mergeRetrainingFlag(tx: Tx, flag: RetrainingFlag): Promise<void> {
  await tx`
    insert into turbomode.retraining_flags as f
      (session_date, universe, universe_version, model_version, reasons, task_run_id)
    values (${flag.sessionDate}, ${flag.universe}, ${flag.universeVersion}, ${flag.modelVersion},
      ${tx.json(jsonb(flag.reasons))}, ${flag.taskRunId})
    on conflict (session_date, universe, universe_version, model_version)
    do update set reasons = excluded.reasons, task_run_id = excluded.task_run_id
      where f.reasons is distinct from excluded.reasons`;
}

export async function findRetrainingFlag(
  sql: Queryable,
  input: { sessionDate: string; universe: string },
): Promise<RetrainingFlag | null> {
  const [row] = await sql<RetrainingFlag[]>`
    select session_date, universe, universe_version, model_version, reasons, task_run_id
    from turbomode.retraining_flags
    where session_date = ${input.sessionDate} and universe = ${input.universe}
    order by recorded_at desc limit 1`;
  return row ?? null;
}

/** Newest session before `beforeSession` on which the flag was raised, as written by an instant; null if it never was. */
export async function findLastRaisedFlag(
  sql: Queryable,
  input: { universe: string; beforeSession: string; writtenThrough: string },
): Promise<string | null> {
  const [row] = await sql<{ sessionDate: string }[]>`
    select session_date from turbomode.retraining_flags
    where universe = ${input.universe} and session_date < ${input.beforeSession}
      and jsonb_array_length(reasons) > 0 and recorded_at <= ${input.writtenThrough}
    order by session_date desc limit 1`;
  return row?.sessionDate ?? null;
}

/** The newest decision of a person about the current version, as of a session; the nightly gate is none. */
export async function findPersonalPromotion(
  sql: Queryable,
  input: { universe: string; sessionDate: string },
): Promise<{ version: string; effectiveFromSession: string; decidedBy: string; why: string } | null> {
  const [row] = await sql<
    { version: string; effectiveFromSession: string; decidedBy: string; why: string }[]
  >`
    select version, effective_from_session, decided_by, why from turbomode.model_promotions
    where universe = ${input.universe} and effective_from_session <= ${input.sessionDate} and kind <> 'gate'
    order by effective_from_session desc, promotion_id desc limit 1`;
  return row ?? null;
}

export type IssuedPrediction = {
  sessionDate: string;
  symbol: string;
  probabilities: Record<ProbabilityName, number | null>;
};

/**
 * Predictions as they were first issued for each session up to the night's, whichever version made them and for
 * whichever list of members. Those of earlier nights count as far as they were written by an instant.
 */
export async function readIssuedPredictions(
  sql: Queryable,
  input: { universe: string; fromSession: string; throughSession: string; writtenThrough: string },
): Promise<IssuedPrediction[]> {
  const stored = await sql<(Record<string, unknown> & { sessionDate: string; symbol: string })[]>`
    with issued as (
      select distinct on (session_date) session_date, universe_version, model_version, revision
      from turbomode.predictions
      where universe = ${input.universe} and session_date between ${input.fromSession} and ${input.throughSession}
        and (session_date = ${input.throughSession} or written_at <= ${input.writtenThrough})
      order by session_date, written_at, universe_version, model_version, revision)
    select p.* from turbomode.predictions p
    join issued using (session_date, universe_version, model_version, revision)
    where p.universe = ${input.universe}
    order by p.session_date, p.symbol`;
  return stored.map((row) => ({
    sessionDate: row.sessionDate,
    symbol: row.symbol,
    probabilities: probabilitiesOf(row),
  }));
}
