import { quantileSorted, standardDeviation } from './quantile.ts';
import { createRng } from './rng.ts';
import { studentTSf } from './special.ts';

export interface BlockBootstrapOptions {
  /** Number of sessions, in time order. */
  readonly sessions: number;
  readonly blockLength: number;
  readonly replicates: number;
  readonly seed: number;
}

/** An estimate with its 95 % percentile interval; null where it could not be computed. JSON-able. */
export interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly standardError: number | null;
  /**
   * Two-sided p-value against zero: Student's t of value / standard error with (blocks - 1) degrees of freedom, the
   * error widened by n/(n - blockLength). Few blocks make the percentile interval too narrow; this one is not.
   */
  readonly pValue: number | null;
}

export const NO_ESTIMATE: Estimate = {
  value: null,
  low: null,
  high: null,
  standardError: null,
  pValue: null,
};

/** Moving blocks over sessions; every statistic sees the same resampled sessions. */
export interface BlockBootstrap {
  readonly options: BlockBootstrapOptions;
  /** Sum of a per-session column in each replicate. */
  sums(column: Float64Array): Float64Array;
}

/** Block length (definitions.md, Metrics): max(10, 2h) sessions. */
export function bootstrapBlockLength(horizonSessions: number): number {
  return Math.max(10, 2 * horizonSessions);
}

/**
 * Plan a moving-block bootstrap (Künsch 1989): blocks start uniformly anywhere they fit, the last one is cut so
 * that each replicate has exactly `sessions` sessions. Returns null below two blocks: no honest interval then.
 */
export function createBlockBootstrap(options: BlockBootstrapOptions): BlockBootstrap | null {
  const { sessions, blockLength, replicates, seed } = options;
  if (!Number.isInteger(blockLength) || blockLength < 1) {
    throw new RangeError(`blockLength must be a positive integer, got ${blockLength}`);
  }
  if (!Number.isInteger(replicates) || replicates < 1) {
    throw new RangeError(`replicates must be a positive integer, got ${replicates}`);
  }
  if (sessions < 2 * blockLength) return null;
  const fullBlocks = Math.floor(sessions / blockLength);
  const remainder = sessions - fullBlocks * blockLength;
  const blocks = fullBlocks + (remainder > 0 ? 1 : 0);
  const starts = new Uint32Array(replicates * blocks);
  const rng = createRng(seed);
  for (let i = 0; i < starts.length; i += 1) {
    const length = remainder > 0 && i % blocks === fullBlocks ? remainder : blockLength;
    starts[i] = rng.integerBelow(sessions - length + 1);
  }

  const sums = (column: Float64Array): Float64Array => {
    if (column.length !== sessions) {
      throw new RangeError(`column must have ${sessions} sessions, got ${column.length}`);
    }
    const prefix = new Float64Array(sessions + 1);
    for (let i = 0; i < sessions; i += 1) prefix[i + 1] = (prefix[i] as number) + (column[i] as number);
    const result = new Float64Array(replicates);
    for (let replicate = 0; replicate < replicates; replicate += 1) {
      let sum = 0;
      for (let block = 0; block < blocks; block += 1) {
        const start = starts[replicate * blocks + block] as number;
        const length = block === fullBlocks ? remainder : blockLength;
        sum += (prefix[start + length] as number) - (prefix[start] as number);
      }
      result[replicate] = sum;
    }
    return result;
  };
  return { options, sums };
}

/** Wrap replicates into an estimate; non-finite replicates are left out, too few of them give no interval. */
export function estimateFromReplicates(
  value: number,
  resampled: { replicates: Float64Array; bootstrap: BlockBootstrap } | null,
): Estimate {
  if (!Number.isFinite(value)) return NO_ESTIMATE;
  if (resampled === null) return { ...NO_ESTIMATE, value };
  const { sessions, blockLength } = resampled.bootstrap.options;
  const usable = resampled.replicates.filter((x) => Number.isFinite(x)).sort();
  if (usable.length < 2 || usable.length < resampled.replicates.length / 2) return { ...NO_ESTIMATE, value };
  const standardError = standardDeviation(usable);
  const t = value / (standardError * Math.sqrt(sessions / (sessions - blockLength)));
  return {
    value,
    low: quantileSorted(usable, 0.025),
    high: quantileSorted(usable, 0.975),
    standardError,
    pValue: Number.isNaN(t) ? 1 : 2 * studentTSf(Math.abs(t), sessions / blockLength - 1),
  };
}

/** Σ numerator / Σ denominator over sessions (a mean over rows, or over sessions), with its interval. */
export function ratioEstimate(
  bootstrap: BlockBootstrap | null,
  numerator: Float64Array,
  denominator: Float64Array,
): Estimate {
  const total = sum(denominator);
  if (total === 0) return NO_ESTIMATE;
  const value = sum(numerator) / total;
  if (bootstrap === null) return estimateFromReplicates(value, null);
  const numerators = bootstrap.sums(numerator);
  const denominators = bootstrap.sums(denominator);
  const replicates = numerators.map((x, i) => x / (denominators[i] as number));
  return estimateFromReplicates(value, { replicates, bootstrap });
}

function sum(column: Float64Array): number {
  let total = 0;
  for (let i = 0; i < column.length; i += 1) total += column[i] as number;
  return total;
}
