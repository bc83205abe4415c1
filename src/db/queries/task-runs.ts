import type { FailureInfo, TaskResult, TaskTransition } from '../../contracts/activities.ts';
import type { SlotHolder } from '../../contracts/slots.ts';
import { WAITS_FOR_SLOT } from '../../contracts/wire/messages.ts';
import type { Task, TaskState, Trigger } from '../../contracts/wire/names.ts';
import type { Queryable, Sql } from '../client.ts';
import { jsonb } from '../client.ts';
import { OPEN_STATES } from './nights.ts';

/** Fence numbers are `turn × FENCE_TURN + attempt of the execution`. */
export const FENCE_TURN = 1000;

export type NewTaskRun = {
  taskRunId: string;
  nightWorkflowId: string | null;
  nightRunId: string | null;
  starterWorkflowId: string;
  starterRunId: string;
  task: Task;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  state: TaskState;
  reason: string | null;
  trigger: Trigger;
  forced: boolean;
  requestedBy: string | null;
  maxAttempts: number;
  timeoutMs: number;
  dependsOn: readonly Task[];
  notBefore: string | null;
  configHash: string;
};

export type TaskRunRow = Omit<NewTaskRun, 'dependsOn'> & {
  dependsOn: Task[];
  currentWorkflowId: string | null;
  currentRunId: string | null;
  fenceAttempt: number;
  attempts: number;
  createdAt: string;
  startedAt: string | null;
  completedAt: string | null;
  result: TaskResult | null;
  failure: FailureInfo | null;
  reviewDeadline: string | null;
};

/**
 * Inserts planned task runs in one statement; rows that are there already stay as they are. A run that was asked for by
 * hand stands where it was asked for.
 */
export async function insertTaskRuns(sql: Queryable, runs: readonly NewTaskRun[]): Promise<void> {
  const rows = runs.map((run) => ({ ...run, closed: !OPEN_STATES.some((state) => state === run.state) }));
  await sql`
    insert into ops.task_runs (task_run_id, night_workflow_id, night_run_id, starter_workflow_id,
      starter_run_id, task, session_date, universe, universe_version, state, reason, trigger, forced,
      requested_by, max_attempts, timeout_ms, depends_on, not_before, config_hash, completed_at, created_at)
    select "taskRunId", "nightWorkflowId", "nightRunId", "starterWorkflowId",
      "starterRunId", task, "sessionDate", universe, "universeVersion", state, reason, trigger, forced,
      "requestedBy", "maxAttempts", "timeoutMs", "dependsOn", "notBefore", "configHash",
      case when closed then now() end,
      coalesce((select q.requested_at from ops.run_requests q where q.request_id = r."taskRunId"), now())
    from jsonb_to_recordset(${sql.json(jsonb(rows))}::jsonb) as r("taskRunId" text, "nightWorkflowId" text,
      "nightRunId" text, "starterWorkflowId" text, "starterRunId" text, task text, "sessionDate" date,
      universe text, "universeVersion" text, state text, reason text, trigger text, forced boolean,
      "requestedBy" text, "maxAttempts" int, "timeoutMs" bigint, "dependsOn" text[], "notBefore" timestamptz,
      "configHash" text, closed boolean)
    on conflict (task_run_id) do nothing`;
}

/**
 * Applies transitions in order, in one transaction. States only go forward
 * (pending → waiting → running → awaiting_review → an end); the way back to pending or waiting is open
 * from running (the starter begins anew) and from awaiting_review (a review said retry). An ended task
 * run stays ended, and of two transitions with an order the later one stays. Returns the ids whose transition was
 * refused for that.
 */
export async function transitionTaskRuns(
  sql: Sql,
  transitions: readonly TaskTransition[],
): Promise<{ refused: string[] }> {
  return await sql.begin(async (tx) => {
    const refused: string[] = [];
    for (const transition of transitions) {
      const applied = await applyTransition(tx, transition);
      if (!applied) refused.push(transition.taskRunId);
    }
    return { refused };
  });
}

async function applyTransition(tx: Queryable, transition: TaskTransition): Promise<boolean> {
  const { taskRunId, state, order = null } = transition;
  const open = OPEN_STATES.some((candidate) => candidate === state);
  // An attempt that the starter gave up may write nothing more.
  const keepsFence = state === 'running';
  const rows = await tx`
    update ops.task_runs set
      state = ${state},
      reason = ${transition.reason === undefined ? tx`reason` : transition.reason},
      review_deadline = ${transition.reviewDeadline === undefined ? tx`review_deadline` : transition.reviewDeadline},
      result = ${transition.result === undefined ? tx`result` : resultJson(tx, transition.result)},
      current_run_id = ${keepsFence ? tx`current_run_id` : null},
      started_at = ${state === 'running' ? tx`coalesce(started_at, now())` : tx`started_at`},
      completed_at = ${open ? null : tx`coalesce(completed_at, now())`},
      transition_order = coalesce(${order}::bigint, transition_order)
    where task_run_id = ${taskRunId}
      and (${order}::bigint is null or transition_order < ${order}::bigint)
      and (state = any(${[...OPEN_STATES]}) or state = ${state})
    returning 1`;
  if (rows.length > 0 && !keepsFence) await closeOpenAttempts(tx, taskRunId, state);
  return rows.length > 0;
}

