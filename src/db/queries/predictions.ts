import type { Model } from '../../contracts/wire/names.ts';
import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { mergeRows } from '../merge.ts';

/** What a set of predictions belongs to; within it revisions count from 1. */
export type PredictionSet = {
  sessionDate: string;
  universe: string;
  universeVersion: string;
  modelVersion: string;
};

/** Column of each probability, in the order of the models, then the two ways to combine them. */
export const PROBABILITY_COLUMNS = {
  lightgbm: 'p_lightgbm',
  xgboost: 'p_xgboost',
  catboost: 'p_catboost',
  histGradientBoosting: 'p_hist_gradient_boosting',
  randomForest: 'p_random_forest',
  extraTrees: 'p_extra_trees',
  logisticRegression: 'p_logistic_regression',
  mlp: 'p_mlp',
  meanLogit: 'p_mean_logit',
  meta: 'p_meta',
} as const satisfies Record<Model | 'meanLogit' | 'meta', string>;
export type ProbabilityName = keyof typeof PROBABILITY_COLUMNS;
export const PROBABILITY_NAMES = Object.keys(PROBABILITY_COLUMNS) as ProbabilityName[];

export type PredictionRow = {
  symbol: string;
  probabilities: Record<ProbabilityName, number | null>;
  metaLogit: number | null;
  baseRate: number;
};

export type PredictionHeader = PredictionSet & {
  datasetHash: string;
  featureSetVersion: string;
  labelKind: string;
  horizonSessions: number;
  /** Written after the entry time: kept out of the live track record. */
  simulated: boolean;
  taskRunId: string;
};

/** Serialises writers of one set, so that two of them cannot both make the next revision. */
export async function lockPredictionSet(tx: Tx, set: PredictionSet): Promise<void> {
  const key = `predictions/${set.sessionDate}/${set.universe}/${set.universeVersion}/${set.modelVersion}`;
  await tx`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`;
}

/** Newest revision of a set; 0 when nothing was written yet. */
export async function latestRevision(sql: Queryable, set: PredictionSet): Promise<number> {
  const [row] = await sql<{ revision: number }[]>`
    select coalesce(max(revision), 0)::int as revision from turbomode.predictions
    where session_date = ${set.sessionDate} and universe = ${set.universe}
      and universe_version = ${set.universeVersion} and model_version = ${set.modelVersion}`;
  return row?.revision ?? 0;
}

type StoredPrediction = Record<string, unknown> & {
  symbol: string;
  metaLogit: number | null;
  baseRate: number;
};

/** The rows of one revision, by symbol. */
export async function readPredictions(
  sql: Queryable,
  input: PredictionSet & { revision: number },
): Promise<{ rows: PredictionRow[]; header: Omit<PredictionHeader, 'taskRunId'> | null }> {
  const stored = await sql<StoredPrediction[]>`
    select * from turbomode.predictions
    where session_date = ${input.sessionDate} and universe = ${input.universe}
      and universe_version = ${input.universeVersion} and model_version = ${input.modelVersion}
      and revision = ${input.revision}
    order by symbol`;
  const rows = stored.map((row) => ({
    symbol: row.symbol,
    probabilities: probabilitiesOf(row),
    metaLogit: row.metaLogit,
    baseRate: row.baseRate,
  }));
  const [first] = stored;
  if (first === undefined) return { rows, header: null };
  return {
    rows,
    header: {
      sessionDate: input.sessionDate,
      universe: input.universe,
      universeVersion: input.universeVersion,
      modelVersion: input.modelVersion,
      datasetHash: String(first['datasetHash']),
      featureSetVersion: String(first['featureSetVersion']),
      labelKind: String(first['labelKind']),
      horizonSessions: Number(first['horizonSessions']),
      simulated: first['simulated'] === true,
    },
  };
}

/** The probabilities of a row of `turbomode.predictions`. */
export function probabilitiesOf(row: Record<string, unknown>): Record<ProbabilityName, number | null> {
  const entries = PROBABILITY_NAMES.map((name) => {
    const value = row[`p${name.charAt(0).toUpperCase()}${name.slice(1)}`];
    return [name, typeof value === 'number' ? value : null] as const;
  });
  return Object.fromEntries(entries) as Record<ProbabilityName, number | null>;
}

/** Inserts one revision under `lockPredictionSet`; rows that exist are never touched. */
export async function insertPredictions(
  tx: Tx,
  input: { header: PredictionHeader; revision: number; rows: readonly PredictionRow[] },
): Promise<void> {
  const { header, rows } = input;
  await mergeRows({
    tx,
    table: 'turbomode.predictions',
    rows: rows.length,
    columns: {
      ...keyColumns(header, input.revision, rows),
      ...Object.fromEntries(
        PROBABILITY_NAMES.map((name) => [
          PROBABILITY_COLUMNS[name],
          { type: 'float8', values: rows.map((row) => row.probabilities[name]) } as const,
        ]),
      ),
      meta_logit: { type: 'float8', values: rows.map((row) => row.metaLogit) },
      base_rate: { type: 'float8', values: rows.map((row) => row.baseRate) },
      dataset_hash: { type: 'constant', of: 'text', value: header.datasetHash },
      feature_set_version: { type: 'constant', of: 'text', value: header.featureSetVersion },
      label_kind: { type: 'constant', of: 'text', value: header.labelKind },
      horizon_sessions: { type: 'constant', of: 'int4', value: header.horizonSessions },
      simulated: { type: 'constant', of: 'bool', value: header.simulated ? 1 : 0 },
      task_run_id: { type: 'constant', of: 'text', value: header.taskRunId },
    },
    key: KEY,
  });
}

