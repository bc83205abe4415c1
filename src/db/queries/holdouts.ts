import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { heldOutcomes, type StoredTrackRow, type TrackRow, trackRowOf } from './outcomes.ts';

/** What a quarter of live predictions was worth, as it was said once. */
export type HoldoutOpening = {
  universe: string;
  /** `2017-Q4`. */
  quarter: string;
  firstSession: string;
  lastSession: string;
  sessions: number;
  calendarSessions: number;
  predictions: number;
  withoutOutcome: number;
  ic: number | null;
  icLower: number | null;
  icUpper: number | null;
  icSessions: number;
  logLoss: number | null;
  baseRateLogLoss: number | null;
  logLossGain: number | null;
  logLossGainLower: number | null;
  logLossGainUpper: number | null;
  verdict: 'edge' | 'no_edge';
  words: string;
  details: unknown;
  trials: number;
  openedSession: string;
  taskRunId: string;
};

/** `isKnown`: the night that asks may tell of it. */
export type KnownOpening = HoldoutOpening & { isKnown: boolean; recordedAt: string };

/**
 * Every quarter of a universe that was opened. A night knows what it opened itself and what earlier sessions had
 * opened by the instant up to which it reads them.
 */
export async function readHoldoutOpenings(
  sql: Queryable,
  input: { universe: string; sessionDate: string; writtenThrough: string },
): Promise<KnownOpening[]> {
  return await sql<KnownOpening[]>`
    select *, opened_session = ${input.sessionDate}
      or (opened_session < ${input.sessionDate} and recorded_at <= ${input.writtenThrough}) as is_known
    from turbomode.holdout_openings where universe = ${input.universe} order by quarter`;
}

/** Stores an opening; a quarter that was opened stays what it was. Returns whether this one did it. */
export async function insertHoldoutOpening(tx: Tx, row: HoldoutOpening): Promise<boolean> {
  const inserted = await tx`
    insert into turbomode.holdout_openings (universe, quarter, first_session, last_session, sessions,
      calendar_sessions, predictions, without_outcome, ic, ic_lower, ic_upper, ic_sessions, log_loss,
      base_rate_log_loss, log_loss_gain, log_loss_gain_lower, log_loss_gain_upper, verdict, words, details, trials,
      opened_session, task_run_id)
    values (${row.universe}, ${row.quarter}, ${row.firstSession}, ${row.lastSession}, ${row.sessions},
      ${row.calendarSessions}, ${row.predictions}, ${row.withoutOutcome}, ${row.ic}, ${row.icLower}, ${row.icUpper},
      ${row.icSessions}, ${row.logLoss}, ${row.baseRateLogLoss}, ${row.logLossGain}, ${row.logLossGainLower},
      ${row.logLossGainUpper}, ${row.verdict}, ${row.words}, ${tx.json(jsonb(row.details))}, ${row.trials},
      ${row.openedSession}, ${row.taskRunId})
    on conflict (universe, quarter) do nothing returning 1`;
  return inserted.length > 0;
}

/**
 * Sets of predictions that were issued first and before their outcome existed, one for each session before that of
 * the night.
 */
function liveSets(sql: Queryable, input: { universe: string; sessionDate: string }) {
  return sql`(
    select distinct on (session_date) session_date, universe_version, model_version, revision
    from turbomode.predictions
    where universe = ${input.universe} and session_date < ${input.sessionDate} and not simulated
    order by session_date, written_at, universe_version, model_version, revision)`;
}

/** Those sets with how many of their predictions are settled for the night, of quarters it finds unopened. */
export async function readLiveSessions(
  sql: Queryable,
  input: { universe: string; sessionDate: string },
): Promise<{ sessionDate: string; predictions: number; settled: number }[]> {
  return await sql<{ sessionDate: string; predictions: number; settled: number }[]>`
    select p.session_date, count(*) as predictions, count(*) filter (where o.holds) as settled
    from ${liveSets(sql, input)} s
    join turbomode.predictions p using (session_date, universe_version, model_version, revision)
    left join lateral (
      select true as holds from turbomode.matured_predictions m
      where m.session_date = p.session_date and m.universe = p.universe
        and m.universe_version = p.universe_version and m.model_version = p.model_version
        and m.revision = p.revision and m.symbol = p.symbol and m.available_session <= ${input.sessionDate}
        and (m.invalid_from is null or m.invalid_from > ${input.sessionDate}) limit 1) o on true
    where p.universe = ${input.universe} and not exists (
      select 1 from turbomode.holdout_openings h
      where h.universe = p.universe and p.session_date between h.first_session and h.last_session
        and h.opened_session <= ${input.sessionDate})
    group by p.session_date order by p.session_date`;
}

export type LiveRow = TrackRow & { labelKind: string; horizonSessions: number };

/** The settled predictions of those sets in a range of sessions, with the outcomes that hold for the night. */
export async function readLiveRows(
  sql: Queryable,
  input: { universe: string; sessionDate: string; first: string; last: string },
): Promise<LiveRow[]> {
  const { universe, sessionDate } = input;
  const stored = await sql<(StoredTrackRow & Pick<LiveRow, 'labelKind' | 'horizonSessions'>)[]>`
    select p.*, m.forward_return, m.excess_return, m.target_direction, m.target_excess
    from ${heldOutcomes(sql, { universe, throughSession: sessionDate })} m
    join ${liveSets(sql, input)} s using (session_date, universe_version, model_version, revision)
    join turbomode.predictions p
      using (session_date, universe, universe_version, model_version, revision, symbol)
    where p.session_date between ${input.first} and ${input.last}
    order by p.session_date, p.symbol`;
  return stored.map((row) => ({
    ...trackRowOf(row),
    labelKind: row.labelKind,
    horizonSessions: row.horizonSessions,
  }));
}
