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
  smallint,
  text,
} from 'drizzle-orm/pg-core';
import { hashColumn, instant, recordedAt, symbolColumn, turbomode } from './types.ts';

/** Key of what was predicted: one row per symbol, never overwritten; a changed one is a new revision. */
const predictionKey = () => ({
  sessionDate: date('session_date', { mode: 'string' }).notNull(),
  universe: text('universe').notNull(),
  universeVersion: hashColumn('universe_version').notNull(),
  modelVersion: text('model_version').notNull(),
  revision: smallint('revision').notNull(),
  symbol: symbolColumn().notNull(),
});

/** Probabilities of one symbol for the session after `session_date`, rounded to 1e-9. */
export const predictions = turbomode.table(
  'predictions',
  {
    ...predictionKey(),
    pLightgbm: doublePrecision('p_lightgbm'),
    pXgboost: doublePrecision('p_xgboost'),
    pCatboost: doublePrecision('p_catboost'),
    pHistGradientBoosting: doublePrecision('p_hist_gradient_boosting'),
    pRandomForest: doublePrecision('p_random_forest'),
    pExtraTrees: doublePrecision('p_extra_trees'),
    pLogisticRegression: doublePrecision('p_logistic_regression'),
    pMlp: doublePrecision('p_mlp'),
    pMeanLogit: doublePrecision('p_mean_logit'),
    pMeta: doublePrecision('p_meta'),
    metaLogit: doublePrecision('meta_logit'),
    baseRate: doublePrecision('base_rate').notNull(),
    datasetHash: hashColumn('dataset_hash').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    labelKind: text('label_kind').notNull(),
    horizonSessions: integer('horizon_sessions').notNull(),
    /** Written after the entry time of the prediction: kept out of the live track record. */
    simulated: boolean('simulated').notNull(),
    taskRunId: text('task_run_id').notNull(),
    writtenAt: instant('written_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({
      columns: [t.sessionDate, t.universe, t.universeVersion, t.modelVersion, t.revision, t.symbol],
    }),
  ],
);

export const signals = turbomode.table(
  'signals',
  {
    ...predictionKey(),
    /** 1 = highest probability; null for a symbol that was not scored. */
    rank: integer('rank'),
    side: text('side').notNull(),
    probability: doublePrecision('probability'),
    baseRate: doublePrecision('base_rate'),
    confidence: doublePrecision('confidence'),
    reasonCode: text('reason_code').notNull(),
    reasonWords: text('reason_words').notNull(),
    /** Top contributions of the stack's log-odds, for issued signals. */
    reasons: jsonb('reasons').notNull().default([]),
    dataCutoff: instant('data_cutoff').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    taskRunId: text('task_run_id').notNull(),
    writtenAt: instant('written_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({
      columns: [t.sessionDate, t.universe, t.universeVersion, t.modelVersion, t.revision, t.symbol],
    }),
    check('signals_side', sql`${t.side} in ('buy', 'sell', 'hold', 'not_scored')`),
  ],
);

/**
 * Outcome of a stored prediction, written once its exit session is known. One whose prices changed later stays for
 * the nights before, marked, with the next version beside it.
 */
export const maturedPredictions = turbomode.table(
  'matured_predictions',
  {
    ...predictionKey(),
    /** 1, 2, … in the order of writing: another one for nights that know its bars otherwise. */
    outcomeVersion: smallint('outcome_version').notNull().default(1),
    entrySession: date('entry_session', { mode: 'string' }).notNull(),
    exitSession: date('exit_session', { mode: 'string' }).notNull(),
    /** First session whose night could know it: the exit session, or the newest change of its bars before it was made. */
    availableSession: date('available_session', { mode: 'string' }).notNull(),
    entryPrice: doublePrecision('entry_price'),
    exitPrice: doublePrecision('exit_price'),
    forwardReturn: doublePrecision('forward_return'),
    excessReturn: doublePrecision('excess_return'),
    targetDirection: smallint('target_direction'),
    targetExcess: smallint('target_excess'),
    /** Why there is no outcome; null when there is one. */
    missingReason: text('missing_reason'),
    simulated: boolean('simulated').notNull(),
    taskRunId: text('task_run_id').notNull(),
    recordedAt: recordedAt(),
    /** From the night of this session on it no longer holds. */
    invalidFrom: date('invalid_from', { mode: 'string' }),
    invalidReason: text('invalid_reason'),
  },
  (t) => [
    primaryKey({
      columns: [
        t.sessionDate,
        t.universe,
        t.universeVersion,
        t.modelVersion,
        t.revision,
        t.symbol,
        t.outcomeVersion,
      ],
    }),
    index('matured_predictions_exit').on(t.exitSession),
    check('matured_predictions_invalid', sql`(${t.invalidFrom} is null) = (${t.invalidReason} is null)`),
  ],
);