/** Attempts that wrote no end themselves: cancelled with the task, else they ran out of time. */
async function closeOpenAttempts(tx: Queryable, taskRunId: string, state: TaskState): Promise<void> {
  await tx`
    update ops.task_attempts a set
      state = ${state === 'cancelled' ? 'cancelled' : 'timed_out'},
      completed_at = least(now(), a.started_at + t.timeout_ms * interval '1 millisecond')
    from ops.task_runs t
    where t.task_run_id = a.task_run_id and a.task_run_id = ${taskRunId} and a.state = 'running'`;
}

function resultJson(sql: Queryable, result: TaskResult | null): ReturnType<Queryable['json']> | null {
  return result === null ? null : sql.json(jsonb(result));
}

export async function findTaskRun(sql: Queryable, taskRunId: string): Promise<TaskRunRow | null> {
  const [row] = await sql<TaskRunRow[]>`select * from ops.task_runs where task_run_id = ${taskRunId}`;
  return row ?? null;
}

/** Task runs of one night, in the order of their creation. */
export async function taskRunsOfNight(
  sql: Queryable,
  night: { workflowId: string; runId: string },
): Promise<TaskRunRow[]> {
  return await sql<TaskRunRow[]>`
    select * from ops.task_runs
    where night_workflow_id = ${night.workflowId} and night_run_id = ${night.runId}
    order by created_at, task_run_id`;
}

/** Newest task run of each task for a session and universe, by task; nights and manual runs alike. */
export async function latestTaskRuns(
  sql: Queryable,
  input: { sessionDate: string; universe: string },
): Promise<TaskRunRow[]> {
  return await sql<TaskRunRow[]>`
    select distinct on (task) * from ops.task_runs
    where session_date = ${input.sessionDate} and universe = ${input.universe}
    order by task, created_at desc, task_run_id desc`;
}

/** Tasks that succeeded for this session and universe in any run: what a dependency check asks. */
export async function succeededTasks(
  sql: Queryable,
  input: { sessionDate: string; universe: string; universeVersion?: string },
): Promise<Task[]> {
  const rows = await sql<{ task: Task }[]>`
    select distinct task from ops.task_runs
    where session_date = ${input.sessionDate} and universe = ${input.universe} and state = 'succeeded'
      and ${input.universeVersion === undefined ? sql`true` : sql`universe_version = ${input.universeVersion}`}`;
  return rows.map((row) => row.task);
}

/** Newest first; filters are optional. */
export async function listTaskRuns(
  sql: Queryable,
  filter: { task?: Task; sessionDate?: string; states?: readonly TaskState[]; limit?: number } = {},
): Promise<TaskRunRow[]> {
  return await sql<TaskRunRow[]>`
    select * from ops.task_runs
    where ${filter.task === undefined ? sql`true` : sql`task = ${filter.task}`}
      and ${filter.sessionDate === undefined ? sql`true` : sql`session_date = ${filter.sessionDate}`}
      and ${filter.states === undefined ? sql`true` : sql`state = any(${[...filter.states]})`}
    order by created_at desc, task_run_id desc limit ${filter.limit ?? 50}`;
}

/** Runs that hold a slot as the rows tell it: what a new queue takes over from a terminated one. */
export async function findSlotHolders(sql: Queryable): Promise<SlotHolder[]> {
  return await sql<SlotHolder[]>`
    select task_run_id, fence_attempt / ${FENCE_TURN}::int as turn, task,
      starter_workflow_id as workflow_id, starter_run_id as run_id,
      concat_ws('/', task, session_date, universe) as child_id
    from ops.task_runs where state = 'running' order by created_at, task_run_id`;
}

/** Runs that wait for a slot, in the order of their creation, with the configuration that limits them. */
export async function findSlotWaiters(sql: Queryable): Promise<(SlotHolder & { configHash: string })[]> {
  return await sql<(SlotHolder & { configHash: string })[]>`
    select task_run_id, case when attempts = 0 then 0 else fence_attempt / ${FENCE_TURN}::int + 1 end as turn,
      task, starter_workflow_id as workflow_id, starter_run_id as run_id, config_hash,
      concat_ws('/', task, session_date, universe) as child_id
    from ops.task_runs where state = 'waiting' and reason = ${WAITS_FOR_SLOT}
    order by created_at, task_run_id`;
}
