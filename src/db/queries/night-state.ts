import type { Queryable } from '../client.ts';

/**
 * Brings the word of an open night up to date: it awaits a review when one of its tasks does and none of the
 * others runs, waits, or could start. Nothing happens for a task run without a night.
 */
export async function refreshNightState(sql: Queryable, taskRunIds: readonly string[]): Promise<void> {
  if (taskRunIds.length === 0) return;
  await sql`
    with touched as (
      select distinct night_workflow_id as workflow_id, night_run_id as run_id
      from ops.task_runs where task_run_id = any(${[...taskRunIds]}) and night_run_id is not null),
    judged as (
      select n.workflow_id, n.run_id,
        case when exists (
            select 1 from ops.task_runs t
            where t.night_workflow_id = n.workflow_id and t.night_run_id = n.run_id and t.state = 'awaiting_review')
          and not exists (
            select 1 from ops.task_runs t
            where t.night_workflow_id = n.workflow_id and t.night_run_id = n.run_id
              and (t.state in ('running', 'waiting') or (t.state = 'pending' and not exists (
                select 1 from ops.task_runs need
                where need.night_workflow_id = n.workflow_id and need.night_run_id = n.run_id
                  and need.task = any(t.depends_on) and need.state <> 'succeeded'))))
          then 'awaiting_review' else 'running' end as state
      from touched n)
    update ops.nights n set state = j.state
    from judged j
    where n.workflow_id = j.workflow_id and n.run_id = j.run_id
      and n.state in ('running', 'awaiting_review') and n.state <> j.state`;
}
