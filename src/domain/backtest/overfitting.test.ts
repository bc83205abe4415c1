import { describe, expect, it } from 'vitest';
import { createRng } from '../statistics/rng.ts';
import { cscv } from './cscv.ts';
import { estimateOverfitting, type ReturnSeries } from './overfitting.ts';

const DATES = Array.from({ length: 400 }, (_, i) =>
  new Date(Date.UTC(2017, 0, 2) + i * 86_400_000).toISOString().slice(0, 10),
);
const NAMES = ['a', 'b', 'c', 'd'];

function series(name: string, options: { seed: number; from?: number; to: number }): ReturnSeries {
  const { seed, from = 0, to } = options;
  const rng = createRng(seed);
  return {
    name,
    sessions: DATES.slice(from, to),
    net: Float64Array.from({ length: to - from }, () => 0.01 * rng.normal()),
  };
}

function trial(seed: number, span: { from?: number; to: number }): ReturnSeries[] {
  return NAMES.map((name, i) => series(name, { seed: seed + i, ...span }));
}

const run = (
  own: readonly ReturnSeries[],
  earlier: Parameters<typeof estimateOverfitting>[0]['earlier'] = [],
) => estimateOverfitting({ own, earlier, horizonSessions: 1 });

describe('sub-blocks', () => {
  it('sixteen equal ones; the oldest sessions that do not fill them are dropped', () => {
    const own = trial(1, { to: 165 });
    const result = run(own);
    expect(result).toMatchObject({
      series: 4,
      sessions: 160,
      subBlocks: 16,
      combinations: 12_870,
      firstSession: DATES[5],
      lastSession: DATES[164],
      reason: null,
      leftOut: [],
    });
    const columns = own.map(({ net }) => net.slice(5));
    expect(result.probability).toBe(cscv(columns, 16).probability);
    expect(result.words).toMatch(
      /^Probability of backtest overfitting \d\.\d\d: of 12,870 ways .* \(4 return series over 160 sessions in 16 parts\)/,
    );
  });

  it('fewer where they would be shorter than a week or the horizon, and that is said', () => {
    const few = run(trial(1, { to: 55 }));
    expect(few).toMatchObject({ subBlocks: 10, sessions: 50, combinations: 252 });
    expect(few.words).toContain('in 10 parts (too few sessions for 16)');
    const long = estimateOverfitting({ own: trial(1, { to: 165 }), earlier: [], horizonSessions: 20 });
    expect(long).toMatchObject({ subBlocks: 8, sessions: 160, combinations: 70 });
  });

  it('too few sessions: not defined, with the reason', () => {
    const result = run(trial(1, { to: 39 }));
    expect(result).toMatchObject({ probability: null, subBlocks: null, sessions: 0 });
    expect(result.reason).toBe('no score traded for 40 sessions');
    expect(result.words).toMatch(
      /not defined, no score traded for 40 sessions; left out: a \(39 of 40 sessions\)/,
    );
  });
});

describe('scores of the trial', () => {
  it('are compared on the sessions all of them have', () => {
    const late = series('meta', { seed: 9, from: 60, to: 200 });
    expect(run([...trial(1, { to: 200 }), late])).toMatchObject({
      series: 5,
      firstSession: DATES[72],
      lastSession: DATES[199],
      sessions: 128,
    });
  });

  it('one that never trades or has begun a week ago does not take part, and is named', () => {
    const idle = { name: 'meta', sessions: DATES.slice(0, 200), net: new Float64Array(200) };
    const none = { name: 'none', sessions: [], net: new Float64Array() };
    const young = series('young', { seed: 9, from: 193, to: 200 });
    const result = run([...trial(1, { to: 200 }), idle, none, young]);
    expect(result).toMatchObject({ series: 4, sessions: 192 });
    expect(result.leftOut).toEqual([
      { name: 'meta', why: 'never trades' },
      { name: 'none', why: 'never trades' },
      { name: 'young', why: '7 of 40 sessions' },
    ]);
    expect(result.words).toContain(
      'left out: meta (never trades), none (never trades), young (7 of 40 sessions)',
    );
  });

  it('one alone is no choice', () => {
    expect(run([series('a', { seed: 1, to: 100 })])).toMatchObject({
      probability: null,
      reason: 'there is only one series to choose from',
    });
  });

  it('none: not defined', () => {
    expect(run([])).toMatchObject({ probability: null, reason: 'no score traded for 40 sessions' });
  });
});

describe('earlier trials', () => {
  const own = trial(1, { to: 200 });

  it('take part on the sessions they share with tonight, newest first, while three quarters remain', () => {
    const result = run(own, [
      { trial: 'last week', series: trial(11, { to: 195 }) },
      { trial: 'last quarter', series: trial(21, { from: 10, to: 170 }) },
      { trial: 'a year ago', series: trial(31, { to: 120 }) },
    ]);
    expect(result).toMatchObject({
      series: 12,
      earlierTrials: 2,
      earlierTrialsLeftOut: 1,
      sessions: 160,
      firstSession: DATES[10],
      lastSession: DATES[169],
    });
    expect(result.words).toContain('12 return series, some of 2 earlier trials, over 160 sessions');
  });

  it('with the same returns are the same choice, also after a round trip through the equity curve', () => {
    const stored = own.map((one) => {
      let equity = 1;
      const net = one.net.map((value) => {
        const before = equity;
        equity *= 1 + value;
        return equity / before - 1;
      });
      return { ...one, net };
    });
    expect(stored[0]?.net).not.toEqual(own[0]?.net);
    const result = run(own, [{ trial: 'other code, same numbers', series: stored }]);
    expect(result).toMatchObject({ series: 4, duplicates: 4, earlierTrials: 0, earlierTrialsLeftOut: 1 });
    expect(result.probability).toBe(run(own).probability);
  });

  it('do change what is said', () => {
    const better = own.map((one) => ({ ...one, net: one.net.map((value) => value + 0.004) }));
    const result = run(own, [{ trial: 'better', series: better.slice(0, 1) }]);
    expect(result.series).toBe(5);
    expect(result.probability).not.toBe(run(own).probability);
  });
});

it('is plain JSON', () => {
  for (const result of [run(trial(1, { to: 165 })), run([])]) {
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  }
});
