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
