import { decideVerdicts, type Verdict, type VerdictOptions } from '../verdict.ts';
import {
  evaluatePredictions,
  pairedLogLossGain,
  type MetricOptions,
  type ProbabilityMetrics,
} from './evaluate.ts';
import type { Estimate } from '../statistics/bootstrap.ts';
import { rowsWhere, takeNumbers, takeRows, type OofPanel } from './panel.ts';

export interface EvaluationInput {
  readonly panel: OofPanel;
  /** One column of probabilities per model that is up for a verdict (the eight and `meta`), NaN where none. */
  readonly models: Readonly<Record<string, Float64Array>>;
  /** Mean of the base logits as a probability: a baseline with all metrics, and what the meta should beat. */
  readonly meanLogit?: Float64Array;
  /** Class of the majority in the training window, 0 or 1. */
  readonly majorityClass?: ArrayLike<number>;
  /** 1 where yesterday's return was above zero (or above the median), else 0. */
  readonly yesterdaySign?: ArrayLike<number>;
  /** Models that must not be used, with the reason (e.g. `meta` with slope <= 0). */
  readonly unusable?: Readonly<Record<string, string>>;
  readonly metrics: MetricOptions;
  readonly verdict?: VerdictOptions;
}

export interface ModelEvaluation {
  readonly name: string;
  readonly metrics: ProbabilityMetrics;
  readonly verdict: Verdict;
  /** Log-loss gain over the mean of base logits on the same rows; null without that column. */
  readonly gainOverMeanLogit: Estimate | null;
  /** The baselines on the rows this model predicted: those of the report, unless it starts later (the stack). */
  readonly baselines: Readonly<Record<string, ProbabilityMetrics>>;
}

/** Metrics of all models beside all baselines, plain JSON. */
export interface EvaluationReport {
  readonly models: readonly ModelEvaluation[];
  readonly baselines: Readonly<Record<string, ProbabilityMetrics>>;
}

/** Evaluate every model beside the baselines and decide all verdicts together. */
export function evaluateModels(input: EvaluationInput): EvaluationReport {
  const { panel, meanLogit } = input;
  const baselines = evaluateBaselines(input);
  const evaluated = Object.entries(input.models).map(([name, probability]) => {
    const metrics = evaluatePredictions(panel, probability, input.metrics);
    const gainOverMeanLogit =
      meanLogit === undefined
        ? null
        : pairedLogLossGain(panel, { candidate: probability, reference: meanLogit }, input.metrics);
    return { name, metrics, gainOverMeanLogit, baselines: baselinesOn(input, probability, baselines) };
  });
  const verdicts = decideVerdicts(
    evaluated.map(({ name, metrics }) => {
      const unusableReason = input.unusable?.[name];
      return { name, ...metrics, ...(unusableReason === undefined ? {} : { unusableReason }) };
    }),
    input.verdict,
  );
  return {
    models: evaluated.map((model, i) => ({ ...model, verdict: verdicts[i] as Verdict })),
    baselines,
  };
}

/**
 * The baselines on the rows a column predicts. Quarters differ by more than models do: a model of three blocks
 * beside baselines of five would be judged by the difference of the periods.
 */
function baselinesOn(
  input: EvaluationInput,
  probability: Float64Array,
  all: Record<string, ProbabilityMetrics>,
): Record<string, ProbabilityMetrics> {
  const rows = rowsWhere(probability.length, (row) => Number.isFinite(probability[row]));
  if (rows.length === probability.length) return all;
  const { meanLogit, majorityClass, yesterdaySign, metrics } = input;
  const take = (column: ArrayLike<number>): Float64Array => takeNumbers(Float64Array.from(column), rows);
  return evaluateBaselines({
    panel: takeRows(input.panel, rows),
    models: {},
    metrics,
    ...(meanLogit === undefined ? {} : { meanLogit: take(meanLogit) }),
    ...(majorityClass === undefined ? {} : { majorityClass: take(majorityClass) }),
    ...(yesterdaySign === undefined ? {} : { yesterdaySign: take(yesterdaySign) }),
  });
}

function evaluateBaselines(input: EvaluationInput): Record<string, ProbabilityMetrics> {
  const { panel, metrics } = input;
  const asClass = { ...metrics, forecast: 'class' } as const;
  const baselines: Record<string, ProbabilityMetrics> = {
    baseRate: evaluatePredictions(panel, panel.baseRate, metrics),
  };
  if (input.majorityClass !== undefined) {
    baselines['majorityClass'] = evaluatePredictions(panel, Float64Array.from(input.majorityClass), asClass);
  }
  if (input.yesterdaySign !== undefined) {
    baselines['yesterdaySign'] = evaluatePredictions(panel, Float64Array.from(input.yesterdaySign), asClass);
  }
  if (input.meanLogit !== undefined) {
    baselines['meanLogit'] = evaluatePredictions(panel, input.meanLogit, metrics);
  }
  return baselines;
}
