import {
  bootstrapBlockLength,
  createBlockBootstrap,
  estimateFromReplicates,
  NO_ESTIMATE,
  ratioEstimate,
  type BlockBootstrap,
  type Estimate,
} from '../statistics/bootstrap.ts';
import { spearman } from '../statistics/rank.ts';
import { rocAuc } from './auc.ts';
import { calibrationSlope } from './calibration.ts';
import {
  assertSameLength,
  groupBySession,
  rowsWhere,
  takeNumbers,
  takeRows,
  type OofPanel,
  type SessionGroups,
} from './panel.ts';
import { brierOf, isCorrect, logLossOf } from './scores.ts';

export interface MetricOptions {
  readonly horizonSessions: number;
  /** Bootstrap replicates, default 1,000. */
  readonly replicates?: number;
  /** Bootstrap seed, default 20180207; the same for all models, so that they see the same sessions. */
  readonly seed?: number;
  /** Symbols a session needs for an IC, default 20. */
  readonly minSymbolsForIc?: number;
  /** Block length in sessions, default max(10, 2h). */
  readonly blockLength?: number;
  /** `class` for forecasts of 0 or 1: no log loss and no calibration, which need probabilities. */
  readonly forecast?: 'probability' | 'class';
  /** Leave out the calibration slope and the AUC within sessions, which slices do not show; default false. */
  readonly brief?: boolean;
}

/** Metrics of one column of predictions, plain JSON. Null where a metric is not defined. */
export interface ProbabilityMetrics {
  readonly rows: number;
  readonly sessions: number;
  /** Share of ones among the rows. */
  readonly positiveShare: number | null;
  readonly aucPooled: Estimate;
  /** Mean over sessions of the AUC within the session. */
  readonly aucWithinSession: Estimate;
  readonly logLoss: Estimate;
  readonly brier: Estimate;
  readonly accuracy: Estimate;
  readonly calibrationSlope: Estimate;
  /** Mean over sessions of Spearman(prediction, realised return). */
  readonly ic: Estimate;
  readonly icSessions: number;
  /** Log loss of the base rate minus that of the predictions, same rows; above 0 is better than the base rate. */
  readonly logLossGain: Estimate;
  readonly bootstrap: { readonly blockLength: number; readonly replicates: number; readonly seed: number };
}

interface SessionSums {
  readonly rows: Float64Array;
  readonly logLoss: Float64Array;
  readonly brier: Float64Array;
  readonly correct: Float64Array;
  readonly gain: Float64Array;
  readonly ic: Float64Array;
  readonly hasIc: Float64Array;
  readonly auc: Float64Array;
  readonly hasAuc: Float64Array;
}

/**
 * Evaluate predictions on out-of-fold rows (definitions.md, Metrics). Rows without a prediction, or with neither target
 * nor return, are left out. Intervals: moving-block bootstrap over sessions on per-session statistics, all folds
 * together. Throws RangeError when a column is not as long as `session`.
 */
export function evaluatePredictions(
  panel: OofPanel,
  probability: Float64Array,
  options: MetricOptions,
): ProbabilityMetrics {
  const { session, ...columns } = panel;
  assertSameLength(session, { ...columns, probability });
  const rows = rowsWhere(
    session.length,
    (row) =>
      Number.isFinite(probability[row]) &&
      (isLabel(panel.target[row]) || Number.isFinite(panel.forwardReturn[row])),
  );
  const isWhole = rows.length === session.length;
  const used = isWhole ? panel : takeRows(panel, rows);
  const p = isWhole ? probability : takeNumbers(probability, rows);
  const groups = groupBySession(used.session);
  const setup = bootstrapSetup(options);
  const sessions = groups.sessions.length;
  const bootstrap = sessions === 0 ? null : createBlockBootstrap({ sessions, ...setup });
  const isProbability = options.forecast !== 'class';
  const brief = options.brief === true;
  const sums = sumBySession(used, p, { groups, minSymbols: options.minSymbolsForIc ?? 20, brief });
  const labelled = labelledRows(used, p, groups);
  const total = labelled.target.length;
  return {
    rows: total,
    sessions,
    positiveShare: total === 0 ? null : labelled.target.reduce((a, b) => a + b, 0) / total,
    aucPooled: pooledAuc(labelled, sessions, bootstrap),
    aucWithinSession: ratioEstimate(bootstrap, sums.auc, sums.hasAuc),
    logLoss: isProbability ? ratioEstimate(bootstrap, sums.logLoss, sums.rows) : NO_ESTIMATE,
    brier: ratioEstimate(bootstrap, sums.brier, sums.rows),
    accuracy: ratioEstimate(bootstrap, sums.correct, sums.rows),
    calibrationSlope: isProbability && !brief ? calibrationSlope(labelled, sessions, bootstrap) : NO_ESTIMATE,
    ic: ratioEstimate(bootstrap, sums.ic, sums.hasIc),
    icSessions: sums.hasIc.reduce((a, b) => a + b, 0),
    logLossGain: isProbability ? ratioEstimate(bootstrap, sums.gain, sums.rows) : NO_ESTIMATE,
    bootstrap: setup,
  };
}

/**
 * Log loss of `reference` minus log loss of `candidate` on the rows both predicted: above 0 the candidate is
 * better. Paired by row, resampled by session.
 */
