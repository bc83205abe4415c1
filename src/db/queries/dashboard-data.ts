import type { Queryable } from '../client.ts';
import { calendarDates } from './sessions.ts';
import type { QuarantineRow, QuarantineStatus } from './quarantine.ts';

export type SymbolFreshness = {
  symbol: string;
  name: string | null;
  firstBar: string | null;
  lastBar: string | null;
  /** Sessions the exchange held after the newest bar, up to the one that should be here. */
  behind: number;
  doubtful: number;
};

/**
 * Members of the newest list of a universe with the newest bar of each, oldest first. The bars are not counted: two
 * looks into their key for each symbol instead of a pass over all of them.
 */
export async function readFreshness(
  sql: Queryable,
  { universe, through }: { universe: string; through: string | null },
): Promise<SymbolFreshness[]> {
  return await sql<SymbolFreshness[]>`
    with members as (
      select distinct unnest(members) as symbol from (
        select members from market.universes where universe = ${universe}
        order by as_of desc, recorded_at desc limit 1) u),
    spans as (
      select m.symbol,
        (select min(b.session_date) from market.bars b where b.symbol = m.symbol collate "C") as first_bar,
        (select max(b.session_date) from market.bars b where b.symbol = m.symbol collate "C") as last_bar
      from members m),
    newest as (select greatest(max(last_bar), ${through}::date) as last_bar from spans),
    calendar as materialized (${calendarDates(sql)}),
    ages as (
      select d.last_bar, (select count(*) from calendar c, newest n
        where c.session_date > d.last_bar and c.session_date <= n.last_bar) as behind
      from (select distinct last_bar from spans) d)
    select s.symbol, i.name, s.first_bar, last_bar, coalesce(a.behind, 0) as behind,
      (select count(distinct f.session_date) from market.bar_flags f
       where f.symbol = s.symbol and f.severity = 'doubtful' and f.resolved_session is null) as doubtful
    from spans s left join ages a using (last_bar)
    left join market.instruments i on i.symbol = s.symbol collate "C"
    order by last_bar nulls first, s.symbol`;
}

export type SessionCoverage = { sessionDate: string; bars: number; doubtful: number };

/** Members with a bar on each of the newest sessions, newest first. */
export async function readRecentCoverage(
  sql: Queryable,
  input: { symbols: readonly string[]; sessions: number },
): Promise<SessionCoverage[]> {
  const symbols = [...input.symbols];
  return await sql<SessionCoverage[]>`
    with newest as (
      select max((select max(b.session_date) from market.bars b where b.symbol = s.symbol collate "C")) as last
      from unnest(${symbols}::text[]) as s(symbol)),
    days as (
      select c.session_date from (${calendarDates(sql)}) c, newest n
      where c.session_date <= n.last order by c.session_date desc limit ${input.sessions})
    select d.session_date,
      (select count(*) from market.bars b
       where b.session_date = d.session_date and b.symbol = any(${symbols})) as bars,
      (select count(distinct f.symbol) from market.bar_flags f
       where f.session_date = d.session_date and f.symbol = any(${symbols}) and f.severity = 'doubtful'
         and f.resolved_session is null) as doubtful
    from days d order by d.session_date desc`;
}

/** Rows in quarantine, those that wait for a person first, then the ones decided last; at most `limit`. */
export async function readQuarantinePage(
  sql: Queryable,
  input: { symbols: readonly string[]; status: QuarantineStatus | null; limit: number },
): Promise<QuarantineRow[]> {
  return await sql<QuarantineRow[]>`
    select * from market.quarantine
    where symbol = any(${[...input.symbols]})
      and ${input.status === null ? sql`true` : sql`status = ${input.status}`}
    order by (status = 'pending') desc, decided_at desc nulls last, session_date desc, symbol, subject, provider
    limit ${input.limit}`;
}

/** How many rows of these symbols are in quarantine, by state. */
export async function countQuarantine(
  sql: Queryable,
  symbols: readonly string[],
): Promise<Record<QuarantineStatus, number>> {
  const rows = await sql<{ status: QuarantineStatus; rows: number }[]>`
    select status, count(*) as rows from market.quarantine where symbol = any(${[...symbols]}) group by status`;
  const of = (status: QuarantineStatus): number => rows.find((row) => row.status === status)?.rows ?? 0;
  return { pending: of('pending'), released: of('released'), rejected: of('rejected') };
}
