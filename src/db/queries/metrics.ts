import { WAITS_FOR_SLOT } from '../../contracts/wire/messages.ts';
import type { Queryable } from '../client.ts';
import { CURRENT_FILE } from './configs.ts';

/** One sample of a family: its labels and its value. */
export type Sample = { labels: Record<string, string>; value: number };
/** Durations of one task: how many took at most each bound (cumulative), the sum and the number of all. */
export type DurationSample = { task: string; counts: number[]; sumSeconds: number; count: number };

/** Upper bounds of task durations, seconds. */
export const DURATION_BOUNDS = [1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14_400];

export async function countNights(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ state: string; value: number }[]>`
    select state, count(*)::float8 as value from ops.nights group by state order by state`;
  return rows.map(({ state, value }) => ({ labels: { state }, value }));
}

export async function countTaskRuns(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ task: string; state: string; value: number }[]>`
    select task, state, count(*)::float8 as value from ops.task_runs group by task, state order by task, state`;
  return rows.map(({ value, ...labels }) => ({ labels, value }));
}

/** Durations of task runs that succeeded, waiting before them left out. */
export async function measureDurations(sql: Queryable): Promise<DurationSample[]> {
  const upTo = DURATION_BOUNDS.map((bound) => sql`count(*) filter (where seconds <= ${bound})`);
  const counts = upTo.reduce((list, one) => sql`${list}, ${one}`);
  return await sql<DurationSample[]>`
    with runs as materialized (
      select task, extract(epoch from completed_at - started_at)::float8 as seconds from ops.task_runs
      where state = 'succeeded' and started_at is not null and completed_at is not null)
    select task, count(*)::float8 as count, sum(seconds) as sum_seconds,
      array[${counts}]::float8[] as counts
    from runs group by task order by task`;
}

export async function countAttempts(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ task: string; state: string; value: number }[]>`
    select r.task, a.state, count(*)::float8 as value
    from ops.task_attempts a join ops.task_runs r using (task_run_id)
    group by r.task, a.state order by r.task, a.state`;
  return rows.map(({ value, ...labels }) => ({ labels, value }));
}

/** Attempts after the first of each run. */
export async function countRetries(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ task: string; value: number }[]>`
    select task, sum(greatest(attempts - 1, 0))::float8 as value from ops.task_runs group by task order by task`;
  return rows.map(({ task, value }) => ({ labels: { task }, value }));
}

/** Slots of the queue: how many there are, are used, are waited for. */
export async function measureSlots(
  sql: Queryable,
): Promise<{ slots: number; used: number; waiting: number }> {
  const [row] = await sql<{ slots: number; used: number; waiting: number }[]>`
    select
      coalesce((select (c.body #>> '{globals,maxConcurrentJobs}')::float8
        from ops.config_applications a join ops.configs c using (config_hash)
        where a.name = ${CURRENT_FILE} order by a.application_id desc limit 1), 0) as slots,
      (select count(*)::float8 from ops.task_runs where state = 'running') as used,
      (select count(*)::float8 from ops.task_runs where state = 'waiting' and reason = ${WAITS_FOR_SLOT}) as waiting`;
  return row ?? { slots: 0, used: 0, waiting: 0 };
}

/** Signals of the newest scan, by side. */
export async function countSignals(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ side: string; value: number }[]>`
    with scan as (
      select session_date, universe, universe_version, result ->> 'modelVersion' as model_version,
        (result ->> 'revision')::int as revision
      from ops.task_runs where task = 'overnightScan' and state = 'succeeded'
      order by session_date desc, completed_at desc limit 1)
    select s.side, count(*)::float8 as value
    from scan join turbomode.signals s using (session_date, universe, universe_version, model_version, revision)
    group by s.side order by s.side`;
  return rows.map(({ side, value }) => ({ labels: { side }, value }));
}

/** Share of symbols with a bar in the newest ingestion; none before the first one. */
export async function measureCoverage(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ value: number | null }[]>`
    select (result #>> '{coverage,ratio}')::float8 as value from ops.task_runs
    where task = 'ingestion' and state = 'succeeded'
    order by session_date desc, completed_at desc limit 1`;
  return rows.flatMap(({ value }) => (value === null ? [] : [{ labels: {}, value }]));
}

export async function countOpenAlerts(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ rule: string; severity: string; value: number }[]>`
    select rule, severity, count(*)::float8 as value from ops.alerts where resolved_at is null
    group by rule, severity order by rule, severity`;
  return rows.map(({ value, ...labels }) => ({ labels, value }));
}

export async function countDeliveries(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ state: string; value: number }[]>`
    select state, count(*)::float8 as value from ops.alert_deliveries group by state order by state`;
  return rows.map(({ state, value }) => ({ labels: { state }, value }));
}

export async function countReviews(sql: Queryable): Promise<Sample[]> {
  const [row] = await sql<{ value: number }[]>`
    select count(*)::float8 as value from ops.task_runs where state = 'awaiting_review'`;
  return [{ labels: {}, value: row?.value ?? 0 }];
}

/** 1: paused, 0: on. */
export async function readPauses(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ schedule: string; paused: boolean }[]>`
    select schedule_id as schedule, paused from ops.schedule_state order by schedule_id`;
  return rows.map(({ schedule, paused }) => ({ labels: { schedule }, value: paused ? 1 : 0 }));
}

/** Seconds since each task last succeeded; tasks that never did are left out. */
export async function measureSuccessAges(sql: Queryable): Promise<Sample[]> {
  const rows = await sql<{ task: string; value: number }[]>`
    select task, extract(epoch from now() - max(completed_at))::float8 as value from ops.task_runs
    where state = 'succeeded' and completed_at is not null group by task order by task`;
  return rows.map(({ task, value }) => ({ labels: { task }, value }));
}
