import { describe, expect, it } from 'vitest';
import { NO_ESTIMATE, type Estimate } from './statistics/bootstrap.ts';
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
};

describe('decideVerdicts', () => {
  it('needs an IC and a log-loss gain above zero', () => {
    const weakIc = { ...STRONG, name: 'weakIc', ic: estimate(0.01, 0.008, 0.21) };
    const weakLoss = { ...STRONG, name: 'weakLoss', logLossGain: estimate(-0.001, 0.0004, 0.01) };
    const verdicts = decideVerdicts([STRONG, weakIc, weakLoss]);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['edge', 'no_edge', 'no_edge']);
    expect(verdicts[0]?.words).toMatch(
      /^Edge: the IC is 0\.0400 \(95 % interval 0\.0243 to 0\.0557\), the log-loss gain over the base rate 0\.00200 .*; a mean IC below 0\.0\d+ could not have been told from zero\.$/,
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

  it('says what IC could have been detected: 80 % power at the strictest step', () => {
    const [one] = decideVerdicts([STRONG]);
    expect(one?.smallestDetectableIc).toBeCloseTo(0.008 * (1.959964 + 0.841621), 6);
    const [nine] = decideVerdicts([STRONG], { trials: 9 });
    expect(nine?.smallestDetectableIc).toBeCloseTo(0.008 * (2.772921 + 0.841621), 5);
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