export function pairedLogLossGain(
  panel: Pick<OofPanel, 'session' | 'target'>,
  predictions: { candidate: Float64Array; reference: Float64Array },
  options: Omit<MetricOptions, 'forecast' | 'minSymbolsForIc'>,
): Estimate & { readonly rows: number; readonly sessions: number } {
  const { candidate, reference } = predictions;
  assertSameLength(panel.session, { target: panel.target, candidate, reference });
  const rows = rowsWhere(
    panel.session.length,
    (row) => isLabel(panel.target[row]) && Number.isFinite(candidate[row]) && Number.isFinite(reference[row]),
  );
  const groups = groupBySession(Int32Array.from(rows, (row) => panel.session[row] as number));
  const sessions = groups.sessions.length;
  if (sessions === 0) return { ...NO_ESTIMATE, rows: 0, sessions: 0 };
  const gain = new Float64Array(sessions);
  const count = new Float64Array(sessions);
  forEachRow(groups, (position, g) => {
    const row = rows[position] as number;
    const target = panel.target[row] as number;
    const difference =
      logLossOf(target, reference[row] as number) - logLossOf(target, candidate[row] as number);
    gain[g] = (gain[g] as number) + difference;
    count[g] = (count[g] as number) + 1;
  });
  const bootstrap = createBlockBootstrap({ sessions, ...bootstrapSetup(options) });
  return { ...ratioEstimate(bootstrap, gain, count), rows: rows.length, sessions };
}

function bootstrapSetup(options: MetricOptions): ProbabilityMetrics['bootstrap'] {
  return {
    blockLength: options.blockLength ?? bootstrapBlockLength(options.horizonSessions),
    replicates: options.replicates ?? 1000,
    seed: options.seed ?? 20_180_207,
  };
}

function isLabel(target: number | undefined): boolean {
  return target === 0 || target === 1;
}

function forEachRow(groups: SessionGroups, visit: (row: number, group: number) => void): void {
  for (let g = 0; g < groups.sessions.length; g += 1) {
    const end = groups.starts[g + 1] as number;
    for (let i = groups.starts[g] as number; i < end; i += 1) visit(groups.order[i] as number, g);
  }
}

interface LabelledRows {
  readonly target: Float64Array;
  readonly probability: Float64Array;
  readonly sessionOfRow: Uint32Array;
}

function labelledRows(panel: OofPanel, probability: Float64Array, groups: SessionGroups): LabelledRows {
  const groupOfRow = new Uint32Array(probability.length);
  forEachRow(groups, (row, g) => {
    groupOfRow[row] = g;
  });
  const rows = rowsWhere(probability.length, (row) => isLabel(panel.target[row]));
  return {
    target: takeNumbers(panel.target, rows),
    probability: takeNumbers(probability, rows),
    sessionOfRow: Uint32Array.from(rows, (row) => groupOfRow[row] as number),
  };
}

function pooledAuc(rows: LabelledRows, sessions: number, bootstrap: BlockBootstrap | null): Estimate {
  const { auc, influence } = rocAuc(rows.target, rows.probability);
  if (!Number.isFinite(auc) || bootstrap === null) return estimateFromReplicates(auc, null);
  const bySession = new Float64Array(sessions);
  for (let row = 0; row < influence.length; row += 1) {
    const session = rows.sessionOfRow[row] as number;
    bySession[session] = (bySession[session] as number) + (influence[row] as number);
  }
  const replicates = bootstrap.sums(bySession).map((sum) => auc + sum);
  return estimateFromReplicates(auc, { replicates, bootstrap });
}

function sumBySession(
  panel: OofPanel,
  probability: Float64Array,
  { groups, minSymbols, brief }: { groups: SessionGroups; minSymbols: number; brief: boolean },
): SessionSums {
  const column = (): Float64Array => new Float64Array(groups.sessions.length);
  const sums: SessionSums = {
    rows: column(),
    logLoss: column(),
    brier: column(),
    correct: column(),
    gain: column(),
    ic: column(),
    hasIc: column(),
    auc: column(),
    hasAuc: column(),
  };
  for (let g = 0; g < groups.sessions.length; g += 1) {
    const members = groups.order.subarray(groups.starts[g], groups.starts[g + 1]);
    const labelled = members.filter((row) => isLabel(panel.target[row]));
    const target = takeNumbers(panel.target, labelled);
    const p = takeNumbers(probability, labelled);
    const base = takeNumbers(panel.baseRate, labelled);
    addScores(sums, g, { target, p, base });
    const auc = brief ? Number.NaN : rocAuc(target, p).auc;
    if (Number.isFinite(auc)) {
      sums.auc[g] = auc;
      sums.hasAuc[g] = 1;
    }
    const withReturn = members.filter((row) => Number.isFinite(panel.forwardReturn[row]));
    if (withReturn.length < minSymbols) continue;
    const ic = spearman(takeNumbers(probability, withReturn), takeNumbers(panel.forwardReturn, withReturn));
    if (Number.isFinite(ic)) {
      sums.ic[g] = ic;
      sums.hasIc[g] = 1;
    }
  }
  return sums;
}

function addScores(
  sums: SessionSums,
  session: number,
  { target, p, base }: { target: Float64Array; p: Float64Array; base: Float64Array },
): void {
  let [logLoss, brier, correct, gain] = [0, 0, 0, 0];
  for (let i = 0; i < target.length; i += 1) {
    const t = target[i] as number;
    const loss = logLossOf(t, p[i] as number);
    logLoss += loss;
    brier += brierOf(t, p[i] as number);
    correct += isCorrect(t, p[i] as number) ? 1 : 0;
    gain += logLossOf(t, base[i] as number) - loss;
  }
  sums.rows[session] = target.length;
  sums.logLoss[session] = logLoss;
  sums.brier[session] = brier;
  sums.correct[session] = correct;
  sums.gain[session] = gain;
}
