import { describe, expect, it } from 'vitest';
import { COOL_DOWN_SESSIONS, decideFlag, judgeNights, type JudgedSeries, summariseDrift } from './decide.ts';
import type { MeasuredSeries } from './measure.ts';

function series(name: string, given: Partial<MeasuredSeries> = {}): MeasuredSeries {
  return {
    name,
    kind: 'feature',
    status: 'stable',
    words: 'stable',
    psi: 0.01,
    klCurrentGivenBaseline: 0,
    klBaselineGivenCurrent: 0,
    jsDivergence: 0,
    ksStatistic: 0,
    ksPValue: 1,
    baselineRows: 1000,
    currentRows: 100,
    baselineMissingShare: 0,
    currentMissingShare: 0,
    comparisonWindows: 400,
    independentWindows: 20,
    thresholds: null,
    percentile: 0.5,
    pValue: 0.5,
    adjustedPValue: 0.5,
    exceeds: false,
    exceededPrevious: false,
    firstSession: 0,
    lastSession: 400,
    edges: [],
    shares: [],
    ...given,
  };
}

const hot = (exceededPrevious: boolean): MeasuredSeries =>
  series('ret1', { exceeds: true, exceededPrevious, status: exceededPrevious ? 'alarm' : 'elevated' });

function judged(one: MeasuredSeries, nights: number, pastSessions: string[] = [], seen: string[] = []) {
  const past = seen.map((sessionDate) => ({
    sessionDate,
    baselineKind: 'rolling' as const,
    feature: one.name,
  }));
  const [result] = judgeNights({ series: [one], baselineKind: 'rolling', nights, pastSessions, past });
  return result?.status;
}

describe('judgeNights', () => {
  it('one night: what exceeds alarms at once', () => {
    expect(judged(hot(false), 1)).toBe('alarm');
    expect(judged(series('ret1'), 1)).toBe('stable');
  });

  it('two nights: the window that ended a session earlier must exceed too', () => {
    expect(judged(hot(false), 2)).toBe('elevated');
    expect(judged(hot(true), 2)).toBe('alarm');
  });

  it('more nights: those before are read from the log, all of them', () => {
    expect(judged(hot(true), 4, ['a', 'b'], ['a'])).toBe('elevated');
    expect(judged(hot(true), 4, ['a', 'b'], ['a', 'b'])).toBe('alarm');
    // The history does not reach far enough back.
    expect(judged(hot(true), 4, ['a'], ['a'])).toBe('elevated');
  });
});

describe('decideFlag', () => {
  const alarm: JudgedSeries = { ...hot(true), baselineKind: 'rolling' };

  it('needs an alarm, and is raised once in the cool-down', () => {
    expect(decideFlag([], { session: 500, lastRaised: null })).toEqual({
      raised: false,
      suppressedBy: null,
      reasons: [],
    });
    expect(decideFlag([alarm], { session: 500, lastRaised: null }).raised).toBe(true);
    expect(decideFlag([alarm], { session: 500, lastRaised: 500 - COOL_DOWN_SESSIONS }).raised).toBe(true);
    expect(decideFlag([alarm], { session: 500, lastRaised: 501 - COOL_DOWN_SESSIONS })).toMatchObject({
      raised: false,
      suppressedBy: 'cool_down',
      reasons: [{ series: 'ret1', baseline: 'rolling' }],
    });
  });
});

describe('summariseDrift', () => {
  it('counts each series once, by the worse of its two baselines', () => {
    const all: JudgedSeries[] = [
      { ...series('a', { psi: 0.3 }), baselineKind: 'rolling' },
      {
        ...series('b', { psi: null, status: 'not_enough_data', words: 'not enough data: 3 of 20 sessions' }),
        baselineKind: 'rolling',
      },
      { ...series('c', { psi: 9, status: 'not_monitored' }), baselineKind: 'rolling' },
      { ...series('d', { psi: 0.4, status: 'elevated' }), baselineKind: 'rolling' },
      { ...series('a', { psi: 2, status: 'alarm' }), baselineKind: 'anchored' },
    ];
    expect(summariseDrift(all)).toMatchObject({
      status: 'alarm',
      features: 4,
      monitored: 3,
      alarms: 1,
      stable: 0,
      elevated: 1,
      notEnoughData: 1,
      undecided: [{ why: '3 of 20 sessions', series: ['b'] }],
      notMonitored: 1,
      largest: [{ feature: 'd' }, { feature: 'a' }],
    });
    expect(summariseDrift(all.slice(1, 3)).status).toBe('not_enough_data');
  });
});