export const backtestRuns = turbomode.table('backtest_runs', {
  /** Hash of inputs and parameters: the same backtest is stored once. */
  backtestId: hashColumn('backtest_id').primaryKey(),
  taskRunId: text('task_run_id').notNull(),
  sessionDate: date('session_date', { mode: 'string' }).notNull(),
  universe: text('universe').notNull(),
  universeVersion: hashColumn('universe_version').notNull(),
  featureSetVersion: hashColumn('feature_set_version').notNull(),
  datasetHash: hashColumn('dataset_hash').notNull(),
  oofHash: hashColumn('oof_hash').notNull(),
  metaHash: hashColumn('meta_hash').notNull(),
  survivorship: text('survivorship').notNull().default('biased'),
  parameters: jsonb('parameters').notNull(),
  summary: jsonb('summary').notNull(),
  /** When it read what earlier nights had left; written after that is not in it, however often it runs. */
  knownAt: instant('known_at'),
  recordedAt: recordedAt(),
  /** What it was made of changed since, in words; the same inputs again take the mark away. */
  invalidReason: text('invalid_reason'),
});

export const backtestMetrics = turbomode.table(
  'backtest_metrics',
  {
    backtestId: hashColumn('backtest_id').notNull(),
    model: text('model').notNull(),
    /** `all`, `month`, `sector`, `decile`, `benchmark`… */
    dimension: text('dimension').notNull(),
    bucket: text('bucket').notNull(),
    metric: text('metric').notNull(),
    value: doublePrecision('value'),
    lower: doublePrecision('lower'),
    upper: doublePrecision('upper'),
    n: integer('n'),
  },
  (t) => [primaryKey({ columns: [t.backtestId, t.model, t.dimension, t.bucket, t.metric] })],
);

export const equityCurves = turbomode.table(
  'equity_curves',
  {
    backtestId: hashColumn('backtest_id').notNull(),
    /** A model id, `meta`, or a benchmark's name. */
    series: text('series').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    grossReturn: doublePrecision('gross_return'),
    netReturn: doublePrecision('net_return'),
    equityGross: doublePrecision('equity_gross'),
    equityNet: doublePrecision('equity_net'),
    turnover: doublePrecision('turnover'),
    exposure: doublePrecision('exposure'),
    drawdown: doublePrecision('drawdown'),
  },
  (t) => [primaryKey({ columns: [t.backtestId, t.series, t.sessionDate] })],
);

/**
 * What the live predictions of a calendar quarter were worth, looked at once: by the first night after the quarter
 * whose outcomes are all there. A row is never changed, whatever is run or learnt later.
 */
