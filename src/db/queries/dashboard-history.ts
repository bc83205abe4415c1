import type { NightState, Task, TaskState } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { calendarDates } from './sessions.ts';

/** Universes that have had a night, the one of the newest first. */
export async function readNightUniverses(sql: Queryable): Promise<string[]> {
  const rows = await sql<{ universe: string }[]>`
    select universe from ops.nights group by universe order by max(started_at) desc, universe`;
  return rows.map(({ universe }) => universe);
}

/** First and last session of a universe's nights; null before the first one. */
export async function readNightSpan(
  sql: Queryable,
  universe: string,
): Promise<{ first: string; last: string } | null> {
  const [row] = await sql<{ first: string | null; last: string | null }[]>`
    select min(session_date) as first, max(session_date) as last from ops.nights where universe = ${universe}`;
  return row === undefined || row.first === null || row.last === null
    ? null
    : { first: row.first, last: row.last };
}

export type NightCell = {
  sessionDate: string;
  runId: string;
  state: NightState;
  reason: string | null;
  nights: number;
};
export type TaskCell = {
  sessionDate: string;
  task: Task;
  taskRunId: string;
  state: TaskState;
  reason: string | null;
  attempts: number;
};

/**
 * Of each session in a range: the night that says most (one that ran before one that did not), and the newest run of
 * each task, of nights and by hand alike. Both with the sessions of the calendar in that range.
 */
export async function readHistory(
  sql: Queryable,
  input: { universe: string; from: string; to: string },
): Promise<{ sessions: string[]; nights: NightCell[]; tasks: TaskCell[] }> {
  const { universe, from, to } = input;
  const [sessions, nights, tasks] = await Promise.all([
    sql<{ sessionDate: string }[]>`
      select session_date from (${calendarDates(sql)}) c where session_date between ${from} and ${to} order by 1`,
    sql<NightCell[]>`
      select distinct on (session_date) session_date, run_id, state, reason,
        (count(*) over (partition by session_date))::int as nights
      from ops.nights where universe = ${universe} and session_date between ${from} and ${to}
      order by session_date, (state in ('skipped', 'no_session')), started_at desc, run_id desc`,
    sql<TaskCell[]>`
      select distinct on (session_date, task) session_date, task, task_run_id, state, reason, attempts
      from ops.task_runs where universe = ${universe} and session_date between ${from} and ${to}
        and task <> 'weeklyMaintenance'
      order by session_date, task, created_at desc, task_run_id desc`,
  ]);
  return { sessions: sessions.map(({ sessionDate }) => sessionDate), nights: [...nights], tasks: [...tasks] };
}
