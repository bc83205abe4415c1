import type { Queryable, Tx } from '../client.ts';
import type { EventRow } from './events.ts';

/** Facts that change what the bars or the calendar said before. */
export const CHANGE_EVENTS = ['bar.revised', 'bar.finalized', 'bar.released', 'session.changed'] as const;

/** The session whose night asks, and the instant up to which it knows things. */
type AsOf = { sessionDate: string; cutoff: string };

/** A change of a bar is due from the first night that knows it, one of the calendar from its own date on. */
function isDue(sql: Queryable, asOf: AsOf) {
  return sql`kind = any(${[...CHANGE_EVENTS]}) and handled_at is null
    and case when kind = 'session.changed' then session_date <= ${asOf.sessionDate}
      else coalesce((details ->> 'availableAt')::timestamptz, recorded_at) < ${asOf.cutoff} end`;
}

/** Whether there is a change nobody has acted on and this night knows. */
export async function hasDueChanges(sql: Queryable, asOf: AsOf): Promise<boolean> {
  const rows = await sql`select 1 from ops.events where ${isDue(sql, asOf)} limit 1`;
  return rows.length > 0;
}

/** Those changes, oldest first, kept from other runs until the transaction ends. */
export async function lockDueChanges(tx: Tx, asOf: AsOf): Promise<EventRow[]> {
  return await tx<EventRow[]>`select * from ops.events where ${isDue(tx, asOf)} order by event_id for update`;
}

/** A bar that says something else, for nights of `effectiveSession` and later. */
export type BarChange = { symbol: string; sessionDate: string; effectiveSession: string; reason: string };
/** A date that became a session or is none any more. */
export type SessionChange = { sessionDate: string; reason: string };

export type InvalidatedRows = {
  outcomes: number;
  datasets: number;
  features: number;
  backtests: number;
  driftRows: number;
};

/**
 * Marks what was made of a bar that says something else now: outcomes of all members of each list with that symbol
 * (an excess return is taken from the median of all), and what nights that should have known it left. Values stay.
 */
export async function invalidateBars(tx: Tx, changes: readonly BarChange[]): Promise<InvalidatedRows> {
  const column = (pick: (change: BarChange) => string): string[] => changes.map(pick);
  await tx`
    create temp table changed_members on commit drop as
    select u.universe, u.version, c.session_date, min(c.effective_session) as effective_session,
      left(string_agg(distinct c.reason, '; '), 500) as reason
    from unnest(${column((one) => one.symbol)}::text[], ${column((one) => one.sessionDate)}::date[],
        ${column((one) => one.effectiveSession)}::date[], ${column((one) => one.reason)}::text[])
      as c(symbol, session_date, effective_session, reason)
    join market.universes u on c.symbol = any(u.members)
    group by u.universe, u.version, c.session_date`;
  const outcomes = await tx`
    with stale as (
      select m.session_date, m.universe, m.universe_version, m.model_version, m.revision, m.symbol,
        m.outcome_version, min(c.effective_session) as effective_session,
        left(string_agg(distinct c.reason, '; '), 500) as reason
      from turbomode.matured_predictions m
      join changed_members c on c.universe = m.universe and c.version = m.universe_version
        and c.session_date in (m.entry_session, m.exit_session)
      where m.invalid_from is null or m.invalid_from > c.effective_session
      group by 1, 2, 3, 4, 5, 6, 7)
    update turbomode.matured_predictions m set invalid_from = s.effective_session, invalid_reason = s.reason
    from stale s
    where m.session_date = s.session_date and m.universe = s.universe
      and m.universe_version = s.universe_version and m.model_version = s.model_version
      and m.revision = s.revision and m.symbol = s.symbol and m.outcome_version = s.outcome_version
    returning 1`;
  const nights = await invalidateNights(tx);
  await tx`drop table changed_members`;
  return { outcomes: outcomes.length, ...nights };
}

/** Rows of nights that are as of a change or later and reach back to it. Reads `changed_members`. */
async function invalidateNights(tx: Tx): Promise<Omit<InvalidatedRows, 'outcomes'>> {
  const since = tx`t.universe_version = c.version and t.session_date >= c.effective_session
    and t.session_date >= c.session_date and t.invalid_reason is null`;
  const datasets = await tx`
    update turbomode.datasets t set invalid_reason = c.reason from changed_members c
    where t.universe = c.universe and ${since} and (t.manifest -> 'sessions' ->> 0)::date <= c.session_date
    returning 1`;
  const features = await tx`
    update turbomode.session_features t set invalid_reason = c.reason from changed_members c
    where ${since} returning 1`;
  const backtests = await tx`
    update turbomode.backtest_runs t set invalid_reason = c.reason from changed_members c
    where t.universe = c.universe and ${since} returning 1`;
  const drift = await tx`
    update turbomode.drift_log t set invalid_reason = c.reason from changed_members c
    where t.universe = c.universe and ${since} returning 1`;
  return {
    datasets: datasets.length,
    features: features.length,
    backtests: backtests.length,
    driftRows: drift.length,
  };
}

/**
 * Marks what was made with a date that is a session now, or is none any more: outcomes of predictions that hold
 * over it or were made on it, and everything of nights from that date on, of every universe.
 */
export async function invalidateSession(tx: Tx, change: SessionChange): Promise<InvalidatedRows> {
  const { sessionDate, reason } = change;
  const outcomes = await tx`
    update turbomode.matured_predictions set invalid_from = ${sessionDate}, invalid_reason = ${reason}
    where (session_date = ${sessionDate}
        or (session_date < ${sessionDate} and exit_session >= ${sessionDate}))
      and (invalid_from is null or invalid_from > ${sessionDate})
    returning 1`;
  await tx`
    create temp table changed_members on commit drop as
    select universe, version, ${sessionDate}::date as session_date, ${sessionDate}::date as effective_session,
      ${reason}::text as reason
    from market.universes`;
  const nights = await invalidateNights(tx);
  await tx`drop table changed_members`;
  return { outcomes: outcomes.length, ...nights };
}
