import type { ShapArtifact } from '../../contracts/schemas/ml.ts';
import type { ModelMetricRow, ModelVersionRow } from '../../db/queries/training.ts';
import type { ProbabilityMetrics } from '../../domain/metrics/evaluate.ts';
import type { EvaluationReport, ModelEvaluation } from '../../domain/metrics/report.ts';
import type { Estimate } from '../../domain/statistics/bootstrap.ts';

/** An estimate as reports show it: value and 95 % interval. */
export type Interval = { value: number | null; low: number | null; high: number | null };
export type MetricTable = Record<string, Interval | number | null>;

export function intervalOf({ value, low, high }: Estimate): Interval {
  return { value, low, high };
}

/** Metrics of one column of predictions, named as in reports. */
export function metricTable(metrics: ProbabilityMetrics): MetricTable {
  return {
    auc: intervalOf(metrics.aucPooled),
    aucWithinSession: intervalOf(metrics.aucWithinSession),
    logLoss: intervalOf(metrics.logLoss),
    brier: intervalOf(metrics.brier),
    accuracy: intervalOf(metrics.accuracy),
    calibrationSlope: intervalOf(metrics.calibrationSlope),
    ic: intervalOf(metrics.ic),
    logLossGain: intervalOf(metrics.logLossGain),
    positiveShare: metrics.positiveShare,
    rows: metrics.rows,
    sessions: metrics.sessions,
    icSessions: metrics.icSessions,
  };
}

/** What a baseline is compared by. */
function baselineTable(metrics: ProbabilityMetrics): MetricTable {
  const {
    auc = null,
    ic = null,
    logLoss = null,
    brier = null,
    accuracy = null,
    rows = null,
  } = metricTable(metrics);
  return { auc, ic, logLoss, brier, accuracy, rows };
}

export type ModelReport = {
  name: string;
  version: string;
  modelHash: string | null;
  /** Out-of-sample rows its explanation was made on; null for the stack, which is explained by signal. */
  explainedRows: number | null;
  verdict: string;
  verdictInWords: string;
  leakSuspected: boolean;
  adjustedPValue: number | null;
  smallestDetectableIc: number | null;
  metrics: MetricTable;
  metricsWithFlagged: MetricTable;
  baselines: Record<string, MetricTable>;
};

/** The eight models and the stack as the run report shows them, each beside the baselines on its own rows. */
export function modelReports(input: {
  version: string;
  clean: EvaluationReport;
  withFlagged: EvaluationReport;
  modelHashes: Readonly<Record<string, string>>;
  explanations: readonly Pick<ShapArtifact, 'model' | 'rows'>[];
}): ModelReport[] {
  const { version, clean, withFlagged, explanations } = input;
  return clean.models.map((model) => {
    const flagged = withFlagged.models.find(({ name }) => name === model.name);
    return {
      name: model.name,
      version,
      modelHash: input.modelHashes[model.name] ?? null,
      explainedRows: explanations.find((one) => one.model === model.name)?.rows.length ?? null,
      verdict: model.verdict.verdict,
      verdictInWords: model.verdict.words,
      leakSuspected: model.verdict.leakSuspected,
      adjustedPValue: model.verdict.adjustedPValue,
      smallestDetectableIc: model.verdict.smallestDetectableIc,
      metrics: { ...metricTable(model.metrics), gainOverMeanLogit: gainOf(model) },
      metricsWithFlagged: flagged === undefined ? {} : baselineTable(flagged.metrics),
      baselines: Object.fromEntries(
        Object.entries(model.baselines).map(([name, metrics]) => [name, baselineTable(metrics)]),
      ),
    };
  });
}

function gainOf({ gainOverMeanLogit }: ModelEvaluation): Interval | null {
  return gainOverMeanLogit === null ? null : intervalOf(gainOverMeanLogit);
}

type Version = Pick<ModelVersionRow, 'version' | 'survivorship'>;

/** Rows of `model_metrics`: models, baselines, and the same with outcomes of doubtful bars. */
export function metricRows(
  version: Version,
  evaluation: { clean: EvaluationReport; withFlagged: EvaluationReport },
): ModelMetricRow[] {
  const rows = (report: EvaluationReport, prefix: string): ModelMetricRow[] => [
    ...report.models.flatMap((model) =>
      tableRows(
        version,
        model.name,
        prefix,
        { ...metricTable(model.metrics), gainOverMeanLogit: gainOf(model) },
        model.baselines,
      ),
    ),
    ...Object.entries(report.baselines).flatMap(([name, metrics]) =>
      tableRows(version, name, prefix, metricTable(metrics)),
    ),
  ];
  return [...rows(evaluation.clean, ''), ...rows(evaluation.withFlagged, 'withFlagged.')];
}

function tableRows(
  { version, survivorship }: Version,
  model: string,
  prefix: string,
  table: MetricTable,
  baselines: ModelEvaluation['baselines'] = {},
): ModelMetricRow[] {
  const { rows: n } = table;
  const beside = Object.entries(baselines).map(([name, metrics]) => [name, baselineTable(metrics)] as const);
  return Object.entries(table).map(([metric, figure]) => {
    const interval = typeof figure === 'number' ? { value: figure, low: null, high: null } : figure;
    return {
      version,
      model,
      metric: `${prefix}${metric}`,
      value: interval?.value ?? null,
      lower: interval?.low ?? null,
      upper: interval?.high ?? null,
      n: typeof n === 'number' ? n : null,
      survivorship,
      baseline: Object.fromEntries(
        beside.flatMap(([name, own]) => (own[metric] === undefined ? [] : [[name, valueOf(own[metric])]])),
      ),
    };
  });
}

function valueOf(figure: Interval | number | null): number | null {
  return typeof figure === 'number' ? figure : (figure?.value ?? null);
}
