import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import type { Absence } from '../../domain/validation/absence.ts';

export type SymbolOutcome = {
  symbol: string;
  status: 'ok' | 'failed' | 'no_data';
  reason: string | null;
  provider: string | null;
  rowsFetched: number;
  rowsInserted: number;
  rowsRevised: number;
  rowsQuarantined: number;
  rowsFlagged: number;
  missingSessions: number;
  firstSession: string | null;
  lastSession: string | null;
  /** `absence` where the symbol has no bar of the night's session. */
  details: Record<string, unknown> & { absence?: Absence };
};

/** One row per symbol of a task run; a later attempt of the same run replaces what an earlier one said. */
export async function storeSymbolOutcomes(
  tx: Tx,
  input: { taskRunId: string; outcomes: readonly SymbolOutcome[] },
): Promise<void> {
  if (input.outcomes.length === 0) return;
  const rows = input.outcomes.map((outcome) => ({
    symbol: outcome.symbol,
    status: outcome.status,
    reason: outcome.reason,
    provider: outcome.provider,
    rows_fetched: outcome.rowsFetched,
    rows_inserted: outcome.rowsInserted,
    rows_revised: outcome.rowsRevised,
    rows_quarantined: outcome.rowsQuarantined,
    rows_flagged: outcome.rowsFlagged,
    missing_sessions: outcome.missingSessions,
    first_session: outcome.firstSession,
    last_session: outcome.lastSession,
    details: outcome.details,
  }));
  await tx`
    insert into ops.symbol_outcomes (task_run_id, symbol, status, reason, provider, rows_fetched, rows_inserted,
      rows_revised, rows_quarantined, rows_flagged, missing_sessions, first_session, last_session, details)
    select ${input.taskRunId}, r.*
    from jsonb_to_recordset(${tx.json(jsonb(rows))}::jsonb) as r(symbol text, status text, reason text,
      provider text, rows_fetched int, rows_inserted int, rows_revised int, rows_quarantined int,
      rows_flagged int, missing_sessions int, first_session date, last_session date, details jsonb)
    on conflict (task_run_id, symbol) do update set status = excluded.status, reason = excluded.reason,
      provider = excluded.provider, rows_fetched = excluded.rows_fetched,
      rows_inserted = excluded.rows_inserted, rows_revised = excluded.rows_revised,
      rows_quarantined = excluded.rows_quarantined, rows_flagged = excluded.rows_flagged,
      missing_sessions = excluded.missing_sessions, first_session = excluded.first_session,
      last_session = excluded.last_session, details = excluded.details, recorded_at = now()`;
}

/** Outcomes of a task run, by symbol; optionally of some symbols or one status only. */
export async function readSymbolOutcomes(
  sql: Queryable,
  filter: { taskRunId: string; symbols?: readonly string[]; status?: SymbolOutcome['status'] },
): Promise<SymbolOutcome[]> {
  return await sql<SymbolOutcome[]>`
    select symbol, status, reason, provider, rows_fetched, rows_inserted, rows_revised, rows_quarantined,
      rows_flagged, missing_sessions, first_session, last_session, details
    from ops.symbol_outcomes
    where task_run_id = ${filter.taskRunId}
      and ${filter.symbols === undefined ? sql`true` : sql`symbol = any(${[...filter.symbols]})`}
      and ${filter.status === undefined ? sql`true` : sql`status = ${filter.status}`}
    order by symbol`;
}

/** Whether ingestion of a later session than this one has begun: a night that runs then is a replay. */
export async function hasLaterIngestion(
  sql: Queryable,
  input: { universe: string; sessionDate: string },
): Promise<boolean> {
  const rows = await sql`
    select 1 from ops.task_runs
    where task = 'ingestion' and universe = ${input.universe} and session_date > ${input.sessionDate}
      and started_at is not null limit 1`;
  return rows.length > 0;
}

/** What the newest run before found of symbols without a bar on a session, as far as sources had answered. */
export async function readEarlierAbsences(
  sql: Queryable,
  input: { universe: string; sessionDate: string; symbols: readonly string[] },
): Promise<Map<string, Absence>> {
  const rows = await sql<{ symbol: string; absence: Absence }[]>`
    select distinct on (o.symbol) o.symbol, o.details -> 'absence' as absence
    from ops.task_runs r join ops.symbol_outcomes o using (task_run_id)
    where r.task = 'ingestion' and r.universe = ${input.universe} and r.session_date = ${input.sessionDate}
      and o.symbol = any(${[...input.symbols]}) and o.status <> 'failed' and o.details -> 'absence' is not null
    order by o.symbol, o.recorded_at desc`;
  return new Map(rows.map(({ symbol, absence }) => [symbol, absence]));
}

/** Notes in each outcome row how many doubtful bars of its symbol the night of `throughSession` knows. */
export async function countFlagsInOutcomes(
  tx: Tx,
  input: { taskRunId: string; universeVersion: string; fromSession: string; throughSession: string },
): Promise<void> {
  await tx`
    update ops.symbol_outcomes o set rows_flagged = f.rows
    from (
      select symbol, count(distinct session_date) as rows from market.bar_flags
      where severity = 'doubtful' and scope in ('', ${input.universeVersion})
        and session_date between ${input.fromSession} and ${input.throughSession}
        and available_session <= ${input.throughSession}
        and (resolved_session is null or resolved_session > ${input.throughSession})
      group by symbol) f
    where o.task_run_id = ${input.taskRunId} and o.symbol = f.symbol and o.rows_flagged <> f.rows`;
}
