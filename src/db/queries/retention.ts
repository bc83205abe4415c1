import type { Queryable, Tx } from '../client.ts';
import { ALERTS_ENABLED } from './alert-rows.ts';

/** Objects that rows still need, by hash. */
export type LiveArtifacts = { hashes: Set<string> };

/**
 * Hashes of every object that a row needs: datasets not given up, fits, accepted (or promoted) versions for
 * good, rejected ones and backtests as long as their night's dataset is kept, explanations.
 */
export async function readLiveArtifacts(sql: Queryable): Promise<LiveArtifacts> {
  const rows = await sql<{ hash: string | null }[]>`
    with kept as (
      select dataset_hash from turbomode.datasets where artifact_deleted_at is null),
    versions as (
      select * from turbomode.model_versions v
      where v.accepted or v.dataset_hash in (select dataset_hash from kept)
        or exists (select 1 from turbomode.model_promotions p where p.version = v.version))
    select dataset_hash as hash from turbomode.datasets where artifact_deleted_at is null
    union select parquet_hash from turbomode.datasets where artifact_deleted_at is null
    union select model_hash from turbomode.fold_fits
    union select predictions_hash from turbomode.fold_fits
    union select m.value from versions v, jsonb_each_text(v.models) m
    union select meta_hash from versions
    union select oof_hash from versions
    union select b.meta_hash from turbomode.backtest_runs b join kept using (dataset_hash)
    union select b.oof_hash from turbomode.backtest_runs b join kept using (dataset_hash)
    union select shap_hash from turbomode.shap_runs`;
  return { hashes: new Set(rows.flatMap((row) => (row.hash === null ? [] : [row.hash]))) };
}

/** Task runs other than maintenance that have not ended, as `task session universe (state)`. */
export async function readOpenTaskRuns(sql: Queryable): Promise<string[]> {
  const rows = await sql<{ words: string }[]>`
    select task || ' ' || session_date || ' ' || universe || ' (' || state || ')' as words
    from ops.task_runs
    where state in ('pending', 'waiting', 'running', 'awaiting_review') and task <> 'weeklyMaintenance'
    order by created_at limit 20`;
  return rows.map((row) => row.words);
}

/** Against the reuse of an object while it is being deleted: deletion holds it alone, reuse shares it. */
const ARTIFACT_LOCK = 7_302_119;

/** Waits until nobody reuses or deletes artifacts, and keeps others from it until the transaction ends. */
export async function lockArtifactsForDeletion(tx: Tx): Promise<void> {
  await tx`select pg_advisory_xact_lock(${ARTIFACT_LOCK})`;
}

/** Keeps artifacts from being deleted until the transaction ends. */
export async function lockArtifactsForReuse(tx: Tx): Promise<void> {
  await tx`select pg_advisory_xact_lock_shared(${ARTIFACT_LOCK})`;
}

/**
 * Gives up datasets beyond the newest `nights` sessions of each universe: the row stays as the record, its
 * objects become free. Returns how many.
 */
export async function expireDatasets(tx: Tx, input: { nights: number; now: Date }): Promise<number> {
  const expired = await tx`
    with ranked as (
      select dataset_hash, dense_rank() over (partition by universe order by session_date desc) as night
      from turbomode.datasets)
    update turbomode.datasets d set artifact_deleted_at = ${input.now.toISOString()}
    from ranked r
    where r.dataset_hash = d.dataset_hash and r.night > ${input.nights} and d.artifact_deleted_at is null
    returning 1`;
  return expired.length;
}

/**
 * Deletes rows of fits beyond the newest `generations` of each universe. A generation is one set of fold
 * fits; nights of one quarter share it, a new block begins the next. Final fits go with their dataset.
 */
export async function expireFoldFits(tx: Tx, generations: number): Promise<number> {
  const deleted = await tx`
    with sets as (
      select f.dataset_hash, d.universe, max(d.session_date) as session_date,
        string_agg(f.fold_key, ',' order by f.model, f.block_index) as keys
      from turbomode.fold_fits f join turbomode.datasets d using (dataset_hash)
      where f.kind = 'fold' group by f.dataset_hash, d.universe),
    generations as (
      select universe, keys, row_number() over (partition by universe order by max(session_date) desc, keys) as age
      from sets group by universe, keys),
    kept_sets as (
      select s.dataset_hash from sets s join generations g using (universe, keys) where g.age <= ${generations}),
    kept_keys as (
      select distinct f.fold_key from turbomode.fold_fits f join kept_sets using (dataset_hash)
      where f.kind = 'fold')
    delete from turbomode.fold_fits f using turbomode.datasets d
    where d.dataset_hash = f.dataset_hash and case f.kind
      when 'fold' then f.fold_key not in (select fold_key from kept_keys)
      else d.artifact_deleted_at is not null end
    returning 1`;
  return deleted.length;
}

/** Deletes operational rows that only matter for a while. Returns rows by table. */
export async function expireOperations(
  tx: Tx,
  input: { now: Date; livenessDays: number; outcomeDays: number; loginDays: number; alertDays: number },
): Promise<Record<string, number>> {
  const before = (days: number): string => new Date(input.now.getTime() - days * 86_400_000).toISOString();
  const liveness = await tx`
    delete from ops.liveness where beat_at < ${before(input.livenessDays)} returning 1`;
  const outcomes = await tx`
    delete from ops.symbol_outcomes where recorded_at < ${before(input.outcomeDays)} returning 1`;
  const timings = await tx`
    delete from ops.step_timings where recorded_at < ${before(input.outcomeDays)} returning 1`;
  const events = await tx`
    delete from ops.events where handled_at < ${before(input.outcomeDays)} returning 1`;
  const logins = await tx`
    delete from ops.api_sessions
    where least(expires_at, coalesce(ended_at, expires_at)) < ${before(input.loginDays)} returning 1`;
  return {
    ...(await expireAlerts(tx, before(input.alertDays))),
    'ops.api_sessions': logins.length,
    'ops.liveness': liveness.length,
    'ops.symbol_outcomes': outcomes.length,
    'ops.step_timings': timings.length,
    'ops.events': events.length,
  };
}

/** Deletes alerts that were over before an instant, and their messages; not the row that says since when alerts are on. */
async function expireAlerts(tx: Tx, before: string): Promise<Record<string, number>> {
  const old = await tx<{ alertId: number }[]>`
    select alert_id from ops.alerts a
    where resolved_at < ${before} and rule <> ${ALERTS_ENABLED} and not exists (
      select 1 from ops.alert_deliveries d where d.alert_id = a.alert_id and d.state = 'pending')
    for update`;
  const ids = old.map(({ alertId }) => alertId);
  const deliveries = await tx`
    delete from ops.alert_deliveries where alert_id = any(${ids}::bigint[]) returning 1`;
  const alerts = await tx`delete from ops.alerts where alert_id = any(${ids}::bigint[]) returning 1`;
  return { 'ops.alerts': alerts.length, 'ops.alert_deliveries': deliveries.length };
}
