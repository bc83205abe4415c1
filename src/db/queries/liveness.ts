import type { Queryable } from '../client.ts';

/** A stretch of time, ms since 1970. */
export type Interval = { fromMs: number; toMs: number };

/**
 * Records that a process is alive. Beats closer than `maxGapMs` to the last one extend its stretch; a
 * later one begins a new stretch, so that the silence between stays visible.
 */
export async function beat(
  sql: Queryable,
  input: { process: string; host: string; pid: number; maxGapMs: number },
): Promise<void> {
  await sql`
    with extended as (
      update ops.liveness set beat_at = now()
      where process = ${input.process} and host = ${input.host} and pid = ${input.pid}
        and beat_at >= now() - ${input.maxGapMs}::float8 * interval '1 millisecond'
      returning 1)
    insert into ops.liveness (process, host, pid, up_since, beat_at)
    select ${input.process}, ${input.host}, ${input.pid}, now(), now()
    where not exists (select 1 from extended)
    on conflict do nothing`;
}

/** When a process was last heard from (ms since 1970). */
export type LastBeat = { process: string; host: string; pid: number; beatMs: number };

/** The last beat of each process that has beaten within a day. */
export async function readProcessBeats(sql: Queryable): Promise<LastBeat[]> {
  return await sql<LastBeat[]>`
    select process, host, pid, (extract(epoch from max(beat_at)) * 1000)::float8 as beat_ms
    from ops.liveness where beat_at > now() - interval '1 day' group by process, host, pid`;
}

/**
 * Times between `from` and `to` in which at least one of the kinds of process had nobody beating.
 * A stretch counts `toleranceMs` beyond its last beat. A kind without any beat in the day before `to` is not
 * judged: nobody runs it with a login any more, or it is down for so long that a person has to look.
 */
export async function downIntervals(
  sql: Queryable,
  input: { from: string; to: string; processes: readonly string[]; toleranceMs: number },
): Promise<Interval[]> {
  const rows = await sql<Interval[]>`
    with bounds as (select tstzrange(${input.from}, greatest(${input.from}::timestamptz, ${input.to}))::tstzmultirange as asked),
    gaps as (
      select b.asked - range_agg(tstzrange(l.up_since, l.beat_at + ${input.toleranceMs}::float8 * interval '1 millisecond')) as gap
      from ops.liveness l cross join bounds b
      where l.process = any(${[...input.processes]})
      group by l.process, b.asked
      having max(l.beat_at) >= ${input.to}::timestamptz - interval '1 day'),
    merged as (select unnest(range_agg(gap)) as gap from gaps)
    select extract(epoch from lower(gap))::float8 * 1000 as from_ms,
           extract(epoch from upper(gap))::float8 * 1000 as to_ms
    from merged order by 1`;
  return rows.map((row) => ({ fromMs: row.fromMs, toMs: row.toMs }));
}
