import type {
  AttemptFact,
  CoverageFact,
  DriftFact,
  FailedRunFact,
  MissedFact,
  NightFact,
  PauseFact,
  ReviewFact,
} from '../../domain/alert-rules.ts';
import { REVIEW_EXPIRED } from '../../contracts/wire/messages.ts';
import type { Queryable } from '../client.ts';
import type { Fragment } from '../statement.ts';
import { MISSED_EVENT } from './missed-sessions.ts';
import { OPEN_STATES } from './nights.ts';

/**
 * Nights that run, and of each session the last end where that was `failed` or `partial` and no night of that session
 * or a later one has succeeded since. A scheduled night that began later than its schedule catches up, say because
 * somebody let the schedule run over past sessions, was wanted when it began, not at its nominal instant.
 */
export async function readNightFacts(sql: Queryable): Promise<NightFact[]> {
  const grace = sql`(body ->> 'misfireGraceTimeMs')::float8`;
  return await sql<NightFact[]>`
    with ended as (
      select distinct on (universe, session_date) * from ops.nights
      where state in ('succeeded', 'failed', 'partial')
      order by universe, session_date, completed_at desc, run_id desc),
    telling as (
      select * from ops.nights where state = any(${[...OPEN_STATES]})
      union all
      select e.* from ended e
      where e.state in ('failed', 'partial') and not exists (
        select 1 from ops.nights s
        where s.universe = e.universe and s.state = 'succeeded' and s.session_date >= e.session_date
          and s.completed_at > e.completed_at))
    select session_date, universe, workflow_id, run_id, state, reason,
      ${milliseconds(
        sql,
        sql`case when nominal_instant is null then started_at
          else greatest(nominal_instant, started_at - ${grace} * interval '1 millisecond') end`,
      )} as nominal_ms,
      ${milliseconds(sql, sql`completed_at`)} as completed_ms
    from telling left join ops.configs using (config_hash) order by session_date, universe, run_id`;
}

/** Of each task and universe the newest run that ended by itself or has begun its last attempt. */
export async function readAttemptFacts(sql: Queryable): Promise<AttemptFact[]> {
  return await sql<AttemptFact[]>`
    select distinct on (task, universe) session_date, universe, task_run_id, task, state, attempts, max_attempts,
      coalesce(reason, failure ->> 'message') as reason, ${milliseconds(sql, sql`completed_at`)} as completed_ms
    from ops.task_runs
    where started_at is not null
      and (state in ('succeeded', 'failed') or (state in ('running', 'awaiting_review') and attempts >= max_attempts))
    order by task, universe, started_at desc, task_run_id`;
}

/**
 * Of each task and universe the last run that failed and that no night tells (one by hand, maintenance, or a review
 * that nobody decided in time), if no run of the task has succeeded since.
 */
export async function readFailedRunFacts(sql: Queryable): Promise<FailedRunFact[]> {
  return await sql<FailedRunFact[]>`
    select distinct on (task, universe) session_date, universe, task_run_id, task,
      coalesce(reason, failure ->> 'message') as reason, ${milliseconds(sql, sql`completed_at`)} as completed_ms
    from ops.task_runs r
    where state = 'failed' and completed_at is not null
      and (night_run_id is null or starts_with(reason, ${REVIEW_EXPIRED}))
      and not exists (
        select 1 from ops.task_runs s
        where s.task = r.task and s.universe = r.universe and s.state = 'succeeded'
          and s.completed_at > r.completed_at)
    order by task, universe, completed_at desc, task_run_id desc`;
}

/** Task runs that wait for a person. */
export async function readReviewFacts(sql: Queryable): Promise<ReviewFact[]> {
  return await sql<ReviewFact[]>`
    select session_date, universe, task_run_id, task, attempts, coalesce(reason, failure ->> 'message') as reason,
      ${milliseconds(sql, sql`review_deadline`)} as deadline_ms
    from ops.task_runs where state = 'awaiting_review' order by task_run_id`;
}

/** What the newest ingestion and drift monitoring of each universe found, in one statement. */
export async function readResultFacts(
  sql: Queryable,
): Promise<{ coverage: CoverageFact[]; drift: DriftFact[] }> {
  type Row = CoverageFact & DriftFact & { task: 'ingestion' | 'driftMonitoring' };
  const rows = await sql<(Omit<Row, 'ratio'> & { ratio: number | null })[]>`
    select distinct on (task, universe) task, session_date, universe, task_run_id,
      (result #>> '{coverage,ratio}')::float8 as ratio, coalesce((result #>> '{coverage,members}')::int, 0) as members,
      coalesce((result ->> 'alarms')::int, 0) as alarms,
      coalesce((result ->> 'retrainingFlag')::boolean, false) as retraining_flag,
      result #>> '{reasons,0,words}' as reason, ${milliseconds(sql, sql`completed_at`)} as completed_ms
    from ops.task_runs
    where task in ('ingestion', 'driftMonitoring') and state = 'succeeded' and completed_at is not null
    order by task, universe, session_date desc, completed_at desc`;
  return {
    coverage: rows.flatMap((row) =>
      row.task === 'ingestion' && row.ratio !== null ? [{ ...row, ratio: row.ratio }] : [],
    ),
    drift: rows.filter((row) => row.task === 'driftMonitoring'),
  };
}

/** Schedules that were on once and are paused now, with when their pause began. */
export async function readPauseFacts(sql: Queryable): Promise<PauseFact[]> {
  return await sql<PauseFact[]>`
    select s.schedule_id, s.note,
      ${milliseconds(
        sql,
        sql`coalesce((
          select max(a.at) from ops.audit a where a.action = 'schedule.pause' and a.subject = s.schedule_id
            and a.details ->> 'changed' is distinct from 'false'),
          s.updated_at)`,
      )} as paused_since_ms
    from ops.schedule_state s where s.paused and s.first_enabled_at is not null order by s.schedule_id`;
}

/** Sessions the watchdog reported as missed, that nobody has run since and that nobody has left. */
export async function readMissedEvents(sql: Queryable): Promise<MissedFact[]> {
  return await sql<MissedFact[]>`
    select session_date, subject as universe, coalesce(details ->> 'command', '') as command,
      ${milliseconds(sql, sql`coalesce((details ->> 'nominal')::timestamptz, recorded_at)`)} as nominal_ms
    from ops.events
    where kind = ${MISSED_EVENT} and handled_at is null and session_date is not null
    order by event_id`;
}

/** An instant as ms since 1970. */
function milliseconds(sql: Queryable, instant: Fragment): Fragment {
  return sql`(extract(epoch from ${instant}) * 1000)::float8`;
}
