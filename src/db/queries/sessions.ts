import { sessionDateOf } from '../../domain/bars.ts';
import type { CalendarOverride, ExchangeSession } from '../../domain/calendar.ts';
import type { Queryable, Tx } from '../client.ts';
import { copyOut } from '../copy.ts';
import { mergeRows } from '../merge.ts';

/** All sessions as stored, without overrides, oldest first. */
export async function readSessions(sql: Queryable): Promise<ExchangeSession[]> {
  const { rows, columns } = await copyOut({
    sql,
    query: 'select session_date, open_at, close_at, early_close from market.sessions order by session_date',
    columns: { day: 'date', open: 'timestamptz', close: 'timestamptz', early: 'bool' },
    expectedRows: 14_000,
  });
  return Array.from({ length: rows }, (_, row) => ({
    sessionDate: sessionDateOf(columns.day[row] ?? 0),
    openMs: columns.open[row] ?? 0,
    closeMs: columns.close[row] ?? 0,
    earlyClose: columns.early[row] === 1,
  }));
}

/** Loads the calendar file; rows that are stored already stay untouched. Returns rows that changed. */
export async function storeSessions(tx: Tx, sessions: readonly ExchangeSession[]): Promise<number> {
  const stored = new Map((await readSessions(tx)).map((session) => [session.sessionDate, session]));
  const changed = sessions.filter((session) => {
    const known = stored.get(session.sessionDate);
    return (
      known === undefined ||
      known.openMs !== session.openMs ||
      known.closeMs !== session.closeMs ||
      known.earlyClose !== session.earlyClose
    );
  });
  const result = await mergeRows({
    tx,
    table: 'market.sessions',
    rows: changed.length,
    key: ['session_date'],
    compare: ['open_at', 'close_at', 'early_close'],
    columns: {
      session_date: { type: 'date', values: changed.map((s) => Date.parse(s.sessionDate) / 86_400_000) },
      open_at: { type: 'timestamptz', values: changed.map((s) => s.openMs) },
      close_at: { type: 'timestamptz', values: changed.map((s) => s.closeMs) },
      early_close: { type: 'bool', values: changed.map((s) => s.earlyClose) },
    },
  });
  return result.inserted + result.updated;
}

/** Part of a statement: the dates of all sessions as `session_date`, with the corrections that hold now. */
export function calendarDates(sql: Queryable) {
  return sql`
    select session_date from market.sessions s
    full join (select * from market.session_overrides where removed_at is null) o using (session_date)
    where o.kind is distinct from 'closed'`;
}

/** Sessions between two dates, both included, with the corrections that hold now. */
export async function readCalendarDates(
  sql: Queryable,
  input: { from: string; through: string },
): Promise<string[]> {
  const rows = await sql<{ sessionDate: string }[]>`
    select session_date from (${calendarDates(sql)}) c
    where session_date between ${input.from} and ${input.through} order by session_date`;
  return rows.map(({ sessionDate }) => sessionDate);
}

type OverrideRow = {
  sessionDate: string;
  kind: 'closed' | 'early_close' | 'hours';
  openAt: string | null;
  closeAt: string | null;
  reason: string;
  sessionOpenAt: string | null;
};

/** Corrections to the calendar, in the form `createCalendar` takes. */
export async function readCalendarOverrides(sql: Queryable): Promise<CalendarOverride[]> {
  const rows = await sql<OverrideRow[]>`
    select o.session_date, o.kind, o.open_at, o.close_at, o.reason, s.open_at as session_open_at
    from market.session_overrides o left join market.sessions s using (session_date)
    where o.removed_at is null
    order by o.session_date`;
  return rows.map((row): CalendarOverride => {
    const openAt = row.openAt ?? row.sessionOpenAt;
    if (row.kind === 'closed') return { sessionDate: row.sessionDate, kind: 'closed', reason: row.reason };
    if (openAt === null || row.closeAt === null) {
      throw new RangeError(`override of ${row.sessionDate} has no hours and there is no such session`);
    }
    return {
      sessionDate: row.sessionDate,
      kind: 'hours',
      openMs: Date.parse(openAt),
      closeMs: Date.parse(row.closeAt),
      earlyClose: row.kind === 'early_close',
      reason: row.reason,
    };
  });
}

export type SessionOverrideRow = {
  sessionDate: string;
  kind: 'closed' | 'early_close' | 'hours';
  openAt: string | null;
  closeAt: string | null;
  reason: string;
  decidedBy: string;
  recordedAt: string;
  /** Set once the correction was taken back. */
  removedAt: string | null;
  removedBy: string | null;
  removeReason: string | null;
};

/** Corrections of the calendar by date, with those that were taken back. */
export async function listSessionOverrides(sql: Queryable): Promise<SessionOverrideRow[]> {
  return await sql<SessionOverrideRow[]>`select * from market.session_overrides order by session_date`;
}

/** The newest correction of a date, taken back or not; nobody else changes it until the transaction ends. */
export async function lockSessionOverride(tx: Tx, sessionDate: string): Promise<SessionOverrideRow | null> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`session_overrides/${sessionDate}`}, 0))`;
  const [row] = await tx<SessionOverrideRow[]>`
    select * from market.session_overrides where session_date = ${sessionDate}`;
  return row ?? null;
}

/** Takes a correction back: the calendar file holds again from now on. */
export async function removeSessionOverride(
  tx: Tx,
  input: { sessionDate: string; by: string; why: string },
): Promise<void> {
  await tx`
    update market.session_overrides set removed_at = now(), removed_by = ${input.by}, remove_reason = ${input.why}
    where session_date = ${input.sessionDate} and removed_at is null`;
}

/** Stores a correction; the newest decision for a date holds. */
export async function saveSessionOverride(
  sql: Queryable,
  input: {
    sessionDate: string;
    kind: 'closed' | 'early_close' | 'hours';
    openAt: string | null;
    closeAt: string | null;
    reason: string;
    decidedBy: string;
  },
): Promise<void> {
  await sql`
    insert into market.session_overrides (session_date, kind, open_at, close_at, reason, decided_by)
    values (${input.sessionDate}, ${input.kind}, ${input.openAt}, ${input.closeAt}, ${input.reason}, ${input.decidedBy})
    on conflict (session_date) do update set kind = excluded.kind, open_at = excluded.open_at,
      close_at = excluded.close_at, reason = excluded.reason, decided_by = excluded.decided_by,
      recorded_at = now(), removed_at = null, removed_by = null, remove_reason = null`;
}

/**
 * The instant up to which the night of a session may know things: the open of the next session, when
 * its predictions are acted on. Falls back to the end of the calendar; overrides are respected.
 */
export async function nightCutoff(sql: Queryable, sessionDate: string): Promise<string> {
  const [row] = await sql<{ cutoff: string }[]>`
    select coalesce(o.open_at, s.open_at) as cutoff
    from market.sessions s
    full join (select * from market.session_overrides where removed_at is null) o using (session_date)
    where session_date > ${sessionDate} and o.kind is distinct from 'closed'
      and coalesce(o.open_at, s.open_at) is not null
    order by session_date limit 1`;
  if (row === undefined) throw new RangeError(`no session after ${sessionDate} is stored`);
  return row.cutoff;
}
