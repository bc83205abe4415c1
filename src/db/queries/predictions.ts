import type { Model } from '../../contracts/wire/names.ts';
import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { epochDay } from '../epoch-day.ts';
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
    key: PREDICTION_KEY,
  });
}

/** Key of the rows that belong to one prediction. */
export const PREDICTION_KEY = [
  'session_date',
  'universe',
  'universe_version',
  'model_version',
  'revision',
  'symbol',
];

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
    key: PREDICTION_KEY,
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
