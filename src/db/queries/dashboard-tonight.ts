import type { TaskState } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { OPEN_STATES } from './nights.ts';
import type { RunRequestRow } from './requests.ts';
import { countSessionsBehind } from './result-data.ts';
import type { TaskRunRow } from './task-runs.ts';

/** When a kind of our workers was last heard from; kinds that never were are left out. */
export async function readLastBeats(sql: Queryable): Promise<{ process: string; beatAt: string }[]> {
  return await sql<{ process: string; beatAt: string }[]>`
    select process, max(beat_at) as beat_at from ops.liveness group by process order by process`;
}

/** The newest session with a bar, and how many it is behind the one that should be here; null where none is stored. */
export async function readDataAge(
  sql: Queryable,
  lastSession: string | null,
): Promise<{ newestBar: string | null; lastSession: string | null; sessionsBehind: number }> {
  const newestBar = await findNewestBar(sql);
  if (newestBar === null || lastSession === null) return { newestBar, lastSession, sessionsBehind: 0 };
  const behind = await countSessionsBehind(sql, { from: [newestBar], through: lastSession });
  return { newestBar, lastSession, sessionsBehind: behind.get(newestBar) ?? 0 };
}

/** By symbol, as the key of the bars has it: two looks into it for each, where `max` would read all bars. */
async function findNewestBar(sql: Queryable): Promise<string | null> {
  const [row] = await sql<{ newestBar: string | null }[]>`
    with recursive symbols as (
      (select symbol from market.bars order by symbol limit 1)
      union all
      select (select b.symbol from market.bars b where b.symbol > s.symbol order by b.symbol limit 1)
      from symbols s where s.symbol is not null)
    select max((select max(b.session_date) from market.bars b where b.symbol = s.symbol)) as newest_bar
    from symbols s where s.symbol is not null`;
  return row?.newestBar ?? null;
}

/** Task runs by hand (of no night): those that are open, then the ones asked for last; at most `limit`. */
export async function readManualRuns(sql: Queryable, limit: number): Promise<TaskRunRow[]> {
  return await sql<TaskRunRow[]>`
    select * from ops.task_runs where night_run_id is null
    order by (state = any(${[...OPEN_STATES]})) desc, created_at desc, task_run_id desc limit ${limit}`;
}

/** Manual runs that nobody has taken yet, and those that were refused within the last hour. */
export async function readOpenRequests(sql: Queryable): Promise<RunRequestRow[]> {
  return await sql<RunRequestRow[]>`
    select r.* from ops.run_requests r
    where not exists (select 1 from ops.task_runs t where t.task_run_id = r.request_id)
      and (r.refused_reason is null or r.requested_at > now() - interval '1 hour')
    order by r.requested_at desc limit 10`;
}

/** Task runs that wait for a person, whichever night they are of; oldest first. */
export async function readWaitingReviews(sql: Queryable): Promise<TaskRunRow[]> {
  const state: TaskState = 'awaiting_review';
  return await sql<TaskRunRow[]>`
    select * from ops.task_runs where state = ${state} order by created_at, task_run_id`;
}

/** How many task runs wait for a person. */
export async function countWaitingReviews(sql: Queryable): Promise<number> {
  const state: TaskState = 'awaiting_review';
  const [row] = await sql<{ waiting: number }[]>`
    select count(*)::int as waiting from ops.task_runs where state = ${state}`;
  return row?.waiting ?? 0;
}

/** The last acts of people about these subjects from a minute before an instant on, oldest first; at most 50. */
export async function readActsAbout(
  sql: Queryable,
  input: { subjects: readonly string[]; since: string },
): Promise<{ at: string; actor: string; action: string; why: string | null }[]> {
  const rows = await sql<{ at: string; actor: string; action: string; why: string | null }[]>`
    select at, actor, action, why from ops.audit
    where subject = any(${[...input.subjects]}) and at >= ${input.since}::timestamptz - interval '1 minute'
    order by audit_id desc limit 50`;
  return rows.toReversed();
}
