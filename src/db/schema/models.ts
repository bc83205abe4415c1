import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  date,
  doublePrecision,
  index,
  integer,
  jsonb,
  primaryKey,
  real,
  text,
} from 'drizzle-orm/pg-core';
import { hashColumn, instant, recordedAt, symbolColumn, turbomode } from './types.ts';

/** Of the member list behind the figures; one of unknown origin counts as a later one. */
const survivorshipColumn = () => text('survivorship').notNull().default('biased');

/** Manifest of a dataset artifact; `dataset_hash` names the manifest, `parquet_hash` the matrix. */
export const datasets = turbomode.table(
  'datasets',
  {
    datasetHash: hashColumn('dataset_hash').primaryKey(),
    parquetHash: hashColumn('parquet_hash').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    labelKind: text('label_kind').notNull(),
    horizonSessions: integer('horizon_sessions').notNull(),
    rows: integer('rows').notNull(),
    symbols: integer('symbols').notNull(),
    sessions: integer('sessions').notNull(),
    /** Hash of everything the dataset was built from; the same inputs find the row again. */
    inputHash: hashColumn('input_hash').notNull(),
    manifest: jsonb('manifest').notNull(),
    coverage: jsonb('coverage').notNull().default({}),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** The object was removed by retention; the row stays as the record. */
    artifactDeletedAt: instant('artifact_deleted_at'),
    /** What it was made of changed since, in words; the same inputs again take the mark away. */
    invalidReason: text('invalid_reason'),
  },
  (t) => [
    index('datasets_input').on(t.inputHash),
    index('datasets_session').on(t.sessionDate, t.universeVersion, t.featureSetVersion),
  ],
);

/** Feature values of a night's own session, in the order of the feature set. */
export const sessionFeatures = turbomode.table(
  'session_features',
  {
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    symbol: symbolColumn().notNull(),
    datasetHash: hashColumn('dataset_hash').notNull(),
    values: real('values').array().notNull(),
    recordedAt: recordedAt(),
    /** What it was made of changed since, in words; the same inputs again take the mark away. */
    invalidReason: text('invalid_reason'),
  },
  (t) => [primaryKey({ columns: [t.sessionDate, t.universeVersion, t.featureSetVersion, t.symbol] })],
);

export const featureSets = turbomode.table('feature_sets', {
  featureSetVersion: hashColumn('feature_set_version').primaryKey(),
  definitions: jsonb('definitions').notNull(),
  recordedAt: recordedAt(),
});

/** One row per fit that was asked for; `reused` fits were found in the cache. */
export const foldFits = turbomode.table(
  'fold_fits',
  {
    foldKey: hashColumn('fold_key').notNull(),
    /** `fold` or `final`. */
    kind: text('kind').notNull(),
    model: text('model').notNull(),
    datasetHash: hashColumn('dataset_hash').notNull(),
    /** Test block of a fold; -1 for the final model. */
    blockIndex: integer('block_index').notNull(),
    modelHash: hashColumn('model_hash').notNull(),
    predictionsHash: hashColumn('predictions_hash'),
    parameters: jsonb('parameters').notNull(),
    seed: bigint('seed', { mode: 'number' }).notNull(),
    threads: integer('threads').notNull(),
    trainRows: integer('train_rows').notNull(),
    testRows: integer('test_rows'),
    trees: integer('trees'),
    fitSeconds: doublePrecision('fit_seconds').notNull(),
    cpuSeconds: doublePrecision('cpu_seconds').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.datasetHash, t.model, t.blockIndex, t.foldKey] })],
);

export const modelVersions = turbomode.table(
  'model_versions',
  {
    version: text('version').primaryKey(),
    /** The session whose night trained it: rows with S + h <= this session were used. */
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    datasetHash: hashColumn('dataset_hash').notNull(),
    codeHash: hashColumn('code_hash').notNull(),
    lockHash: hashColumn('lock_hash').notNull(),
    labelKind: text('label_kind').notNull(),
    horizonSessions: integer('horizon_sessions').notNull(),
    parameters: jsonb('parameters').notNull(),
    seed: bigint('seed', { mode: 'number' }).notNull(),
    threads: integer('threads').notNull(),
    libraryVersions: jsonb('library_versions').notNull(),
    platform: text('platform').notNull(),
    /** model id → model hash of the final fit. */
    models: jsonb('models').notNull(),
    survivorship: survivorshipColumn(),
    metaHash: hashColumn('meta_hash').notNull(),
    oofHash: hashColumn('oof_hash').notNull(),
    verdicts: jsonb('verdicts').notNull(),
    gate: jsonb('gate').notNull(),
    accepted: boolean('accepted').notNull(),
    state: text('state').notNull(),
    createdByRun: text('created_by_run').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [
    index('model_versions_session').on(t.universe, t.sessionDate),
    check('model_versions_state', sql`${t.state} in ('candidate', 'accepted', 'rejected')`),
    check('model_versions_survivorship', sql`${t.survivorship} in ('biased', 'unbiased')`),
  ],
);

/** Append-only history of the current pointer: what is current as of S is computed from it. */
export const modelPromotions = turbomode.table(
  'model_promotions',
  {
    promotionId: bigint('promotion_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    universe: text('universe').notNull(),
    version: text('version').notNull(),
    effectiveFromSession: date('effective_from_session', { mode: 'string' }).notNull(),
    kind: text('kind').notNull(),
    decidedBy: text('decided_by').notNull(),
    why: text('why').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [
    index('model_promotions_universe').on(t.universe, t.effectiveFromSession, t.promotionId),
    check('model_promotions_kind', sql`${t.kind} in ('gate', 'promote', 'rollback')`),
  ],
);

export const modelMetrics = turbomode.table(
  'model_metrics',
  {
    version: text('version').notNull(),
    /** A model id, `meta`, `meanLogit` or a baseline's name. */
    model: text('model').notNull(),
    metric: text('metric').notNull(),
    value: doublePrecision('value'),
    lower: doublePrecision('lower'),
    upper: doublePrecision('upper'),
    n: integer('n'),
    baseline: jsonb('baseline').notNull().default({}),
    survivorship: survivorshipColumn(),
  },
  (t) => [
    primaryKey({ columns: [t.version, t.model, t.metric] }),
    check('model_metrics_survivorship', sql`${t.survivorship} in ('biased', 'unbiased')`),
  ],
);

export const shapRuns = turbomode.table(
  'shap_runs',
  {
    taskRunId: text('task_run_id').notNull(),
    version: text('version').notNull(),
    model: text('model').notNull(),
    shapHash: hashColumn('shap_hash').notNull(),
    space: text('space').notNull(),
    additive: boolean('additive').notNull(),
    additivityMaxError: doublePrecision('additivity_max_error').notNull(),
    top10: jsonb('top10').notNull().default([]),
    top20: jsonb('top20').notNull().default([]),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.version, t.model] })],
);