const KEY = ['session_date', 'universe', 'universe_version', 'model_version', 'revision', 'symbol'];

function keyColumns(set: PredictionSet, revision: number, rows: readonly { symbol: string }[]) {
  return {
    session_date: { type: 'date', values: rows.map(() => epochDay(set.sessionDate)) },
    universe: { type: 'constant', of: 'text', value: set.universe },
    universe_version: { type: 'constant', of: 'text', value: set.universeVersion },
    model_version: { type: 'constant', of: 'text', value: set.modelVersion },
    revision: { type: 'constant', of: 'int2', value: revision },
    symbol: { type: 'text', values: rows.map((row) => row.symbol) },
  } as const;
}

function epochDay(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000;
}

export type SignalSide = 'buy' | 'sell' | 'hold' | 'not_scored';
export type SignalRow = {
  symbol: string;
  rank: number | null;
  side: SignalSide;
  probability: number | null;
  baseRate: number | null;
  confidence: number | null;
  reasonCode: string;
  reasonWords: string;
  reasons: unknown;
};
export type SignalHeader = PredictionSet & {
  featureSetVersion: string;
  /** Newest instant whose data may be in the features. */
  dataCutoff: string;
  taskRunId: string;
};

/** Inserts one revision of signals, beside the predictions of the same revision. */
export async function insertSignals(
  tx: Tx,
  input: { header: SignalHeader; revision: number; rows: readonly SignalRow[] },
): Promise<void> {
  const { header, rows } = input;
  await mergeRows({
    tx,
    table: 'turbomode.signals',
    rows: rows.length,
    columns: {
      ...keyColumns(header, input.revision, rows),
      rank: { type: 'int4', values: rows.map((row) => row.rank) },
      side: { type: 'text', values: rows.map((row) => row.side) },
      probability: { type: 'float8', values: rows.map((row) => row.probability) },
      base_rate: { type: 'float8', values: rows.map((row) => row.baseRate) },
      confidence: { type: 'float8', values: rows.map((row) => row.confidence) },
      reason_code: { type: 'text', values: rows.map((row) => row.reasonCode) },
      reason_words: { type: 'text', values: rows.map((row) => row.reasonWords) },
      reasons: { type: 'jsonb', values: rows.map((row) => jsonb(row.reasons)) },
      data_cutoff: { type: 'constant', of: 'timestamptz', value: Date.parse(header.dataCutoff) },
      feature_set_version: { type: 'constant', of: 'text', value: header.featureSetVersion },
      task_run_id: { type: 'constant', of: 'text', value: header.taskRunId },
    },
    key: KEY,
  });
}

export type StoredSignal = SignalRow & {
  modelVersion: string;
  revision: number;
  featureSetVersion: string;
  dataCutoff: string;
};

/** Signals of one revision, ranked; symbols without a rank last. */
export async function readSignals(
  sql: Queryable,
  input: PredictionSet & { revision: number },
): Promise<StoredSignal[]> {
  return await sql<StoredSignal[]>`
    select symbol, rank, side, probability, base_rate, confidence, reason_code, reason_words, reasons,
      model_version, revision::int as revision, feature_set_version, data_cutoff
    from turbomode.signals
    where session_date = ${input.sessionDate} and universe = ${input.universe}
      and universe_version = ${input.universeVersion} and model_version = ${input.modelVersion}
      and revision = ${input.revision}
    order by rank nulls last, symbol`;
}

/** One symbol's newest prediction and signal of a session: what `nightshift explain` shows. */
export async function readSymbolSignal(
  sql: Queryable,
  input: { sessionDate: string; universe: string; symbol: string },
): Promise<StoredSignal | null> {
  const [row] = await sql<StoredSignal[]>`
    select symbol, rank, side, probability, base_rate, confidence, reason_code, reason_words, reasons,
      model_version, revision::int as revision, feature_set_version, data_cutoff
    from turbomode.signals
    where session_date = ${input.sessionDate} and universe = ${input.universe} and symbol = ${input.symbol}
    order by written_at desc, revision desc limit 1`;
  return row ?? null;
}

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

export type MaturedRow = PredictionSet & {
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
  entryPrice: number | null;
  exitPrice: number | null;
  forwardReturn: number | null;
  excessReturn: number | null;
  targetDirection: number | null;
  targetExcess: number | null;
  missingReason: string | null;
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
    key: [...KEY, 'outcome_version'],
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
export type TrackRow = {
  sessionDate: string;
  symbol: string;
  modelVersion: string;
  simulated: boolean;
  probabilities: Record<ProbabilityName, number | null>;
  baseRate: number;
  forwardReturn: number | null;
  excessReturn: number | null;
  targetDirection: number | null;
  targetExcess: number | null;
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
