import type { AttemptEnd, FailureInfo, Fence, TaskResult } from '../../contracts/activities.ts';
import type { Queryable, Sql, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { SupersededAttempt } from '../errors.ts';
import { downIntervals } from './liveness.ts';
import { OPEN_STATES } from './nights.ts';

export type AttemptState = 'running' | AttemptEnd | 'timed_out' | 'superseded';
export type AttemptRow = {
  taskRunId: string;
  runId: string;
  workflowId: string;
  /** 1, 2, … over the whole task run. */
  attempt: number;
  fenceAttempt: number;
  state: AttemptState;
  startedAt: string;
  completedAt: string | null;
  failure: FailureInfo | null;
};

type LockedRun = { state: string; currentRunId: string | null; fenceAttempt: number };

async function lockTaskRun(tx: Tx, taskRunId: string): Promise<LockedRun> {
  const [row] = await tx<LockedRun[]>`
    select state, current_run_id, fence_attempt from ops.task_runs
    where task_run_id = ${taskRunId} for no key update`;
  if (row === undefined) throw new SupersededAttempt(`task run ${taskRunId} is not known`);
  return row;
}

/**
 * Opens an attempt and makes its run the only one that may write. Older open attempts are closed as
 * timed out (they ended without a word). The same call again changes nothing. Throws SupersededAttempt
 * for an attempt that is older than the current one, or a task run that has ended.
 */
export async function beginAttempt(sql: Sql, fence: Fence): Promise<void> {
  await sql.begin(async (tx) => {
    const run = await lockTaskRun(tx, fence.taskRunId);
    if (run.currentRunId === fence.runId) return;
    if (!OPEN_STATES.some((state) => state === run.state)) {
      throw new SupersededAttempt(`${fence.taskRunId} has ended: ${run.state}`);
    }
    if (fence.attempt <= run.fenceAttempt) {
      throw new SupersededAttempt(
        `attempt ${fence.attempt} of ${fence.taskRunId} comes after attempt ${run.fenceAttempt}`,
      );
    }
    await tx`
      update ops.task_attempts a set state = 'timed_out',
        completed_at = least(now(), a.started_at + t.timeout_ms * interval '1 millisecond')
      from ops.task_runs t
      where t.task_run_id = a.task_run_id and a.task_run_id = ${fence.taskRunId} and a.state = 'running'`;
    await tx`
      update ops.task_runs set state = 'running', reason = null, current_workflow_id = ${fence.workflowId},
        current_run_id = ${fence.runId}, fence_attempt = ${fence.attempt}, attempts = attempts + 1,
        started_at = coalesce(started_at, now()), completed_at = null
      where task_run_id = ${fence.taskRunId}`;
    await tx`
      insert into ops.task_attempts (task_run_id, run_id, workflow_id, attempt, fence_attempt, state)
      select task_run_id, ${fence.runId}, ${fence.workflowId}, attempts, ${fence.attempt}, 'running'
      from ops.task_runs where task_run_id = ${fence.taskRunId}`;
  });
}

/**
 * Closes an attempt and gives its fence up; a success also closes the task run, a failure leaves it
 * open for the next attempt or the starter. The same call again changes nothing. Throws
 * SupersededAttempt when a newer attempt has taken over (the row then says `superseded`).
 */
export async function finishAttempt(
  sql: Sql,
  input: { fence: Fence; end: AttemptEnd; failure: FailureInfo | null; result: TaskResult | null },
): Promise<void> {
  const { fence, end } = input;
  const superseded = await sql.begin(async (tx) => {
    const run = await lockTaskRun(tx, fence.taskRunId);
    const [attempt] = await tx<{ state: AttemptState }[]>`
      select state from ops.task_attempts
      where task_run_id = ${fence.taskRunId} and run_id = ${fence.runId}`;
    if (attempt?.state === end) return false;
    const current = run.currentRunId === fence.runId;
    const failure = input.failure === null ? null : tx.json(jsonb(input.failure));
    await tx`
      update ops.task_attempts set state = ${current ? end : 'superseded'}, completed_at = now(),
        failure = ${failure}
      where task_run_id = ${fence.taskRunId} and run_id = ${fence.runId} and state = 'running'`;
    if (!current) return true;
    const succeeded = end === 'succeeded';
    await tx`
      update ops.task_runs set current_run_id = null, failure = ${failure},
        state = ${succeeded ? 'succeeded' : tx`state`},
        reason = ${succeeded ? null : tx`reason`},
        result = ${input.result === null ? null : tx.json(jsonb(input.result))},
        completed_at = ${succeeded ? tx`now()` : null}
      where task_run_id = ${fence.taskRunId}`;
    return false;
  });
  if (superseded) {
    throw new SupersededAttempt(`run ${fence.runId} of ${fence.taskRunId} is no longer the current attempt`);
  }
}

/** Attempts of task runs, oldest first. */
export async function attemptsOf(sql: Queryable, taskRunIds: readonly string[]): Promise<AttemptRow[]> {
  return await sql<AttemptRow[]>`
    select * from ops.task_attempts where task_run_id = any(${[...taskRunIds]})
    order by task_run_id, attempt`;
}

/**
 * Timed-out attempts since `from` that overlap time in which our runtime was down: infrastructure, not
 * the task. `lastTimedOut` also counts an end of which no row tells (the attempt never got to begin, or
 * its row is still open). Lengths in seconds.
 */
export async function countLostAttempts(
  sql: Queryable,
  input: {
    taskRunId: string;
    from: string;
    to: string;
    timeoutMs: number;
    lastTimedOut: boolean;
    /** Kinds of process that must beat; see `downIntervals`. */
    processes: readonly string[];
    toleranceMs: number;
  },
): Promise<{ lost: number; downSeconds: number }> {
  const down = await downIntervals(sql, input);
  const downSeconds = down.reduce((sum, gap) => sum + (gap.toMs - gap.fromMs) / 1000, 0);
  if (down.length === 0) return { lost: 0, downSeconds };
  const rows = await sql<{ state: AttemptState; startedAt: string; completedAt: string | null }[]>`
    select state, started_at, completed_at from ops.task_attempts
    where task_run_id = ${input.taskRunId} and started_at >= ${input.from} order by attempt`;
  const toMs = Date.parse(input.to);
  const spans = rows
    .filter((row) => row.state === 'timed_out')
    .map((row) => ({
      fromMs: Date.parse(row.startedAt),
      toMs: row.completedAt === null ? toMs : Date.parse(row.completedAt),
    }));
  const newest = rows.at(-1);
  if (input.lastTimedOut && newest?.state !== 'timed_out') {
    const fromMs =
      newest?.state === 'running'
        ? Date.parse(newest.startedAt)
        : Math.max(toMs - input.timeoutMs, Date.parse(input.from));
    spans.push({ fromMs, toMs });
  }
  const lost = spans.filter((span) => down.some((gap) => gap.fromMs < span.toMs && span.fromMs < gap.toMs));
  return { lost: lost.length, downSeconds };
}
