import { describe, expect, it } from 'vitest';
import { FEATURES, monitoredFeatures } from '../../domain/features/registry.ts';
import { predictionSeries } from './predictions.ts';
import { dropMissing, featureSpecs, layOutBySession, runStart } from './series.ts';

describe('featureSpecs', () => {
  it('watches exactly the monitored features of the registry, ranks before ranking', () => {
    const specs = featureSpecs(FEATURES.map(({ name }) => name));
    const watched = specs.filter(({ excludedBecause }) => excludedBecause === null);
    expect(watched.map(({ name }) => name)).toEqual(monitoredFeatures());
    const because = new Map(specs.map(({ name, excludedBecause }) => [name, excludedBecause]));
    expect(because.get('weekday')).toMatch(/calendar/);
    expect(because.get('rankRet5')).toMatch(/ret5/);
  });
});

describe('layOutBySession', () => {
  it('orders rows by session and leaves out what is missing or off the axis', () => {
    const { values, rowStarts } = layOutBySession(
      { session: [2, 0, 2, -1, 1, 9], values: [5, 1, 6, 7, Number.NaN, 8] },
      3,
    );
    expect([...values]).toEqual([1, 5, 6]);
    expect([...rowStarts]).toEqual([0, 1, 1, 3]);
  });
});

describe('dropMissing', () => {
  it('keeps the sessions of the values that are left', () => {
    const range = {
      values: Float32Array.of(Number.NaN, 1, 2, Number.NaN, 3),
      rowStarts: [0, 2, 4, 5],
      firstSession: 0,
      lastSession: 2,
    };
    const dropped = dropMissing(range);
    expect([...dropped.values]).toEqual([1, 2, 3]);
    expect(Array.from(dropped.rowStarts)).toEqual([0, 1, 2, 3]);
    const whole = { ...range, values: Float32Array.of(1, 2, 3, 4, 5) };
    expect(dropMissing(whole)).toBe(whole);
  });
});

describe('runStart', () => {
  it('is the first of the unbroken sessions with rows up to the night', () => {
    expect(runStart([0, 2, 2, 4, 5], 3)).toBe(2);
    expect(runStart([0, 2, 3, 4, 5], 3)).toBe(0);
    expect(runStart([0, 2, 3, 4, 4], 3)).toBe(4);
  });
});

describe('predictionSeries', () => {
  const axis = {
    sessions: Array.from({ length: 30 }, (_, i) => `2018-01-${String(i + 1).padStart(2, '0')}`),
    scoreSessionIndex: 29,
    horizonSessions: 1,
  };

  it('without a version and without predictions both ranges are empty', () => {
    const [first] = predictionSeries({ axis, windowSessions: 20, oof: null, issued: [] });
    expect(first?.baseline).toMatchObject({ firstSession: 9, lastSession: 8 });
    expect(first?.current).toMatchObject({ firstSession: 30, lastSession: 29 });
  });

  it('does not invent sessions before the axis', () => {
    const short = { ...axis, sessions: axis.sessions.slice(0, 10), scoreSessionIndex: 9 };
    const [first] = predictionSeries({ axis: short, windowSessions: 20, oof: null, issued: [] });
    expect(first?.baseline.firstSession).toBe(0);
    expect(first?.baseline.lastSession).toBeLessThan(0);
  });
});
