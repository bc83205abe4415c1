import { describe, expect, it } from 'vitest';
import { FEATURES, monitoredFeatures } from '../../domain/features/registry.ts';
import { type Probabilities, SCORED } from '../datasets/tables.ts';
import { predictionSeries } from './predictions.ts';
import { dropMissing, featureSpecs, fromFirstValue, layOutBySession, runStart } from './series.ts';

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

describe('fromFirstValue', () => {
  const range = { rowStarts: [0, 2, 4, 6], firstSession: 0, lastSession: 2 };
  const of = (...values: number[]) => ({ ...range, values: Float32Array.from(values) });

  it('leaves the warm-up out, and only that', () => {
    const nothing = Number.NaN;
    expect(fromFirstValue(of(nothing, nothing, nothing, 1, nothing, nothing)).firstSession).toBe(1);
    expect(fromFirstValue(of(1, 2, nothing, nothing, 3, 4)).firstSession).toBe(0);
    const empty = of(nothing, nothing, nothing, nothing, nothing, nothing);
    expect(fromFirstValue(empty)).toBe(empty);
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

  it('the stack of the version over out-of-fold base models is the baseline of the stack', () => {
    const rows = 4;
    const column = (value: number) => new Float64Array(rows).fill(value);
    const panel = {
      session: Int32Array.of(0, 1, 2, 25),
      symbol: new Int32Array(rows),
      block: Int32Array.of(0, 1, 1, 2),
      target: column(1),
      forwardReturn: column(0),
      excessReturn: column(0),
      baseRate: column(0.5),
    };
    const probabilities = Object.fromEntries(
      SCORED.map((name) => [
        name,
        name === 'meta' ? column(Number.NaN) : Float64Array.of(0.5, 0.6, 0.7, 0.8),
      ]),
    ) as Probabilities;
    const table = { panel, probabilities, majorityClass: column(1), yesterdaySign: column(1) };
    const stack = {
      coefficients: { lightgbm: 1.5, mlp: 0.5 },
      intercept: 0.1,
      calibrator: { a: 0.5, b: -0.05 },
      usable: true,
      reason: null,
    };
    const given = { axis, windowSessions: 20, issued: [] };
    const found = predictionSeries({ ...given, oof: { table, sessions: axis.sessions, stack } });
    const meta = found.find(({ model }) => model === 'meta');
    // sigmoid(0.5 · (2 · logit(p) + 0.1) - 0.05) = p
    expect([...(meta?.baseline.values ?? [])].map((p) => Number(p.toFixed(12)))).toEqual([
      0.5, 0.6, 0.7, 0.8,
    ]);
    expect(meta).toMatchObject({ excludedBecause: null, strideSessions: 10, baselineModels: 2 });
    expect(meta?.baseline).toMatchObject({ firstSession: 0, lastSession: 8 });
    const unused = { ...stack, usable: false, reason: 'calibration slope -0.2 is not positive' };
    const without = predictionSeries({ ...given, oof: { table, sessions: axis.sessions, stack: unused } });
    expect(without.filter(({ excludedBecause }) => excludedBecause !== null)).toMatchObject([
      { model: 'meta', excludedBecause: expect.stringMatching(/slope -0.2 is not positive/) as string },
    ]);
  });

  it('does not invent sessions before the axis', () => {
    const short = { ...axis, sessions: axis.sessions.slice(0, 10), scoreSessionIndex: 9 };
    const [first] = predictionSeries({ axis: short, windowSessions: 20, oof: null, issued: [] });
    expect(first?.baseline.firstSession).toBe(0);
    expect(first?.baseline.lastSession).toBeLessThan(0);
  });
});
