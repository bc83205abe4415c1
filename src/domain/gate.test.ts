import { describe, expect, it } from 'vitest';
import { decideGate, sharedRows, type GateInput, type GateModel } from './gate.ts';
import { createRng } from './statistics/rng.ts';

const SOUND: GateModel = {
  name: 'lightgbm',
  finite: true,
  finalFinite: true,
  additive: true,
  foldsExpected: 5,
  foldsDone: 5,
};
const META: GateModel = { ...SOUND, name: 'meta', finalFinite: null, additive: null };
const FIRST: GateInput = { models: [SOUND, META], comparison: null, horizonSessions: 1 };

/** 60 sessions of 20 rows; `harm` moves the candidate away from the truth. */
function comparison(harm: number, seed = 2) {
  const rng = createRng(seed);
  const n = 1200;
  const target = Float64Array.from({ length: n }, () => (rng.uniform() < 0.5 ? 1 : 0));
  const current = target.map((t) => 0.5 + 0.03 * (2 * t - 1) + 0.05 * rng.normal());
  return {
    session: Int32Array.from({ length: n }, (_, i) => Math.floor(i / 20)),
    target,
    current,
    candidate: current.map((p, i) => p - harm * (2 * (target[i] ?? 0) - 1) + 0.01 * rng.normal()),
  };
}

describe('decideGate', () => {
  it('accepts the first sound version', () => {
    const decision = decideGate(FIRST);
    expect(decision).toMatchObject({ accepted: true, gainOverCurrent: null });
    expect(decision.reason).toBe('accepted: there is no current version to compare with');
  });

  it('names everything that is wrong', () => {
    const decision = decideGate({
      ...FIRST,
      models: [
        { ...SOUND, finite: false },
        { ...SOUND, name: 'mlp', additive: false, additivityMaxError: 0.02 },
        { ...META, foldsDone: 2 },
      ],
      leakSuspects: ['catboost'],
    });
    expect(decision.accepted).toBe(false);
    expect(decision.checks.filter(({ passed }) => !passed).map(({ check }) => check)).toEqual([
      'finite',
      'additive',
      'folds',
      'plausible',
    ]);
    expect(decision.reason).toBe(
      'refused: not finite: lightgbm; explanations do not add up to the output: mlp (off by 2.0e-2); ' +
        'folds are missing: meta (2 of 5); implausibly good, a leak until disproved: catboost',
    );
    expect(decideGate({ ...FIRST, models: [] }).accepted).toBe(false);
  });

  it('refuses a final model that predicts nothing, though all its folds are the same as before', () => {
    const decision = decideGate({
      ...FIRST,
      models: [{ ...SOUND, name: 'mlp', finalFinite: false }, META],
      comparison: comparison(-0.03),
    });
    expect(decision).toMatchObject({ accepted: false, reason: 'refused: not finite: mlp (final model)' });
  });

  it('a candidate that is as good passes, one that is clearly worse does not', () => {
    const same = decideGate({ ...FIRST, comparison: comparison(0) });
    expect(same.accepted).toBe(true);
    expect(same.gainOverCurrent).toMatchObject({ rows: 1200, sessions: 60 });
    const worse = decideGate({ ...FIRST, comparison: comparison(0.03) });
    expect(worse.accepted).toBe(false);
    expect(worse.reason).toMatch(
      /^refused: out-of-fold log loss worse than the current version: difference 0\.0/,
    );
    const better = decideGate({ ...FIRST, comparison: comparison(-0.03) });
    expect(better.accepted).toBe(true);
    expect(better.gainOverCurrent?.value).toBeGreaterThan(0);
  });

  it('a difference inside the interval is let through', () => {
    const accepted = Array.from({ length: 30 }, (_, seed) =>
      decideGate({ ...FIRST, comparison: comparison(0, seed), replicates: 300 }),
    ).filter((decision) => decision.accepted).length;
    expect(accepted).toBeGreaterThanOrEqual(27);
  });

  it('compares only rows both versions predicted; none at all is a refusal', () => {
    const half = comparison(0);
    const decision = decideGate({
      ...FIRST,
      comparison: { ...half, candidate: half.candidate.map((p, i) => (i < 600 ? p : Number.NaN)) },
    });
    expect(decision.gainOverCurrent).toMatchObject({ rows: 600, sessions: 30 });
    const none = decideGate({
      ...FIRST,
      comparison: { ...half, candidate: half.candidate.map(() => Number.NaN) },
    });
    expect(none.accepted).toBe(false);
    expect(none.reason).toMatch(/no out-of-fold row is shared/);
  });

  it('too few sessions for an interval: only a candidate that is not worse passes', () => {
    const short = (harm: number) => {
      const { session, ...rest } = comparison(harm);
      return decideGate({ ...FIRST, comparison: { ...rest, session: session.map((s) => s % 10) } });
    };
    expect(short(0.03).accepted).toBe(false);
    expect(short(-0.03).accepted).toBe(true);
  });

  it('is plain JSON', () => {
    const decision = decideGate({ ...FIRST, comparison: comparison(0.01) });
    expect(JSON.parse(JSON.stringify(decision))).toEqual(decision);
  });
});

describe('sharedRows', () => {
  it('joins by key', () => {
    const { a, b } = sharedRows(['d1 A', 'd1 B', 'd2 A'], ['d2 A', 'd1 A', 'd3 A']);
    expect([Array.from(a), Array.from(b)]).toEqual([
      [0, 2],
      [1, 0],
    ]);
    expect(() => sharedRows(['x', 'x'], ['x'])).toThrow(/twice/);
    expect(() => sharedRows(['x'], ['y', 'y'])).toThrow(/twice/);
  });
});
