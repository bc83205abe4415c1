import { pairedLogLossGain } from './metrics/evaluate.ts';
import type { Estimate } from './statistics/bootstrap.ts';

/** One base model or the meta-learner of a version that asks to become current. */
export interface GateModel {
  readonly name: string;
  /** Whether every out-of-fold prediction of it is finite. */
  readonly finite: boolean;
  /** Whether its final fit, the one that would score, predicts finite values; null where there is none. */
  readonly finalFinite: boolean | null;
  /** Whether its SHAP values add up to its output; null where it is not explained (the meta-learner). */
  readonly additive: boolean | null;
  readonly additivityMaxError?: number | null;
  readonly foldsExpected: number;
  readonly foldsDone: number;
}

/** Out-of-fold predictions of two versions on one set of rows, NaN where a version has none. */
export interface GateComparison {
  readonly session: Int32Array;
  readonly target: Float64Array;
  readonly candidate: Float64Array;
  readonly current: Float64Array;
}

export interface GateInput {
  readonly models: readonly GateModel[];
  /** Names of models that look like a leak (see `Verdict.leakSuspected`). */
  readonly leakSuspects?: readonly string[];
  /** Null when there is no current version: then the first sound version is accepted. */
  readonly comparison: GateComparison | null;
  readonly horizonSessions: number;
  readonly seed?: number;
  readonly replicates?: number;
}

export interface GateCheck {
  readonly check: 'finite' | 'additive' | 'folds' | 'plausible' | 'logLoss';
  readonly passed: boolean;
  readonly words: string;
}

/** Decision on a version, plain JSON. */
export interface GateDecision {
  readonly accepted: boolean;
  readonly checks: readonly GateCheck[];
  /** Log loss of the current version minus the candidate's on shared rows; null without a comparison. */
  readonly gainOverCurrent: (Estimate & { readonly rows: number; readonly sessions: number }) | null;
  readonly reason: string;
}

/**
 * Decide whether a version becomes current (definitions.md, Gate): finite values, out of fold and of the final
 * models, SHAP additivity, all folds there, no suspected leak, and an out-of-fold log loss that is not worse than the current version's by more than the paired
 * interval on the same rows: refused only when the whole 95 % interval says worse. Every failed check is named.
 */
export function decideGate(input: GateInput): GateDecision {
  const comparison = compareWithCurrent(input);
  const checks = [
    checkFinite(input.models),
    checkAdditive(input.models),
    checkFolds(input.models),
    checkPlausible(input.leakSuspects ?? []),
    comparison.check,
  ];
  const failed = checks.filter(({ passed }) => !passed);
  const accepted = failed.length === 0;
  const reason = accepted
    ? `accepted: ${comparison.check.words}`
    : `refused: ${failed.map(({ words }) => words).join('; ')}`;
  return { accepted, checks, gainOverCurrent: comparison.gain, reason };
}

function checkFinite(models: readonly GateModel[]): GateCheck {
  const bad = models.flatMap(({ name, finite, finalFinite }) => [
    ...(finite ? [] : [name]),
    ...(finalFinite === false ? [`${name} (final model)`] : []),
  ]);
  const words = bad.length === 0 ? 'all predictions are finite' : `not finite: ${bad.join(', ')}`;
  return { check: 'finite', passed: bad.length === 0, words };
}

function checkAdditive(models: readonly GateModel[]): GateCheck {
  const bad = models.filter(({ additive }) => additive === false);
  const listed = bad.map(({ name, additivityMaxError }) =>
    typeof additivityMaxError === 'number' ? `${name} (off by ${additivityMaxError.toExponential(1)})` : name,
  );
  const words =
    bad.length === 0
      ? 'explanations add up'
      : `explanations do not add up to the output: ${listed.join(', ')}`;
  return { check: 'additive', passed: bad.length === 0, words };
}

function checkFolds(models: readonly GateModel[]): GateCheck {
  const bad = models.filter(({ foldsDone, foldsExpected }) => foldsDone < foldsExpected);
  if (models.length === 0) return { check: 'folds', passed: false, words: 'there is no model' };
  const listed = bad.map(
    ({ name, foldsDone, foldsExpected }) => `${name} (${foldsDone} of ${foldsExpected})`,
  );
  const words = bad.length === 0 ? 'all folds are there' : `folds are missing: ${listed.join(', ')}`;
  return { check: 'folds', passed: bad.length === 0, words };
}

function checkPlausible(suspects: readonly string[]): GateCheck {
  const words =
    suspects.length === 0
      ? 'no implausible score'
      : `implausibly good, a leak until disproved: ${suspects.join(', ')}`;
  return { check: 'plausible', passed: suspects.length === 0, words };
}

function compareWithCurrent(input: GateInput): { check: GateCheck; gain: GateDecision['gainOverCurrent'] } {
  const { comparison, horizonSessions, seed, replicates } = input;
  if (comparison === null) {
    const words = 'there is no current version to compare with';
    return { check: { check: 'logLoss', passed: true, words }, gain: null };
  }
  const gain = pairedLogLossGain(
    comparison,
    { candidate: comparison.candidate, reference: comparison.current },
    {
      horizonSessions,
      ...(seed === undefined ? {} : { seed }),
      ...(replicates === undefined ? {} : { replicates }),
    },
  );
  return { check: judgeGain(gain), gain };
}

function judgeGain(gain: Estimate & { rows: number; sessions: number }): GateCheck {
  const check = 'logLoss';
  if (gain.value === null) {
    return { check, passed: false, words: 'no out-of-fold row is shared with the current version' };
  }
  const shared = `${gain.rows} shared rows in ${gain.sessions} sessions`;
  if (gain.low === null || gain.high === null) {
    // Without an interval only a candidate that is not worse at all can be let through.
    const passed = gain.value >= 0;
    const verb = passed ? 'is not worse' : 'is worse';
    return {
      check,
      passed,
      words: `log loss ${verb} by the bare mean, too few sessions for an interval (${shared})`,
    };
  }
  const passed = gain.high >= 0;
  const interval = `${(-gain.value).toFixed(5)} (${(-gain.high).toFixed(5)} to ${(-gain.low).toFixed(5)})`;
  const verb = passed
    ? 'not worse than the current version beyond the interval'
    : 'worse than the current version';
  return { check, passed, words: `out-of-fold log loss ${verb}: difference ${interval} on ${shared}` };
}

/** Pairs of row numbers that mean the same (session, symbol) in two versions. */
export interface SharedRows {
  readonly a: Uint32Array;
  readonly b: Uint32Array;
}

/**
 * Rows two versions have in common. Indices differ between datasets, so the keys must be of one kind on both
 * sides: session dates and symbol names joined by a space, say. A key that occurs twice on a side is an error.
 */
export function sharedRows(a: readonly string[], b: readonly string[]): SharedRows {
  const rowOfB = new Map<string, number>();
  b.forEach((key, row) => {
    if (rowOfB.has(key)) throw new RangeError(`row key ${key} occurs twice`);
    rowOfB.set(key, row);
  });
  const rowsA: number[] = [];
  const rowsB: number[] = [];
  const seen = new Set<string>();
  a.forEach((key, row) => {
    if (seen.has(key)) throw new RangeError(`row key ${key} occurs twice`);
    seen.add(key);
    const other = rowOfB.get(key);
    if (other === undefined) return;
    rowsA.push(row);
    rowsB.push(other);
  });
  return { a: Uint32Array.from(rowsA), b: Uint32Array.from(rowsB) };
}
