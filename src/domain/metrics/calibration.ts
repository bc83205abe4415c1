import type { BlockBootstrap, Estimate } from '../statistics/bootstrap.ts';
import { estimateFromReplicates } from '../statistics/bootstrap.ts';
import { logit } from './scores.ts';

interface Fit {
  readonly intercept: number;
  readonly slope: number;
}

/** Gradient and Hessian of the log likelihood: u0, u1, h00, h01, h11, a column of each. */
type Moments = readonly [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];

function emptyMoments(length: number): Moments {
  const column = (): Float64Array => new Float64Array(length);
  return [column(), column(), column(), column(), column()];
}

/** Adds what a row contributes to the moments `at` some place of the columns. */
function addMoments(
  [u0, u1, h00, h01, h11]: Moments,
  at: number,
  { z, target, fit }: { z: number; target: number; fit: Fit },
): void {
  const p = 1 / (1 + Math.exp(-(fit.intercept + fit.slope * z)));
  const residual = target - p;
  const weight = p * (1 - p);
  u0[at] = (u0[at] as number) + residual;
  u1[at] = (u1[at] as number) + residual * z;
  h00[at] = (h00[at] as number) + weight;
  h01[at] = (h01[at] as number) + weight * z;
  h11[at] = (h11[at] as number) + weight * z * z;
}

/** One Newton step from the moments `at` that place; undefined where the Hessian is singular (constant predictions). */
function newtonStep(moments: Moments, at: number): Fit | undefined {
  const [u0 = 0, u1 = 0, h00 = 0, h01 = 0, h11 = 0] = [
    moments[0][at],
    moments[1][at],
    moments[2][at],
    moments[3][at],
    moments[4][at],
  ];
  const determinant = h00 * h11 - h01 * h01;
  if (!(determinant > 1e-12 * h00 * h11)) return undefined;
  return { intercept: (h11 * u0 - h01 * u1) / determinant, slope: (h00 * u1 - h01 * u0) / determinant };
}

/**
 * Slope (and intercept) of a logistic regression of the target on logit(p): 1 is calibrated, below 1 too sure of
 * itself, <= 0 worthless. NaN where predictions are constant or separate the classes.
 */
export function calibrationFit(target: Float64Array, probability: Float64Array): Fit {
  const failed = { intercept: Number.NaN, slope: Number.NaN };
  const z = probability.map(logit);
  let fit: Fit = { intercept: 0, slope: 1 };
  for (let iteration = 0; iteration < 100; iteration += 1) {
    const moments = emptyMoments(1);
    for (let i = 0; i < z.length; i += 1) {
      addMoments(moments, 0, { z: z[i] as number, target: target[i] as number, fit });
    }
    const step = newtonStep(moments, 0);
    if (step === undefined) return failed;
    // A bounded step keeps Newton from overshooting where predictions lie far out.
    const scale = Math.min(1, 5 / Math.max(Math.abs(step.intercept), Math.abs(step.slope), 1e-300));
    fit = { intercept: fit.intercept + scale * step.intercept, slope: fit.slope + scale * step.slope };
    if (!(Math.abs(fit.slope) < 1e4 && Math.abs(fit.intercept) < 1e4)) return failed;
    if (Math.abs(step.slope) < 1e-10 && Math.abs(step.intercept) < 1e-10) return fit;
  }
  return failed;
}

/** Calibration slope with its interval: each replicate is one Newton step from the full-sample fit. */
export function calibrationSlope(
  rows: { target: Float64Array; probability: Float64Array; sessionOfRow: Uint32Array },
  sessions: number,
  bootstrap: BlockBootstrap | null,
): Estimate {
  const { target, probability, sessionOfRow } = rows;
  const fit = calibrationFit(target, probability);
  if (!Number.isFinite(fit.slope) || bootstrap === null) return estimateFromReplicates(fit.slope, null);
  const moments = emptyMoments(sessions);
  for (let i = 0; i < target.length; i += 1) {
    const row = { z: logit(probability[i] as number), target: target[i] as number, fit };
    addMoments(moments, sessionOfRow[i] as number, row);
  }
  const [u0, u1, h00, h01, h11] = moments;
  const sums = (column: Float64Array): Float64Array => bootstrap.sums(column);
  const resampled: Moments = [sums(u0), sums(u1), sums(h00), sums(h01), sums(h11)];
  const replicates = new Float64Array(bootstrap.options.replicates);
  for (let b = 0; b < replicates.length; b += 1) {
    replicates[b] = fit.slope + (newtonStep(resampled, b)?.slope ?? Number.NaN);
  }
  return estimateFromReplicates(fit.slope, { replicates, bootstrap });
}
