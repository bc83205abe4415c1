import type { Queryable, Tx } from '../client.ts';
import { epochDay } from '../epoch-day.ts';
import { mergeRows } from '../merge.ts';
import { PREDICTION_KEY, type PredictionSet, probabilitiesOf, type ProbabilityName } from './predictions.ts';

/** A stored prediction without an outcome yet, or whose outcome no longer holds. */
export type OpenPrediction = PredictionSet & {
  revision: number;
  symbol: string;
  horizonSessions: number;
  simulated: boolean;
  /** Outcomes of it that are stored; none holds for the night that asks. */
  outcomes: number;
};

/**
 * Predictions made before `beforeSession` that have no outcome which holds then, of every model version, oldest
 * first. Sets of one session and universe version share the same outcomes.
 */
export async function openPredictions(
  sql: Queryable,
  input: { universe: string; beforeSession: string },
): Promise<OpenPrediction[]> {
  return await sql<OpenPrediction[]>`
    select p.session_date, p.universe, p.universe_version, p.model_version, p.revision::int as revision,
      p.symbol, p.horizon_sessions, p.simulated, coalesce(o.newest, 0)::int as outcomes
    from turbomode.predictions p
    left join lateral (
      select max(m.outcome_version) as newest,
        bool_or((m.invalid_from is null or m.invalid_from > ${input.beforeSession})
          and m.available_session <= ${input.beforeSession}) as holds
      from turbomode.matured_predictions m
      where m.session_date = p.session_date and m.universe = p.universe
        and m.universe_version = p.universe_version and m.model_version = p.model_version
        and m.revision = p.revision and m.symbol = p.symbol) o on true
    where p.universe = ${input.universe} and p.session_date < ${input.beforeSession}
      and o.holds is not true
    order by p.session_date, p.universe_version, p.model_version, p.revision, p.symbol`;
}

/** What became of a prediction; without prices and returns where `missingReason` says why. */
export type OutcomeValues = {
  entryPrice: number | null;
  exitPrice: number | null;
  forwardReturn: number | null;
  excessReturn: number | null;
  targetDirection: number | null;
  targetExcess: number | null;
  missingReason: string | null;
};

export type MaturedRow = PredictionSet &
  OutcomeValues & {
    revision: number;
    symbol: string;
    /** In the order of writing; which one holds for a night is said by the two sessions that follow. */
    outcomeVersion: number;
    /** First session whose night knows it: that of the exit or of the newest change of a bar behind it. */
    availableSession: string;
    /** Session with which the next such change, where it is known already, ends it. */
    invalidFrom: string | null;
    invalidReason: string | null;
    entrySession: string;
    exitSession: string;
    simulated: boolean;
    taskRunId: string;
  };

/**
 * Stores outcomes of the night of a session; what is known stays. Two nights that mature the same predictions go one
 * after the other: what the first one left is counted again, and no outcome is made beside one that holds already.
 */
export async function insertMatured(
  tx: Tx,
  night: { universe: string; beforeSession: string; rows: readonly Omit<MaturedRow, 'outcomeVersion'>[] },
): Promise<number> {
  if (night.rows.length === 0) return 0;
  await tx`select pg_advisory_xact_lock(hashtextextended(${`matured_predictions/${night.universe}`}, 0))`;
  const open = await openPredictions(tx, night);
  const newest = new Map(open.map((one) => [outcomeKey(one), one.outcomes]));
  const rows = night.rows.flatMap((row): MaturedRow[] => {
    const outcomes = newest.get(outcomeKey(row));
    return outcomes === undefined ? [] : [{ ...row, outcomeVersion: outcomes + 1 }];
  });
  const column = <T>(pick: (row: MaturedRow) => T): T[] => rows.map(pick);
  const { inserted } = await mergeRows({
    tx,
    table: 'turbomode.matured_predictions',
    rows: rows.length,
    columns: {
      session_date: { type: 'date', values: column((row) => epochDay(row.sessionDate)) },
      universe: { type: 'text', values: column((row) => row.universe) },
      universe_version: { type: 'text', values: column((row) => row.universeVersion) },
      model_version: { type: 'text', values: column((row) => row.modelVersion) },
      revision: { type: 'int2', values: column((row) => row.revision) },
      symbol: { type: 'text', values: column((row) => row.symbol) },
      entry_session: { type: 'date', values: column((row) => epochDay(row.entrySession)) },
      exit_session: { type: 'date', values: column((row) => epochDay(row.exitSession)) },
      outcome_version: { type: 'int2', values: column((row) => row.outcomeVersion) },
      available_session: { type: 'date', values: column((row) => epochDay(row.availableSession)) },
      invalid_from: {
        type: 'date',
        values: column(({ invalidFrom }) => (invalidFrom === null ? null : epochDay(invalidFrom))),
      },
      invalid_reason: { type: 'text', values: column((row) => row.invalidReason) },
      entry_price: { type: 'float8', values: column((row) => row.entryPrice) },
      exit_price: { type: 'float8', values: column((row) => row.exitPrice) },
      forward_return: { type: 'float8', values: column((row) => row.forwardReturn) },
      excess_return: { type: 'float8', values: column((row) => row.excessReturn) },
      target_direction: { type: 'int2', values: column((row) => row.targetDirection) },
      target_excess: { type: 'int2', values: column((row) => row.targetExcess) },
      missing_reason: { type: 'text', values: column((row) => row.missingReason) },
      simulated: { type: 'bool', values: column((row) => row.simulated) },
      task_run_id: { type: 'text', values: column((row) => row.taskRunId) },
    },
    key: [...PREDICTION_KEY, 'outcome_version'],
  });
  return inserted;
}

function outcomeKey(row: PredictionSet & { revision: number; symbol: string }): string {
  return [row.sessionDate, row.universeVersion, row.modelVersion, row.revision, row.symbol].join(' ');
}

/** The outcome of each prediction that holds for the night of a session, as a table expression. */
export function heldOutcomes(
  sql: Queryable,
  { universe, throughSession }: { universe: string; throughSession: string },
) {
  return sql`(
    select distinct on (session_date, universe_version, model_version, revision, symbol) *
    from turbomode.matured_predictions
    where universe = ${universe} and available_session <= ${throughSession}
      and (invalid_from is null or invalid_from > ${throughSession})
    order by session_date, universe_version, model_version, revision, symbol, available_session desc,
      outcome_version desc)`;
}

/** A stored prediction beside its outcome. */
export type TrackRow = Pick<
  OutcomeValues,
  'forwardReturn' | 'excessReturn' | 'targetDirection' | 'targetExcess'
> & {
  sessionDate: string;
  symbol: string;
  modelVersion: string;
  simulated: boolean;
  probabilities: Record<ProbabilityName, number | null>;
  baseRate: number;
};

/** A row of `turbomode.predictions` joined with its outcome. */
export type StoredTrackRow = Record<string, unknown> & Omit<TrackRow, 'probabilities'>;

/** The prediction and its outcome, without the columns nobody judges by. */
export function trackRowOf(row: StoredTrackRow): TrackRow {
  return {
    sessionDate: row.sessionDate,
    symbol: row.symbol,
    modelVersion: row.modelVersion,
    simulated: row.simulated,
    probabilities: probabilitiesOf(row),
    baseRate: row.baseRate,
    forwardReturn: row.forwardReturn,
    excessReturn: row.excessReturn,
    targetDirection: row.targetDirection,
    targetExcess: row.targetExcess,
  };
}
