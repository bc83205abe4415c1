import type { Task } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { nightRan } from './nights.ts';
import type { OutcomeValues } from './outcomes.ts';
import type { TaskRunRow } from './task-runs.ts';

/** A run that succeeded: whose results its session and universe show. */
export type TaskResultRun = Pick<
  TaskRunRow,
  'taskRunId' | 'sessionDate' | 'universe' | 'universeVersion' | 'configHash' | 'result'
> & { completedAt: string };

/**
 * The run of a task that succeeded last for the newest session, or for the given one; of the given universe, or of that
 * of the newest night that ran. Null where none has. Its report prints the same rows.
 */
export async function findTaskResult(
  sql: Queryable,
  input: { task: Task; sessionDate?: string | undefined; universe?: string | undefined },
): Promise<TaskResultRun | null> {
  const { task, sessionDate, universe } = input;
  const [row] = await sql<TaskResultRun[]>`
    select task_run_id, session_date, universe, universe_version, config_hash, result, completed_at
    from ops.task_runs
    where task = ${task} and state = 'succeeded'
      and ${sessionDate === undefined ? sql`true` : sql`session_date = ${sessionDate}`}
      and universe = ${universe === undefined ? newestUniverse(sql) : universe}
    order by session_date desc, completed_at desc, task_run_id desc limit 1`;
  return row ?? null;
}

/** The same by its id, for whoever goes on with what was begun; null for one that did not succeed. */
export async function findTaskResultById(
  sql: Queryable,
  { task, taskRunId }: { task: Task; taskRunId: string },
): Promise<TaskResultRun | null> {
  const [row] = await sql<TaskResultRun[]>`
    select task_run_id, session_date, universe, universe_version, config_hash, result, completed_at
    from ops.task_runs where task_run_id = ${taskRunId} and task = ${task} and state = 'succeeded'`;
  return row ?? null;
}

/**
 * Sessions of a universe for which a task has succeeded, newest first: at most `later` after a session, and `upTo` of
 * it and those before; without one the newest. With the newest of all, null where the task never has.
 */
export async function readResultSessions(
  sql: Queryable,
  input: { task: Task; universe: string; around: string | null; later: number; upTo: number },
): Promise<{ newest: string | null; sessions: string[] }> {
  const { task, universe, around, later, upTo } = input;
  const rows = await sql<{ sessionDate: string; isNewest: boolean }[]>`
    with known as (
      select distinct session_date from ops.task_runs
      where task = ${task} and state = 'succeeded' and universe = ${universe}),
    newest as (select max(session_date) as session_date from known),
    shown as (
      (select session_date from known where session_date > ${around}::date order by session_date limit ${later})
      union
      (select session_date from known where ${around}::date is null or session_date <= ${around}::date
       order by session_date desc limit ${upTo}))
    select session_date, false as is_newest from shown
    union all
    select session_date, true from newest where session_date is not null
    order by is_newest, session_date desc`;
  return {
    newest: rows.find(({ isNewest }) => isNewest)?.sessionDate ?? null,
    sessions: rows.filter(({ isNewest }) => !isNewest).map(({ sessionDate }) => sessionDate),
  };
}

/** Part of a statement: the universe of the newest night that ran; that of any run where none has. */
function newestUniverse(sql: Queryable) {
  return sql`coalesce((
    select universe from ops.nights where ${nightRan(sql)} order by started_at desc, run_id desc limit 1), universe)`;
}

/** The newest success of each task for each universe, without its result. */
export async function readNewestResults(
  sql: Queryable,
): Promise<{ universe: string; task: Task; sessionDate: string; completedAt: string; taskRunId: string }[]> {
  return await sql`
    select distinct on (universe, task) universe, task, session_date, completed_at, task_run_id
    from ops.task_runs where state = 'succeeded'
    order by universe, task, session_date desc, completed_at desc, task_run_id desc`;
}

/** One revision of predictions and signals: what a scan wrote or found written. */
export type SignalSet = {
  sessionDate: string;
  universe: string;
  universeVersion: string;
  modelVersion: string;
  revision: number;
};

/** Part of a statement: of each session of a universe the set that its newest successful scan names. */
export function scannedSets(sql: Queryable, input: { universe: string; from: string; through: string }) {
  return sql`(
    select distinct on (session_date) session_date, universe, universe_version,
      result ->> 'modelVersion' as model_version, (result ->> 'revision')::int as revision
    from ops.task_runs
    where task = 'overnightScan' and state = 'succeeded' and universe = ${input.universe}
      and session_date between ${input.from} and ${input.through}
      and result ->> 'modelVersion' is not null and result ->> 'revision' is not null
    order by session_date desc, completed_at desc, task_run_id desc)`;
}

/** Part of a statement: the outcome that is known now of the row `s`, which has the key of a prediction; or nothing. */
export function knownOutcome(sql: Queryable) {
  return sql`lateral (
    select true as is_known, entry_session, exit_session, entry_price, exit_price, forward_return, excess_return,
      target_direction, target_excess, missing_reason
    from turbomode.matured_predictions m
    where m.session_date = s.session_date and m.universe = s.universe
      and m.universe_version = s.universe_version and m.model_version = s.model_version
      and m.revision = s.revision and m.symbol = s.symbol and m.invalid_from is null
    order by available_session desc, outcome_version desc limit 1)`;
}

/** How an outcome came back from `knownOutcome`: all null where there is none. */
export type OutcomeColumns = OutcomeValues & {
  isKnown: true | null;
  entrySession: string | null;
  exitSession: string | null;
};
