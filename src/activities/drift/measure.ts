import { readParquet } from '../../artifacts/parquet.ts';
import {
  type Baseline,
  binShares,
  createBaseline,
  jsOfShares,
  klOfShares,
  ksTest,
  psiOfShares,
} from '../../domain/drift.ts';
import {
  monitorDrift,
  type DriftMonitorOptions,
  type MonitoredSeries,
  type SeriesDrift,
  type SessionValues,
} from '../../domain/drift-monitor.ts';
import { toJsonNumber } from '../../domain/statistics/json.ts';
import type { Report } from '../compute/protocol.ts';
import type { PredictionSeries } from './predictions.ts';
import { dropMissing, type FeatureSpec, fromFirstValue, type SessionRange } from './series.ts';

export type MeasureDriftInput = {
  /** The dataset's Parquet file. */
  parquet: Uint8Array;
  features: FeatureSpec[];
  rowStartBySession: number[];
  /** Index of the night's session. */
  session: number;
  rolling: SessionRange;
  /** Null where its sessions have left the dataset. */
  anchored: SessionRange | null;
  predictions: PredictionSeries[];
  options: DriftMonitorOptions & { bins: number; floor: number; windowSessions: number };
  missing: 'drop' | 'bin';
};

/** A series beside the bins of its baseline. */
export type MeasuredSeries = SeriesDrift & SessionRange & { edges: number[]; shares: number[] };
/** `anchored` has the features alone: what is issued is compared with the current version only. */
export type MeasuredDrift = { rolling: MeasuredSeries[]; anchored: MeasuredSeries[] };

/** All series of one night against the rolling and the anchored baseline; a job for a thread of its own. */
export async function measureDrift(input: MeasureDriftInput, report: Report): Promise<MeasuredDrift> {
  const features = await readFeatures(input, report);
  const { rolling, anchored } = input;
  report('rolling', 0, 1);
  const predictions = input.predictions.map(seriesOfPrediction);
  const measured = measure(input, [...seriesOfFeatures(features, rolling, input), ...predictions]);
  if (anchored === null) return { rolling: measured, anchored: [] };
  const isSame =
    anchored.firstSession === rolling.firstSession && anchored.lastSession === rolling.lastSession;
  if (isSame) return { rolling: measured, anchored: measured.slice(0, features.length) };
  report('anchored', 0, 1);
  return { rolling: measured, anchored: measure(input, seriesOfFeatures(features, anchored, input)) };
}

type FeatureColumn = FeatureSpec & { column: SessionValues };

function seriesOfPrediction({ model, excludedBecause, ...series }: PredictionSeries): MonitoredSeries {
  return {
    ...series,
    name: `prediction:${model}`,
    kind: 'prediction',
    ...(excludedBecause === null ? {} : { excludedBecause }),
  };
}

async function readFeatures(input: MeasureDriftInput, report: Report): Promise<FeatureColumn[]> {
  // A view on a larger buffer would be copied again for each column.
  const { parquet, rowStartBySession, session } = input;
  const bytes = parquet.byteLength === parquet.buffer.byteLength ? parquet : parquet.slice();
  const found: FeatureColumn[] = [];
  for (const [index, spec] of input.features.entries()) {
    const { columns } = await readParquet(bytes, { columns: [spec.name] });
    const values = columns.get(spec.name);
    if (!(values instanceof Float32Array || values instanceof Float64Array)) {
      throw new RangeError(`${spec.name} of the dataset is no column of floats`);
    }
    const all = { values, rowStarts: rowStartBySession, firstSession: 0, lastSession: session };
    found.push({ ...spec, column: input.missing === 'drop' ? dropMissing(all) : all });
    report('features', index + 1, input.features.length);
  }
  return found;
}

type Night = Pick<MeasureDriftInput, 'session' | 'options' | 'missing'>;

function seriesOfFeatures(
  features: readonly FeatureColumn[],
  range: SessionRange,
  { session, options }: Night,
): MonitoredSeries[] {
  const firstSession = Math.max(0, session - options.windowSessions);
  return features.map(({ name, excludedBecause, column }) => ({
    name,
    kind: 'feature',
    baseline: fromFirstValue({ ...column, ...range }),
    current: { ...column, firstSession, lastSession: session },
    ...(excludedBecause === null ? {} : { excludedBecause }),
  }));
}

function measure({ options, missing }: Night, series: readonly MonitoredSeries[]): MeasuredSeries[] {
  const prepared = series.map((one) => {
    const baseline = createBaseline(valuesOf(one.baseline), options);
    return { ...one, baseline: { ...one.baseline, prepared: baseline } };
  });
  const report = monitorDrift(prepared, options);
  return prepared.map((one, index) => {
    const found = report.series[index];
    if (found === undefined) throw new RangeError(`no result for ${one.name}`);
    const { firstSession, lastSession, prepared: baseline } = one.baseline;
    return {
      ...found,
      ...(found.status === 'not_monitored' ? rawOf(one, baseline, { ...options, missing }) : {}),
      edges: [...baseline.edges],
      shares: baselineShares(baseline, { ...options, missing }),
      firstSession,
      lastSession,
    };
  });
}

/** Floored shares per bin, as the statistics use them; the last one is that of missing values with `bin`. */
function baselineShares(
  { counts, sorted, missingCount }: Baseline,
  { floor, missing }: { floor: number; missing: 'drop' | 'bin' },
): number[] {
  if (sorted.length === 0) return [];
  const all = missing === 'bin' ? [...counts, missingCount] : [...counts];
  const total = sorted.length + (missing === 'bin' ? missingCount : 0);
  return all.map((count) => Math.max(count / total, floor));
}

/** The raw numbers of a series that is logged though not monitored. */
function rawOf(
  one: MonitoredSeries,
  baseline: Baseline,
  options: { bins: number; floor: number; windowSessions: number; missing: 'drop' | 'bin' },
): Partial<SeriesDrift> {
  const { lastSession } = one.current;
  const firstSession = Math.max(one.current.firstSession, lastSession - options.windowSessions + 1);
  const current = valuesOf({ ...one.current, firstSession });
  const shares = binShares(baseline, current, options);
  const baselineRows = baseline.sorted.length + baseline.missingCount;
  const missing = countMissing(current);
  const counted = {
    baselineRows,
    currentRows: current.length,
    baselineMissingShare: toJsonNumber(baseline.missingCount / baselineRows),
    currentMissingShare: toJsonNumber(missing / current.length),
  };
  if (shares === null) return counted;
  const kl = klOfShares(shares);
  const ks = ksTest(current, baseline);
  return {
    ...counted,
    psi: toJsonNumber(psiOfShares(shares)),
    klCurrentGivenBaseline: toJsonNumber(kl.currentGivenBaseline),
    klBaselineGivenCurrent: toJsonNumber(kl.baselineGivenCurrent),
    jsDivergence: toJsonNumber(jsOfShares(shares)),
    ksStatistic: toJsonNumber(ks.statistic),
    ksPValue: toJsonNumber(ks.pValue),
  };
}

function valuesOf(range: SessionValues): Float32Array | Float64Array {
  const start = range.rowStarts[range.firstSession] ?? 0;
  return range.values.subarray(start, Math.max(start, range.rowStarts[range.lastSession + 1] ?? start));
}

function countMissing(values: Float32Array | Float64Array): number {
  let count = 0;
  for (const value of values) if (Number.isNaN(value)) count += 1;
  return count;
}
