import type { NightState } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { OPEN_STATES } from './nights.ts';

/** Newest nights that an estimate is made of: what was long ago says little of today. */
const MEASURED_SESSIONS = 20;

export type SessionNights = {
  sessionDate: string;
  /** State of the newest night that was not skipped; null if all were. */
  lastState: NightState | null;
  succeeded: boolean;
  open: boolean;
};

/** What became of the nights of a universe, by session; sessions without a night are left out. */
export async function readSessionNights(
  sql: Queryable,
  input: { universe: string; from: string; through: string },
): Promise<SessionNights[]> {
  return await sql<SessionNights[]>`
    select session_date, bool_or(state = 'succeeded') as succeeded,
      bool_or(state = any(${[...OPEN_STATES]})) as open,
      (array_agg(state order by started_at desc) filter (where state <> 'skipped'))[1] as last_state
    from ops.nights
    where universe = ${input.universe} and session_date between ${input.from} and ${input.through}
    group by session_date`;
}

/**
 * Median seconds of work in the newest sessions whose night succeeded, and how many they were. Work is the time in
 * which any attempt ran: a scheduled night also waits for its tasks' own times. Of several nights of one session the
 * longest counts: the others found its results. Null without any.
 */
export async function readNightSeconds(
  sql: Queryable,
  universe: string,
): Promise<{ seconds: number | null; sessions: number }> {
  const [row] = await sql<{ seconds: number | null; sessions: number }[]>`
    with busy as (
      select n.session_date, n.run_id, range_agg(tstzrange(a.started_at, a.completed_at)) as at
      from ops.nights n
        join ops.task_runs t on t.night_workflow_id = n.workflow_id and t.night_run_id = n.run_id
        join ops.task_attempts a on a.task_run_id = t.task_run_id
      where n.universe = ${universe} and n.state = 'succeeded' and a.completed_at is not null
      group by n.session_date, n.workflow_id, n.run_id),
    lengths as (
      select session_date, run_id, (
        select coalesce(sum(extract(epoch from upper(part) - lower(part))), 0) from unnest(at) part) as seconds
      from busy),
    newest as (
      select session_date, max(seconds) as seconds from lengths
      group by session_date order by session_date desc limit ${MEASURED_SESSIONS})
    select percentile_cont(0.5) within group (order by seconds)::float8 as seconds, count(*) as sessions from newest`;
  return row ?? { seconds: null, sessions: 0 };
}
