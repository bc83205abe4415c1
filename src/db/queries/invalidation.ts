import type { Queryable, Tx } from '../client.ts';
import type { EventRow } from './events.ts';

/** Facts that change what master data or the calendar said before. */
const CHANGE_EVENTS = [
  'bar.revised',
  'bar.finalized',
  'bar.released',
  'split.revised',
  'split.released',
  'gap.decided',
  'dividend.revised',
  'fundamentals.revised',
  'session.changed',
];

/** Why an outcome ends, before the session it ends with. */
export const CHANGED_BARS = 'other knowledge of its bars from ';

/** The session whose night asks, and the instant up to which it knows things. */
type AsOf = { sessionDate: string; cutoff: string };

/** A change of a fact is due from the first night that knows it, one of the calendar from its own date on. */
function isDue(sql: Queryable, asOf: AsOf) {
  return sql`kind = any(${CHANGE_EVENTS}) and handled_at is null
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

/**
 * Outcomes that a change at a date reaches: those that enter or leave `on` it; those held `across` it (the price
 * before is in other share units); those that end `from` it on (the symbol is there or not).
 */
export type Reach = 'on' | 'across' | 'from';

/** A bar, split or symbol that says something else, for nights of `effectiveSession` and later. */
export type BarChange = {
  symbol: string;
  sessionDate: string;
  effectiveSession: string;
  reach: Reach;
  reason: string;
};

/** Whether the outcome `m` is reached by the change `c`. */
function isReached(sql: Queryable) {
  return sql`case c.reach
    when 'across' then m.entry_session < c.session_date and m.exit_session >= c.session_date
      and m.available_session < c.effective_session
    when 'from' then m.exit_session >= c.session_date and m.available_session < c.effective_session
    else c.session_date in (m.entry_session, m.exit_session) end`;
}
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
    select u.universe, u.version, c.session_date, c.reach, min(c.effective_session) as effective_session,
      left(string_agg(distinct c.reason, '; '), 500) as reason
    from unnest(${column((one) => one.symbol)}::text[], ${column((one) => one.sessionDate)}::date[],
        ${column((one) => one.effectiveSession)}::date[], ${column((one) => one.reach)}::text[],
        ${column((one) => one.reason)}::text[])
      as c(symbol, session_date, effective_session, reach, reason)
    join market.universes u on c.symbol = any(u.members)
    group by u.universe, u.version, c.session_date, c.reach`;
  const outcomes = await tx`
    with stale as (
      select m.session_date, m.universe, m.universe_version, m.model_version, m.revision, m.symbol,
        m.outcome_version, min(c.effective_session) as effective_session,
        left(string_agg(distinct c.reason, '; '), 500) as reason
      from turbomode.matured_predictions m
      join changed_members c on c.universe = m.universe and c.version = m.universe_version
        and ${isReached(tx)}
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
    select universe, version, ${sessionDate}::date as session_date, 'on' as reach,
      ${sessionDate}::date as effective_session, ${reason}::text as reason
    from market.universes`;
  const nights = await invalidateNights(tx);
  await tx`drop table changed_members`;
  return { outcomes: outcomes.length, ...nights };
}

/** A date on which outcomes of a list of members enter or leave. */
export type OutcomeDate = { universeVersion: string; sessionDate: string };
/** What is known of some member's bar, split or identity changed with a session, or at an instant. */
export type KnowledgeChange = OutcomeDate & { session: string | null; knownAt: string | null; reach: Reach };

/** Dates of the stored outcomes of a universe that hold for the night of a session. */
export async function readOutcomeDates(
  sql: Queryable,
  input: { universe: string; throughSession: string },
): Promise<OutcomeDate[]> {
  return await sql<OutcomeDate[]>`
    select distinct m.universe_version, d.session_date
    from turbomode.matured_predictions m
    cross join lateral (values (m.entry_session), (m.exit_session)) d(session_date)
    where m.universe = ${input.universe} and m.available_session <= ${input.throughSession}
      and (m.invalid_from is null or m.invalid_from > ${input.throughSession})`;
}

/**
 * When what is known of the bars of those dates changed after the night of the date itself: a doubt came or was
 * settled (a session), a bar came late or was replaced (an instant at or after `nextOpenMs`, the open after the date).
 */
