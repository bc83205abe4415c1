import { z } from 'zod';
import type { BacktestMetric, EquityPoint } from '../db/queries/backtests.ts';
import type { CalibrationBin } from '../db/queries/result-models.ts';
import type { CurvePoint } from './components/charts.tsx';
import type { ChartSpec } from './components/chart-spec.ts';
import { words } from './format.ts';

const saidSchema = z.object({
  overfitting: z.object({ words: z.string() }).nullish(),
  notes: z.array(z.string()).default([]),
});

/** What a backtest says about itself: how likely its choice of a model is chance, and its notes. */
export function saidBy(summary: unknown): string[] {
  const parsed = saidSchema.safeParse(summary);
  if (!parsed.success) return [];
  const { overfitting, notes } = parsed.data;
  return [...(overfitting === null || overfitting === undefined ? [] : [overfitting.words]), ...notes];
}

type Metric = Pick<BacktestMetric, 'value' | 'lower' | 'upper' | 'n'>;

/** Metrics of one model in one dimension, by bucket and name. */
export function bucketsOf(
  metrics: readonly BacktestMetric[],
  of: { model: string; dimension: string },
): Map<string, Map<string, Metric>> {
  const buckets = new Map<string, Map<string, Metric>>();
  for (const row of metrics) {
    if (row.model !== of.model || row.dimension !== of.dimension) continue;
    const known = buckets.get(row.bucket) ?? new Map<string, Metric>();
    known.set(row.metric, row);
    buckets.set(row.bucket, known);
  }
  return buckets;
}

/** The calibration curve of a model in a backtest. */
export function calibrationOf(metrics: readonly BacktestMetric[], model: string): CurvePoint[] {
  const buckets = [...bucketsOf(metrics, { model, dimension: 'decile' }).values()];
  return curveOf(
    buckets.map((bucket) => {
      const { value = null, lower = null, upper = null } = bucket.get('realisedRate') ?? {};
      return {
        meanProbability: bucket.get('meanProbability')?.value ?? null,
        realisedRate: value,
        lower,
        upper,
      };
    }),
  );
}

type Decile = Pick<CalibrationBin, 'meanProbability' | 'realisedRate' | 'lower' | 'upper'>;

/** Deciles of one model as a curve by rising probability; those without outcomes are left out. */
export function curveOf(deciles: readonly Decile[]): CurvePoint[] {
  return deciles
    .flatMap(({ meanProbability: x, realisedRate: y, lower: low, upper: high }): CurvePoint[] =>
      x === null || y === null ? [] : [{ x, y, low, high }],
    )
    .toSorted((a, b) => a.x - b.x);
}

/** Curves over the union of their sessions; those not named as shown can be switched on. */
export function equitySpec(
  points: readonly Pick<EquityPoint, 'series' | 'sessionDate' | 'equityNet'>[],
  shown: readonly string[],
): ChartSpec {
  const sessions = [...new Set(points.map(({ sessionDate }) => sessionDate))].toSorted();
  const index = new Map(sessions.map((date, at) => [date, at]));
  const curves = new Map<string, (number | null)[]>();
  for (const { series, sessionDate, equityNet } of points) {
    const values = curves.get(series) ?? sessions.map(() => null);
    values[index.get(sessionDate) ?? 0] = equityNet;
    curves.set(series, values);
  }
  const place = (name: string): number => (shown.includes(name) ? shown.indexOf(name) : shown.length);
  return {
    sessions,
    unit: 'number',
    series: [...curves]
      .toSorted(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
      .map(([name, values]) => ({ label: words(name), values, hidden: !shown.includes(name) })),
  };
}
