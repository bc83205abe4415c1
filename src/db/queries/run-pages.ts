import type { NightState, Task, TaskState, Trigger } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import type { NightRow } from './nights.ts';
import type { TaskRunRow } from './task-runs.ts';

/** Where a page ends: rows come in the order of (at, id), newest first. `at` is to the microsecond, as stored. */
export type PageEnd = { at: string; id: string };
/** A row with its own `at`: the instants of rows are cut to milliseconds. */
export type Paged<Row> = Row & { pageAt: string };

export type RunFilter = {
  task?: Task | undefined;
  state?: TaskState | undefined;
  trigger?: Trigger | undefined;
  sessionDate?: string | undefined;
  universe?: string | undefined;
};

/** What lists tell of a task run: results may be large. */
export type TaskRunSummary = Pick<
  TaskRunRow,
  | 'taskRunId'
  | 'task'
  | 'sessionDate'
  | 'universe'
  | 'state'
  | 'reason'
  | 'trigger'
  | 'forced'
  | 'requestedBy'
  | 'attempts'
  | 'maxAttempts'
  | 'createdAt'
  | 'startedAt'
  | 'completedAt'
  | 'reviewDeadline'
>;

/** Task runs, newest first, after the end of the page before; at most `limit`. */
export async function readRunPage(
  sql: Queryable,
  input: { filter: RunFilter; after: PageEnd | null; limit: number },
): Promise<Paged<TaskRunSummary>[]> {
  const { filter, after, limit } = input;
  const { task, state, trigger, sessionDate, universe } = filter;
  return await sql<Paged<TaskRunSummary>[]>`
    select task_run_id, task, session_date, universe, state, reason, trigger, forced, requested_by, attempts,
      max_attempts, created_at, started_at, completed_at, review_deadline,
      ${microseconds(sql, 'created_at')} as page_at
    from ops.task_runs
    where ${task === undefined ? sql`true` : sql`task = ${task}`}
      and ${state === undefined ? sql`true` : sql`state = ${state}`}
      and ${trigger === undefined ? sql`true` : sql`trigger = ${trigger}`}
      and ${sessionDate === undefined ? sql`true` : sql`session_date = ${sessionDate}`}
      and ${universe === undefined ? sql`true` : sql`universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(created_at, task_run_id) < (${after.at}::timestamptz, ${after.id})`}
    order by created_at desc, task_run_id desc limit ${limit}`;
}

export type NightFilter = {
  state?: NightState | undefined;
  trigger?: Trigger | undefined;
  sessionDate?: string | undefined;
  universe?: string | undefined;
};

/** Nights, newest first, after the end of the page before; at most `limit`. */
export async function readNightPage(
  sql: Queryable,
  input: { filter: NightFilter; after: PageEnd | null; limit: number },
): Promise<Paged<NightRow>[]> {
  const { filter, after, limit } = input;
  const { state, trigger, sessionDate, universe } = filter;
  return await sql<Paged<NightRow>[]>`
    select *, ${microseconds(sql, 'started_at')} as page_at from ops.nights
    where ${state === undefined ? sql`true` : sql`state = ${state}`}
      and ${trigger === undefined ? sql`true` : sql`trigger = ${trigger}`}
      and ${sessionDate === undefined ? sql`true` : sql`session_date = ${sessionDate}`}
      and ${universe === undefined ? sql`true` : sql`universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(started_at, run_id) < (${after.at}::timestamptz, ${after.id})`}
    order by started_at desc, run_id desc limit ${limit}`;
}

/** A night by its run id, which no other night has. */
export async function findNightByRun(sql: Queryable, runId: string): Promise<NightRow | null> {
  const [row] = await sql<NightRow[]>`select * from ops.nights where run_id = ${runId}`;
  return row ?? null;
}

/** An instant as text with all its digits. */
function microseconds(sql: Queryable, column: 'created_at' | 'started_at') {
  return column === 'created_at'
    ? sql`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
    : sql`to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}
