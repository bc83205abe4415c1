import type { Estimate } from './statistics/bootstrap.ts';
import { holm } from './statistics/multiple-testing.ts';
import { detectableShift } from './statistics/power.ts';

export interface VerdictInput {
  readonly name: string;
  /** Mean information coefficient over sessions. */
  readonly ic: Estimate;
  /** Paired log-loss gain over the training base rate. */
  readonly logLossGain: Estimate;
  readonly aucWithinSession: Estimate;
  readonly aucPooled: Estimate;
  /** Sessions of the estimates and the block length they were resampled with: the degrees of freedom of the test. */
  readonly sessions: number;
  readonly bootstrap: { readonly blockLength: number };
  /** Set when the model must not be used whatever its numbers say, e.g. a meta-learner with slope <= 0. */
  readonly unusableReason?: string;
}

export interface VerdictOptions {
  /** Family-wise error over all models, two-sided; default 0.05, the level of the 95 % intervals. */
  readonly alpha?: number;
  /** Number of models tried, default the number given; more makes the correction stricter. */
  readonly trials?: number;
  /** An AUC whose whole interval lies above this is a leak until disproved; default 0.58. */
  readonly plausibleAuc?: number;
}

/** Verdict on one model, plain JSON. */
export interface Verdict {
  readonly name: string;
  readonly verdict: 'edge' | 'no_edge';
  /** Larger of the two p-values (IC, log-loss gain), Holm-adjusted over all models; null without an interval. */
  readonly adjustedPValue: number | null;
  /**
   * Smallest mean IC whose test would have passed with probability 0.8 at the strictest step of the correction: the
   * noncentral t of `Estimate.pValue`, with its degrees of freedom and its widened error. Null without an interval.
   */
  readonly smallestDetectableIc: number | null;
  readonly leakSuspected: boolean;
  readonly words: string;
}

const POWER = 0.8;

/**
 * Decide for each model whether it has an edge (definitions.md, Metrics): the IC interval lies above 0, the paired log-loss
 * gain over the base rate lies above 0, and both survive Holm's correction over all models. A model needs both, so
 * its p-value is the larger of the two (intersection-union test). Throws RangeError for `alpha` outside (0, 1).
 */
export function decideVerdicts(models: readonly VerdictInput[], options: VerdictOptions = {}): Verdict[] {
  const { alpha = 0.05, trials = models.length, plausibleAuc = 0.58 } = options;
  if (!(alpha > 0 && alpha < 1)) throw new RangeError(`alpha must be above 0 and below 1, got ${alpha}`);
  const adjusted = holm(models.map(jointPValue), trials);
  const tail = alpha / 2 / Math.max(1, trials);
  return models.map((model, i) => {
    const failures = reasonsAgainst(model, { alpha, adjusted: adjusted[i] ?? 1 });
    const leakSuspected =
      isAbove(model.aucWithinSession, plausibleAuc) || isAbove(model.aucPooled, plausibleAuc);
    const verdict = failures.length === 0 ? 'edge' : 'no_edge';
    const tested = model.ic.pValue !== null && model.logLossGain.pValue !== null;
    const smallestDetectableIc = detectableIc(model, tail);
    return {
      name: model.name,
      verdict,
      adjustedPValue: tested ? (adjusted[i] ?? null) : null,
      smallestDetectableIc,
      leakSuspected,
      words: verdictWords(model, { failures, leakSuspected, plausibleAuc, smallestDetectableIc }),
    };
  });
}

function detectableIc({ ic, sessions, bootstrap }: VerdictInput, tail: number): number | null {
  const { blockLength } = bootstrap;
  if (ic.standardError === null) return null;
  const shift = detectableShift({ tail, degrees: sessions / blockLength - 1, power: POWER });
  const detectable = shift * ic.standardError * Math.sqrt(sessions / (sessions - blockLength));
  return Number.isFinite(detectable) ? detectable : null;
}

/** 1 unless both estimates point upwards. */
function jointPValue({ ic, logLossGain }: VerdictInput): number {
  const upward = (ic.value ?? 0) > 0 && (logLossGain.value ?? 0) > 0;
  return upward ? Math.max(ic.pValue ?? 1, logLossGain.pValue ?? 1) : 1;
}

function isAbove(estimate: Estimate, bound: number): boolean {
  return estimate.low !== null && estimate.low > bound;
}

function reasonsAgainst(model: VerdictInput, test: { alpha: number; adjusted: number }): string[] {
  const reasons: string[] = [];
  if (model.unusableReason !== undefined) reasons.push(model.unusableReason);
  if (model.ic.value === null) reasons.push('no session has enough symbols for an IC');
  else if (model.ic.low === null) reasons.push('too few sessions for an interval of the IC');
  else if (!isAbove(model.ic, 0)) reasons.push('the IC interval includes zero or lies below it');
  if (model.logLossGain.low === null) reasons.push('no interval of the log-loss gain');
  else if (!isAbove(model.logLossGain, 0))
    reasons.push('the log loss is not better than that of the base rate');
  if (reasons.length === 0 && test.adjusted > test.alpha) {
    reasons.push(`not significant after Holm's correction (p ${test.adjusted.toFixed(3)})`);
  }
  return reasons;
}

function verdictWords(
  model: VerdictInput,
  state: {
    failures: string[];
    leakSuspected: boolean;
    plausibleAuc: number;
    smallestDetectableIc: number | null;
  },
): string {
  const { failures, leakSuspected, plausibleAuc, smallestDetectableIc } = state;
  const detectable =
    smallestDetectableIc === null
      ? ''
      : `; a mean IC below ${smallestDetectableIc.toFixed(4)} could not have been told from zero`;
  const isDefined = model.ic.value !== null || model.logLossGain.value !== null;
  const numbers =
    `the IC is ${inWords(model.ic, 4)}, the log-loss gain over the base rate is ` +
    `${inWords(model.logLossGain, 5)}${detectable}`;
  const head = failures.length === 0 ? 'Edge' : `No edge, because ${listed(failures)}`;
  const verdict = isDefined ? `${head}: ${numbers}.` : `${head}.`;
  if (!leakSuspected) return verdict;
  return `${verdict} The AUC lies above ${plausibleAuc}: treat it as a leak until that is disproved.`;
}

/** `a`, `a and b`, `a, b and c`. */
function listed(parts: readonly string[]): string {
  const last = parts.at(-1) ?? '';
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`;
}

function inWords({ value, low, high }: Estimate, digits: number): string {
  if (value === null) return 'not defined';
  if (low === null || high === null) return value.toFixed(digits);
  return `${value.toFixed(digits)} (95 % interval ${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
