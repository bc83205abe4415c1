import { describe, expect, it } from 'vitest';
import {
  bootstrapBlockLength,
  createBlockBootstrap,
  NO_ESTIMATE,
  ratioEstimate,
  type Estimate,
} from './statistics/bootstrap.ts';
import { createRng } from './statistics/rng.ts';
import { decideVerdicts, type VerdictInput } from './verdict.ts';

function estimate(value: number, standardError: number, pValue: number): Estimate {
  return {
    value,
    low: value - 1.96 * standardError,
    high: value + 1.96 * standardError,
    standardError,
    pValue,
  };
}

const AUC = estimate(0.51, 0.005, 0);
const STRONG: VerdictInput = {
  name: 'strong',
  ic: estimate(0.04, 0.008, 1e-6),
  logLossGain: estimate(0.002, 0.0004, 1e-6),
  aucWithinSession: AUC,
  aucPooled: AUC,
  sessions: 310,
  bootstrap: { blockLength: 10 },
};

/** ICs of sessions whose labels overlap: each is a mean of h independent ones, as its neighbours have h - 1 of them. */
function overlappingNoise(sessions: number, horizonSessions: number, seed: number): Float64Array {
  const rng = createRng(seed + 1);
  const draws = Float64Array.from({ length: sessions + horizonSessions }, () => 0.2 * rng.normal());
  return Float64Array.from(
    { length: sessions },
    (_, t) => draws.subarray(t, t + horizonSessions).reduce((a, b) => a + b, 0) / horizonSessions,
  );
}

