import type { Queryable } from '../client.ts';
import type { QuarantineRow, QuarantineStatus } from './quarantine.ts';
import { calendarDates } from './sessions.ts';
import type { SymbolOutcome } from './symbol-outcomes.ts';

export type QuarantineEnd = Pick<QuarantineRow, 'symbol' | 'sessionDate' | 'subject' | 'provider'>;

/** Rows in quarantine by symbol, date, subject and provider, after one of them. */
export async function readQuarantinePage(
  sql: Queryable,
  input: {
    filter: { status: QuarantineStatus | undefined; symbol: string | undefined };
    after: QuarantineEnd | null;
    limit: number;
  },
): Promise<QuarantineRow[]> {
  const { status, symbol } = input.filter;
  const { after, limit } = input;
  return await sql<QuarantineRow[]>`
    select * from market.quarantine
    where ${status === undefined ? sql`true` : sql`status = ${status}`}
      and ${symbol === undefined ? sql`true` : sql`symbol = ${symbol}`}
      and ${after === null ? sql`true` : sql`(symbol, session_date, subject, provider) > (${after.symbol}, ${after.sessionDate}, ${after.subject}, ${after.provider})`}
    order by symbol, session_date, subject, provider limit ${limit}`;
}

/** One row in quarantine; null if there is none. */
export async function findQuarantineRow(sql: Queryable, key: QuarantineEnd): Promise<QuarantineRow | null> {
  const [row] = await sql<QuarantineRow[]>`
    select * from market.quarantine
    where symbol = ${key.symbol} and session_date = ${key.sessionDate} and subject = ${key.subject}
      and provider = ${key.provider}`;
  return row ?? null;
}

/** What an ingestion found of each symbol, by symbol, after one of them. */
export async function readOutcomePage(
  sql: Queryable,
  input: {
    taskRunId: string;
    status: SymbolOutcome['status'] | undefined;
    after: string | null;
    limit: number;
  },
): Promise<SymbolOutcome[]> {
  const { taskRunId, status, after, limit } = input;
  return await sql<SymbolOutcome[]>`
    select symbol, status, reason, provider, rows_fetched, rows_inserted, rows_revised, rows_quarantined,
      rows_flagged, missing_sessions, first_session, last_session, details
    from ops.symbol_outcomes
    where task_run_id = ${taskRunId} and ${status === undefined ? sql`true` : sql`status = ${status}`}
      and ${after === null ? sql`true` : sql`symbol > ${after}`}
    order by symbol limit ${limit}`;
}

/** The newest session of the calendar whose close is over at an instant; null before the first. */
export async function findLastClosedSession(
  sql: Queryable,
  at: string,
): Promise<{ sessionDate: string; closeAt: string } | null> {
  const [row] = await sql<{ sessionDate: string; closeAt: string }[]>`
    select session_date, coalesce(o.close_at, s.close_at) as close_at from market.sessions s
    full join (select * from market.session_overrides where removed_at is null) o using (session_date)
    where o.kind is distinct from 'closed' and coalesce(o.close_at, s.close_at) <= ${at}::timestamptz
    order by session_date desc limit 1`;
  return row ?? null;
}

/** Sessions after one and up to another, for each of the first ones. */
export async function countSessionsBehind(
  sql: Queryable,
  input: { from: readonly string[]; through: string },
): Promise<Map<string, number>> {
  const rows = await sql<{ sessionDate: string; behind: number }[]>`
    select f.session_date, count(c.session_date) as behind
    from unnest(${[...new Set(input.from)]}::date[]) as f(session_date)
    left join (${calendarDates(sql)}) c
      on c.session_date > f.session_date and c.session_date <= ${input.through}
    group by f.session_date`;
  return new Map(rows.map(({ sessionDate, behind }) => [sessionDate, behind]));
}

type SourceFreshness = {
  provider: string;
  dataset: string;
  priceBasis: string;
  fetchedAt: string;
  nightSession: string | null;
};

/** The newest delivery of each provider and dataset. */
export async function readSourceFreshness(sql: Queryable): Promise<SourceFreshness[]> {
  return await sql<SourceFreshness[]>`
    select distinct on (provider, dataset) provider, dataset, price_basis, fetched_at, night_session
    from market.bar_sources order by provider, dataset, fetched_at desc, source_id desc`;
}