export async function readKnowledgeChanges(
  sql: Queryable,
  input: { universe: string; dates: readonly (OutcomeDate & { nextOpenMs: number })[] },
): Promise<KnowledgeChange[]> {
  const { universe, dates } = input;
  if (dates.length === 0) return [];
  const opens = dates.map(({ nextOpenMs }) => new Date(nextOpenMs).toISOString());
  return await sql<KnowledgeChange[]>`
    with places as materialized (
      select d.version, d.session_date, d.next_open, m.symbol
      from unnest(${dates.map((one) => one.universeVersion)}::text[], ${dates.map((one) => one.sessionDate)}::date[],
          ${opens}::timestamptz[]) as d(version, session_date, next_open)
      join market.universes u on u.universe = ${universe} and u.version = d.version
      cross join lateral unnest(u.members) as m(symbol)),
    doubts as (
      select p.version, f.symbol, f.session_date, f.available_session, f.resolved_session
      from market.bar_flags f join places p on p.symbol = f.symbol and p.session_date = f.session_date
      where f.severity = 'doubtful' and f.scope in ('', p.version)),
    turns as (
      select distinct d.version, d.symbol, d.session_date, t.session from doubts d
      cross join lateral (values (d.available_session), (d.resolved_session)) t(session)
      where t.session > d.session_date),
    judged as (
      select t.version, t.session_date, t.session,
        bool_or(d.available_session <= t.session and coalesce(d.resolved_session > t.session, true)) as since,
        bool_or(d.available_session < t.session and coalesce(d.resolved_session >= t.session, true)) as before
      from turns t join doubts d using (version, symbol, session_date)
      group by t.version, t.symbol, t.session_date, t.session)
    select distinct version as universe_version, session_date, session, null::timestamptz as known_at, 'on' as reach
    from judged where since <> before
    union
    select p.version, p.session_date, null::date, b.available_at, 'on'
    from places p
    join (select symbol, session_date, available_at from market.bars
          union all select symbol, session_date, available_at from market.bar_revisions) b
      on b.symbol = p.symbol and b.session_date = p.session_date and b.available_at >= p.next_open`;
}

/**
 * When splits and the identity of members changed for nights after the fact: another version of a split, one that
 * came late or that a person released, a decision about a long gap. Only what can reach outcomes up to `last`.
 */
export async function readMemberChanges(
  sql: Queryable,
  input: { universe: string; versions: readonly string[]; first: string; last: string },
): Promise<KnowledgeChange[]> {
  const { universe, versions, first, last } = input;
  return await sql<KnowledgeChange[]>`
    with members as materialized (
      select u.version, m.symbol from market.universes u cross join lateral unnest(u.members) as m(symbol)
      where u.universe = ${universe} and u.version = any(${[...versions]})),
    versions as (
      select symbol, ex_date, available_on from market.splits
      union all select symbol, ex_date, available_on from market.split_revisions)
    select distinct m.version as universe_version, v.ex_date as session_date, v.available_on as session,
      null::timestamptz as known_at, 'across' as reach
    from versions v join members m on m.symbol = v.symbol
    where v.available_on > v.ex_date and v.ex_date between ${first} and ${last}
    union
    select m.version, q.session_date, null, q.decided_at, case q.subject when 'gap' then 'from' else 'across' end
    from market.quarantine q join members m on m.symbol = q.symbol
    where q.decided_by <> 'ingestion' and q.session_date <= ${last}
      and ((q.subject = 'gap' and q.status <> 'pending')
        or (q.subject like 'split %' and q.status = 'released' and q.session_date >= ${first}))`;
}

/**
 * Ends outcomes with the first change of a bar they are made of, up to a session. Values stay; later nights make
 * another outcome. Returns how many were ended.
 */
export async function endOutcomes(
  tx: Tx,
  input: {
    universe: string;
    throughSession: string;
    changes: readonly (OutcomeDate & { effectiveSession: string; reach: Reach })[];
  },
): Promise<number> {
  const { universe, throughSession, changes } = input;
  if (changes.length === 0) return 0;
  const ended = await tx`
    with stale as (
      select m.session_date, m.universe_version, m.model_version, m.revision, m.symbol, m.outcome_version,
        min(c.effective_session) as effective_session
      from turbomode.matured_predictions m
      join unnest(${changes.map((one) => one.universeVersion)}::text[], ${changes.map((one) => one.sessionDate)}::date[],
          ${changes.map((one) => one.effectiveSession)}::date[], ${changes.map((one) => one.reach)}::text[])
        as c(version, session_date, effective_session, reach)
        on c.version = m.universe_version and ${isReached(tx)}
          and c.effective_session > m.available_session
      where m.universe = ${universe} and c.effective_session <= ${throughSession}
        and (m.invalid_from is null or m.invalid_from > c.effective_session)
        and m.missing_reason is distinct from 'notASession'
      group by 1, 2, 3, 4, 5, 6)
    update turbomode.matured_predictions m
    set invalid_from = s.effective_session, invalid_reason = ${CHANGED_BARS} || s.effective_session
    from stale s
    where m.universe = ${universe} and m.session_date = s.session_date
      and m.universe_version = s.universe_version and m.model_version = s.model_version
      and m.revision = s.revision and m.symbol = s.symbol and m.outcome_version = s.outcome_version
    returning 1`;
  return ended.length;
}