describe('decideVerdicts', () => {
  it('needs an IC and a log-loss gain above zero', () => {
    const weakIc = { ...STRONG, name: 'weakIc', ic: estimate(0.01, 0.008, 0.21) };
    const weakLoss = { ...STRONG, name: 'weakLoss', logLossGain: estimate(-0.001, 0.0004, 0.01) };
    const verdicts = decideVerdicts([STRONG, weakIc, weakLoss]);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['edge', 'no_edge', 'no_edge']);
    expect(verdicts[0]?.words).toMatch(
      /^Edge: the IC is 0\.0400 \(95 % interval 0\.0243 to 0\.0557\), the log-loss gain over the base rate is 0\.00200 .*; a mean IC below 0\.0\d+ could not have been told from zero\.$/,
    );
    expect(verdicts[1]?.words).toMatch(/^No edge, because the IC interval includes zero/);
    expect(verdicts[2]?.words).toMatch(/not better than that of the base rate/);
  });

  it('a significantly negative IC is no edge', () => {
    const negative = { ...STRONG, ic: estimate(-0.04, 0.008, 1e-6) };
    expect(decideVerdicts([negative])[0]).toMatchObject({ verdict: 'no_edge', adjustedPValue: 1 });
  });

  it('Holm over all models: what passes alone may fail among nine, or among trials made elsewhere', () => {
    const fair = {
      ...STRONG,
      name: 'fair',
      ic: estimate(0.02, 0.0085, 0.02),
      logLossGain: estimate(1e-3, 4e-4, 0.02),
    };
    const nothing = Array.from({ length: 8 }, (_, i) => ({
      ...fair,
      name: `none${i}`,
      ic: estimate(-0.01, 0.01, 0.3),
    }));
    expect(decideVerdicts([fair])[0]?.verdict).toBe('edge');
    const [among] = decideVerdicts([fair, ...nothing]);
    expect(among?.verdict).toBe('no_edge');
    expect(among?.adjustedPValue).toBeCloseTo(0.18, 12);
    expect(among?.words).toMatch(/Holm/);
    expect(decideVerdicts([fair], { trials: 9 })[0]?.verdict).toBe('no_edge');
  });

  it('the p-value of a model is the larger of its two', () => {
    const [verdict] = decideVerdicts([{ ...STRONG, logLossGain: estimate(0.001, 0.0003, 0.004) }]);
    expect(verdict?.adjustedPValue).toBe(0.004);
  });

  it('says what IC could have been detected: 80 % power at the strictest step, by the t test that decides', () => {
    const widened = 0.008 * Math.sqrt(310 / 300);
    const [one] = decideVerdicts([STRONG]);
    // scipy: nct.sf(t.isf(0.025, 30), 30, 2.895362) = 0.8
    expect(one?.smallestDetectableIc).toBeCloseTo(widened * 2.895362, 6);
    const [nine] = decideVerdicts([STRONG], { trials: 9 });
    expect(nine?.smallestDetectableIc).toBeCloseTo(widened * 3.864427, 6);
    // Overlapping labels of twenty sessions leave seven blocks: normal quantiles would promise 3.615 errors.
    const few = { ...STRONG, sessions: 310, bootstrap: { blockLength: 40 } };
    const [overlapping] = decideVerdicts([few], { trials: 9 });
    expect((overlapping?.smallestDetectableIc ?? 0) / 0.008).toBeCloseTo(5.448, 3);
  });

  it.each([
    { horizonSessions: 1, sessions: 310 },
    { horizonSessions: 20, sessions: 310 },
  ])('an IC of that size passes in about 80 % of simulated markets (%o)', ({ horizonSessions, sessions }) => {
    const trials = 9;
    const blockLength = bootstrapBlockLength(horizonSessions);
    const bootstrap = createBlockBootstrap({ sessions, blockLength, replicates: 300, seed: 5 });
    const ones = new Float64Array(sessions).fill(1);
    const markets = Array.from({ length: 500 }, (_, seed) =>
      overlappingNoise(sessions, horizonSessions, seed),
    );
    const icOf = (noise: Float64Array, mean: number): Estimate =>
      ratioEstimate(
        bootstrap,
        noise.map((x) => x + mean),
        ones,
      );
    const claimed = markets.map((noise) => {
      const given = { ...STRONG, ic: icOf(noise, 0), sessions, bootstrap: { blockLength } };
      return decideVerdicts([given], { trials })[0]?.smallestDetectableIc ?? Number.NaN;
    });
    const detectable = claimed.reduce((a, b) => a + b, 0) / markets.length;
    const passed = markets.filter((noise) => {
      const { value, pValue } = icOf(noise, detectable);
      return (value ?? 0) > 0 && (pValue ?? 1) < 0.05 / trials;
    });
    expect(passed.length / markets.length).toBeGreaterThan(0.75);
    expect(passed.length / markets.length).toBeLessThan(0.85);
  });

  it('says why where nothing can be computed', () => {
    const verdict = decideVerdicts([{ ...STRONG, ic: NO_ESTIMATE }])[0];
    expect(verdict).toMatchObject({ verdict: 'no_edge', adjustedPValue: null, smallestDetectableIc: null });
    expect(verdict?.words).toMatch(/enough symbols/);
    expect(decideVerdicts([{ ...STRONG, ic: { ...NO_ESTIMATE, value: 0.3 } }])[0]?.words).toMatch(
      /too few sessions/,
    );
  });

  it('a model marked unusable has no edge whatever its numbers', () => {
    const [verdict] = decideVerdicts([{ ...STRONG, unusableReason: 'the meta slope is not above zero' }]);
    expect(verdict?.verdict).toBe('no_edge');
    expect(verdict?.words).toContain('the meta slope is not above zero');
  });

  it('an implausible AUC is called a leak, one whose interval reaches down is not', () => {
    const high = { ...STRONG, aucWithinSession: estimate(0.7, 0.01, 0) };
    expect(decideVerdicts([high])[0]).toMatchObject({ verdict: 'edge', leakSuspected: true });
    expect(decideVerdicts([high])[0]?.words).toContain('leak');
    const unsure = { ...STRONG, aucWithinSession: estimate(0.62, 0.04, 0) };
    expect(decideVerdicts([unsure])[0]?.leakSuspected).toBe(false);
  });

  it('refuses a bad level', () => {
    expect(() => decideVerdicts([STRONG], { alpha: 0 })).toThrow(/alpha/);
    expect(decideVerdicts([])).toEqual([]);
  });
});
