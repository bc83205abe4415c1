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
  | 'createdAt'
  | 'startedAt'
  | 'completedAt'
  | 'reviewDeadline'
> & {
  /** Null until the run is planned. */
  maxAttempts: number | null;
};

type RunPageInput = { filter: RunFilter; after: PageEnd | null; limit: number };

/**
 * Task runs, newest first, after the end of the page before; at most `limit`. Runs by hand that the queue has not taken
 * yet are among them, and those it refused; all stand where they were asked for, so that none moves when it is taken.
 */
export async function readRunPage(sql: Queryable, input: RunPageInput): Promise<Paged<TaskRunSummary>[]> {
  // First: what is taken between the two statements is then in both, rather than in none.
  const asked = await readRequestPage(sql, input);
  const runs = await readTaskRunPage(sql, input);
  const known = new Set(runs.map(({ taskRunId }) => taskRunId));
  const rows = [...runs, ...asked.filter(({ taskRunId }) => !known.has(taskRunId))];
  return rows.toSorted(newestFirst).slice(0, input.limit);
}

function newestFirst(a: Paged<TaskRunSummary>, b: Paged<TaskRunSummary>): number {
  const [left, right] = a.pageAt === b.pageAt ? [a.taskRunId, b.taskRunId] : [a.pageAt, b.pageAt];
  return left < right ? 1 : -1;
}

async function readRequestPage(
  sql: Queryable,
  { filter, after, limit }: RunPageInput,
): Promise<Paged<TaskRunSummary>[]> {
  const { task, state, trigger, sessionDate, universe } = filter;
  if (state !== undefined && state !== 'pending' && state !== 'failed') return [];
  const isRefused = sql`refused_reason is not null`;
  return await sql<Paged<TaskRunSummary>[]>`
    select request_id as task_run_id, task, session_date, universe,
      case when ${isRefused} then 'failed' else 'pending' end as state, refused_reason as reason, trigger,
      force as forced, requested_by, 0 as attempts, null as max_attempts, requested_at as created_at,
      null as started_at, null as completed_at, null as review_deadline,
      ${microseconds(sql, 'requested_at')} as page_at
    from ops.run_requests q
    where not exists (select 1 from ops.task_runs t where t.task_run_id = q.request_id)
      and ${state === undefined ? sql`true` : state === 'failed' ? isRefused : sql`not (${isRefused})`}
      and ${task === undefined ? sql`true` : sql`task = ${task}`}
      and ${trigger === undefined ? sql`true` : sql`trigger = ${trigger}`}
      and ${sessionDate === undefined ? sql`true` : sql`session_date = ${sessionDate}`}
      and ${universe === undefined ? sql`true` : sql`universe = ${universe}`}
      and ${after === null ? sql`true` : sql`(requested_at, request_id) < (${after.at}::timestamptz, ${after.id})`}
    order by requested_at desc, request_id desc limit ${limit}`;
}

async function readTaskRunPage(
  sql: Queryable,
  { filter, after, limit }: RunPageInput,
): Promise<Paged<TaskRunSummary>[]> {
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
function microseconds(sql: Queryable, column: 'created_at' | 'started_at' | 'requested_at') {
  return sql`to_char(${sql(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}
