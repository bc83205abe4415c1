import type { BlockBootstrap, Estimate } from '../statistics/bootstrap.ts';
import { estimateFromReplicates } from '../statistics/bootstrap.ts';
import { logit } from './scores.ts';

interface Fit {
  readonly intercept: number;
  readonly slope: number;
}

/** Gradient and Hessian of the log likelihood: u0, u1, h00, h01, h11. */
type Moments = [number, number, number, number, number];

function addMoments(moments: Moments, z: number, target: number, fit: Fit): void {
  const p = 1 / (1 + Math.exp(-(fit.intercept + fit.slope * z)));
  const weight = p * (1 - p);
  moments[0] += target - p;
  moments[1] += (target - p) * z;
  moments[2] += weight;
  moments[3] += weight * z;
  moments[4] += weight * z * z;
}

/** One Newton step; undefined where the Hessian is singular (constant predictions). */
function newtonStep([u0, u1, h00, h01, h11]: Moments): Fit | undefined {
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
    const moments: Moments = [0, 0, 0, 0, 0];
    for (let i = 0; i < z.length; i += 1) addMoments(moments, z[i] as number, target[i] as number, fit);
    const step = newtonStep(moments);
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
  const columns = Array.from({ length: 5 }, () => new Float64Array(sessions));
  for (let i = 0; i < target.length; i += 1) {
    const moments: Moments = [0, 0, 0, 0, 0];
    addMoments(moments, logit(probability[i] as number), target[i] as number, fit);
    const session = sessionOfRow[i] as number;
    for (const [k, column] of columns.entries()) {
      column[session] = (column[session] as number) + (moments[k] as number);
    }
  }
  const sums = columns.map((column) => bootstrap.sums(column));
  const replicates = new Float64Array(bootstrap.options.replicates);
  for (let b = 0; b < replicates.length; b += 1) {
    const [u0 = 0, u1 = 0, h00 = 0, h01 = 0, h11 = 0] = sums.map((column) => column[b]);
    replicates[b] = fit.slope + (newtonStep([u0, u1, h00, h01, h11])?.slope ?? Number.NaN);
  }
  return estimateFromReplicates(fit.slope, { replicates, bootstrap });
}
