import type { FailureInfo, TaskResult } from '../../contracts/activities.ts';
import { TASKS, type Task, type TaskState } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';

export type LastRun = {
  task: Task;
  taskRunId: string;
  sessionDate: string;
  universe: string;
  state: TaskState;
  startedAt: string;
  completedAt: string | null;
  reason: string | null;
  result: TaskResult | null;
  failure: FailureInfo | null;
};

/** The run of each task that began last, with the single values of its result; tasks that never ran are left out. */
export async function readLastRuns(sql: Queryable): Promise<LastRun[]> {
  return await sql<LastRun[]>`
    select r.* from unnest(${[...TASKS]}::text[]) as t(task)
    cross join lateral (
      select task, task_run_id, session_date, universe, state, started_at, completed_at, reason, failure, (
        select jsonb_object_agg(key, value) from jsonb_each(result)
        where jsonb_typeof(value) not in ('object', 'array')) as result
      from ops.task_runs where task = t.task and started_at is not null
      order by started_at desc limit 1) r`;
}