export const holdoutOpenings = turbomode.table(
  'holdout_openings',
  {
    universe: text('universe').notNull(),
    /** `2017-Q4`. */
    quarter: text('quarter').notNull(),
    /** First and last session with live predictions, how many there are, and how many the quarter has. */
    firstSession: date('first_session', { mode: 'string' }).notNull(),
    lastSession: date('last_session', { mode: 'string' }).notNull(),
    sessions: integer('sessions').notNull(),
    calendarSessions: integer('calendar_sessions').notNull(),
    predictions: integer('predictions').notNull(),
    withoutOutcome: integer('without_outcome').notNull(),
    /** Of the stack. */
    ic: doublePrecision('ic'),
    icLower: doublePrecision('ic_lower'),
    icUpper: doublePrecision('ic_upper'),
    icSessions: integer('ic_sessions').notNull(),
    logLoss: doublePrecision('log_loss'),
    baseRateLogLoss: doublePrecision('base_rate_log_loss'),
    logLossGain: doublePrecision('log_loss_gain'),
    logLossGainLower: doublePrecision('log_loss_gain_lower'),
    logLossGainUpper: doublePrecision('log_loss_gain_upper'),
    verdict: text('verdict').notNull(),
    words: text('words').notNull(),
    /** The mean of base log-odds on the same rows, and which versions, labels and horizons were issued. */
    details: jsonb('details').notNull(),
    /** Variants counted as trials by the run that opened it. */
    trials: integer('trials').notNull(),
    openedSession: date('opened_session', { mode: 'string' }).notNull(),
    taskRunId: text('task_run_id').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [
    primaryKey({ columns: [t.universe, t.quarter] }),
    check('holdout_openings_quarter', sql`${t.quarter} ~ '^[0-9]{4}-Q[1-4]$'`),
    check('holdout_openings_verdict', sql`${t.verdict} in ('edge', 'no_edge')`),
  ],
);

export const driftBaselines = turbomode.table(
  'drift_baselines',
  {
    baselineId: hashColumn('baseline_id').notNull(),
    feature: text('feature').notNull(),
    /** `rolling` (ends N + h before S) or `anchored` (moves by an audited act or a promotion). */
    kind: text('kind').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    firstSession: date('first_session', { mode: 'string' }).notNull(),
    lastSession: date('last_session', { mode: 'string' }).notNull(),
    rows: integer('rows').notNull(),
    edges: doublePrecision('edges').array().notNull(),
    shares: doublePrecision('shares').array().notNull(),
    /** Critical values and how many comparison windows they came from. */
    calibration: jsonb('calibration').notNull().default({}),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.baselineId, t.feature] })],
);

/** Pointer history of the anchored baseline: newest row effective at or before S holds. */
export const driftAnchors = turbomode.table('drift_anchors', {
  anchorId: bigint('anchor_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  universe: text('universe').notNull(),
  baselineId: hashColumn('baseline_id').notNull(),
  effectiveFromSession: date('effective_from_session', { mode: 'string' }).notNull(),
  kind: text('kind').notNull(),
  decidedBy: text('decided_by').notNull(),
  why: text('why').notNull(),
  recordedAt: recordedAt(),
});

export const driftLog = turbomode.table(
  'drift_log',
  {
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    featureSetVersion: hashColumn('feature_set_version').notNull(),
    baselineKind: text('baseline_kind').notNull(),
    /** A feature's name, or `prediction:<model>`. */
    feature: text('feature').notNull(),
    baselineId: hashColumn('baseline_id'),
    baselineRows: integer('baseline_rows'),
    currentRows: integer('current_rows'),
    windows: integer('windows'),
    psi: doublePrecision('psi'),
    klCurrentGivenBaseline: doublePrecision('kl_current_given_baseline'),
    klBaselineGivenCurrent: doublePrecision('kl_baseline_given_current'),
    jensenShannon: doublePrecision('jensen_shannon'),
    ksStatistic: doublePrecision('ks_statistic'),
    ksPValue: doublePrecision('ks_p_value'),
    psiCritical: doublePrecision('psi_critical'),
    klCritical: doublePrecision('kl_critical'),
    ksCritical: doublePrecision('ks_critical'),
    pValue: doublePrecision('p_value'),
    qValue: doublePrecision('q_value'),
    exceeded: boolean('exceeded').notNull().default(false),
    alarm: boolean('alarm').notNull().default(false),
    status: text('status').notNull(),
    details: jsonb('details').notNull().default({}),
    taskRunId: text('task_run_id').notNull(),
    /** When its first run read what earlier nights had left; written after that is not in it. */
    knownAt: instant('known_at'),
    recordedAt: recordedAt(),
    /** What it was made of changed since, in words; the same inputs again take the mark away. */
    invalidReason: text('invalid_reason'),
  },
  (t) => [
    primaryKey({
      columns: [t.sessionDate, t.universe, t.universeVersion, t.featureSetVersion, t.baselineKind, t.feature],
    }),
  ],
);

export const retrainingFlags = turbomode.table(
  'retraining_flags',
  {
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    modelVersion: text('model_version').notNull(),
    reasons: jsonb('reasons').notNull(),
    taskRunId: text('task_run_id').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.sessionDate, t.universe, t.universeVersion, t.modelVersion] })],
);
