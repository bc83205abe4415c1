import type { Queryable, Sql } from '../client.ts';
import { OPEN_STATES } from './nights.ts';

/** A workflow that some open row says is running: a night, or the starter of a manual run. */
export type OpenStarter = {
  workflowId: string;
  runId: string;
  kind: 'night' | 'manual';
  since: string;
  sessionDate: string;
  /** Null: a night's. */
  taskRunId: string | null;
};

/** Every workflow that open rows depend on, oldest first. */
export async function openStarters(sql: Queryable): Promise<OpenStarter[]> {
  const open = [...OPEN_STATES];
  return await sql<OpenStarter[]>`
    select workflow_id, run_id, 'night' as kind, started_at as since, session_date, null as task_run_id
    from ops.nights where state = any(${open})
    union
    select starter_workflow_id, starter_run_id, case when night_run_id is null then 'manual' else 'night' end,
      min(created_at), min(session_date), min(case when night_run_id is null then task_run_id end)
    from ops.task_runs where state = any(${open})
    group by 1, 2, 3
    order by since`;
}

/**
 * Closes all open rows of a starter that is gone: a terminated workflow runs no code. The night, its
 * task runs and their attempts end `failed` (or `cancelled`) with the reason. Returns rows closed.
 */
export async function closeGoneStarter(
  sql: Sql,
  input: { workflowId: string; runId: string; state: 'failed' | 'cancelled'; reason: string },
): Promise<number> {
  const open = [...OPEN_STATES];
  return await sql.begin(async (tx) => {
    const tasks = await tx<{ taskRunId: string }[]>`
      update ops.task_runs set state = ${input.state}, reason = ${input.reason}, completed_at = now(),
        current_run_id = null
      where starter_workflow_id = ${input.workflowId} and starter_run_id = ${input.runId}
        and state = any(${open})
      returning task_run_id`;
    await tx`
      update ops.task_attempts set state = ${input.state}, completed_at = now()
      where task_run_id = any(${tasks.map((task) => task.taskRunId)}) and state = 'running'`;
    const nights = await tx`
      update ops.nights set state = ${input.state}, reason = ${input.reason}, completed_at = now()
      where workflow_id = ${input.workflowId} and run_id = ${input.runId} and state = any(${open})
      returning 1`;
    return tasks.length + nights.length;
  });
}

/** Keys of the advisory locks that pick one process out of many. */
export const LEADER_LOCKS = { reconciler: 7_302_201, watchdog: 7_302_202, alerts: 7_302_203 } as const;

/**
 * Runs `work` if nobody else holds the lock; otherwise returns null at once. The lock lives on its own
 * connection and is freed with it, also when the process dies.
 */
export async function withLeaderLock<T>(
  sql: Sql,
  key: number,
  work: () => Promise<T>,
): Promise<{ result: T } | null> {
  const connection = await sql.reserve();
  try {
    const [row] = await connection<{ locked: boolean }[]>`select pg_try_advisory_lock(${key}) as locked`;
    if (row?.locked !== true) return null;
    try {
      return { result: await work() };
    } finally {
      await connection`select pg_advisory_unlock(${key})`;
    }
  } finally {
    connection.release();
  }
}
