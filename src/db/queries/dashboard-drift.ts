import type { Queryable } from '../client.ts';
import type { BaselineKind, RetrainingFlag } from './drift.ts';

export type DriftCell = {
  sessionDate: string;
  feature: string;
  status: string;
  psi: number | null;
  psiCritical: number | null;
};

/**
 * What was found for each series against one kind of baseline in these sessions, of each session for the members that
 * its newest successful run watched; the newest of several feature sets.
 */
export async function readDriftCells(
  sql: Queryable,
  input: { universe: string; sessions: readonly string[]; kind: BaselineKind },
): Promise<DriftCell[]> {
  return await sql<DriftCell[]>`
    with shown as (
      select distinct on (session_date) session_date, universe, universe_version from ops.task_runs
      where task = 'driftMonitoring' and state = 'succeeded' and universe = ${input.universe}
        and session_date = any(${[...input.sessions]}::date[])
      order by session_date, completed_at desc, task_run_id desc)
    select distinct on (session_date, feature) session_date, feature, status, psi, psi_critical
    from turbomode.drift_log join shown using (session_date, universe, universe_version)
    where baseline_kind = ${input.kind}
    order by session_date, feature, recorded_at desc`;
}

/** A flag that was raised, and the first monitoring after it that found no alarm any more; null: it is in force. */
export type LastFlag = RetrainingFlag & { overSince: string | null };

/**
 * The newest retraining flag of a universe up to a session, as that session knew it. Alarms that go on keep it in
 * force: within the cool-down they do not raise it anew.
 */
export async function findLastFlag(
  sql: Queryable,
  input: { universe: string; through: string },
): Promise<LastFlag | null> {
  const [row] = await sql<LastFlag[]>`
    with flag as (
      select session_date, universe, universe_version, model_version, reasons, task_run_id
      from turbomode.retraining_flags
      where universe = ${input.universe} and session_date <= ${input.through}
        and jsonb_array_length(reasons) > 0
      order by session_date desc, recorded_at desc limit 1),
    later as (
      select distinct on (session_date) session_date, coalesce((result ->> 'alarms')::int, 0) as alarms
      from ops.task_runs
      where task = 'driftMonitoring' and state = 'succeeded' and universe = ${input.universe}
        and session_date > (select session_date from flag) and session_date <= ${input.through}
      order by session_date, completed_at desc, task_run_id desc)
    select f.*, (select min(session_date) from later where alarms = 0) as over_since from flag f`;
  return row ?? null;
}
