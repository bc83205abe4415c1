import { describe, expect, it } from 'vitest';
import { createBaseline, ksTest, psi } from './drift.ts';
import {
  baselineRange,
  monitorDrift,
  type DriftMonitorOptions,
  type SessionValues,
} from './drift-monitor.ts';
import { calibrate } from './drift-windows.ts';
import { BASE, LAST, seriesAt, shifted, SYMBOLS, TRAIN } from './testdata/clustered-history.ts';

const OPTIONS: DriftMonitorOptions = { horizonSessions: 1 };

describe('baselineRange', () => {
  it('ends at least window + h before the night', () => {
    const input = { trainFirstSession: 10, trainLastSession: 99, session: 100, horizonSessions: 5 };
    expect(baselineRange(input)).toEqual({ firstSession: 10, lastSession: 75 });
    expect(baselineRange({ ...input, trainLastSession: 40 })).toEqual({ firstSession: 10, lastSession: 40 });
    expect(baselineRange({ ...input, session: 30 })).toBeNull();
  });

  it('the monitor refuses a baseline that reaches closer', () => {
    const [series] = seriesAt(BASE, LAST);
    const close = { ...series!, baseline: { ...series!.baseline, lastSession: LAST - 20 } };
    expect(() => monitorDrift([close], OPTIONS)).toThrow(/baseline of f0/);
    expect(() => monitorDrift([series!], { horizonSessions: 2 })).toThrow(/baseline of f0/);
  });
});

describe('what is logged', () => {
  const report = monitorDrift(seriesAt(BASE, LAST), OPTIONS);
  const [first] = report.series;

  it('raw statistics equal the plain functions with a bin for missing values', () => {
    const values = BASE.columns[0] ?? new Float32Array();
    const baseline = createBaseline(values.subarray((LAST - 20 - TRAIN) * SYMBOLS, (LAST - 20) * SYMBOLS));
    const current = values.subarray((LAST - 19) * SYMBOLS);
    expect(first?.psi).toBeCloseTo(psi(baseline, current, { missing: 'bin' }), 12);
    expect(first?.ksStatistic).toBe(ksTest(baseline, current).statistic);
    expect(first?.ksPValue).toBe(ksTest(baseline, current).pValue);
    expect((first?.klCurrentGivenBaseline ?? 0) + (first?.klBaselineGivenCurrent ?? 0)).toBeCloseTo(
      first?.psi ?? 0,
      12,
    );
    expect(first?.jsDivergence).toBeGreaterThan(0);
    expect([first?.baselineRows, first?.currentRows]).toEqual([TRAIN * SYMBOLS, 20 * SYMBOLS]);
  });

  it('thresholds come from every contiguous window of the baseline', () => {
    expect(first?.comparisonWindows).toBe(TRAIN - 19);
    expect(first?.independentWindows).toBe(21);
    expect(first?.thresholds?.psi).toBeGreaterThan(0);
    expect(report.session).toBe(LAST);
  });

  it('is plain JSON and the same every time', () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(monitorDrift(seriesAt(BASE, LAST), OPTIONS)).toEqual(report);
  });

  it('a window is compared with the baseline without itself', () => {
    const values = Float64Array.from({ length: 60 }, (_, row) => (row < 20 ? 5 : row % 20));
    const range: SessionValues = {
      values,
      rowStarts: Int32Array.of(0, 20, 40, 60),
      firstSession: 0,
      lastSession: 2,
    };
    const { windows } = calibrate(range, { windowSessions: 1, bins: 4, floor: 1e-4, minWindowValues: 1 });
    const edges = createBaseline(values, { bins: 4 }).edges;
    const share = (part: Float64Array) => {
      const counts = new Float64Array(edges.length + 2);
      for (const x of part) counts[edges.filter((edge) => edge <= x).length]! += 1;
      return counts.map((count) => Math.max(count / part.length, 1e-4));
    };
    const [b, c] = [share(values.subarray(20)), share(values.subarray(0, 20))];
    const expected = b.reduce((sum, x, i) => sum + ((c[i] ?? 0) - x) * Math.log((c[i] ?? 0) / x), 0);
    expect(windows.psi.sorted.at(-1)).toBeCloseTo(expected, 12);
  });
});

describe('nothing to say', () => {
  it('too short a baseline, too few sessions, too few values: not enough data', () => {
    const [series] = seriesAt(BASE, LAST);
    const { baseline, current } = series!;
    const short = { ...series!, baseline: { ...baseline, firstSession: baseline.lastSession - 398 } };
    const young = { ...series!, name: 'young', current: { ...current, firstSession: LAST - 10 } };
    const report = monitorDrift([short, young], OPTIONS);
    expect(report.series.map(({ status }) => status)).toEqual(['not_enough_data', 'not_enough_data']);
    expect(report.series[0]?.words).toBe(
      'not enough data: 19 of 20 past windows in 399 sessions of baseline (400 are needed)',
    );
    expect(report.series[0]?.psi).not.toBeNull();
    expect(report.series[1]?.words).toBe('not enough data: 11 of 20 sessions');
    const thin = monitorDrift([series!], { ...OPTIONS, minWindowValues: 401 });
    expect(thin.series[0]?.status).toBe('not_enough_data');
    expect(monitorDrift([], OPTIONS)).toMatchObject({ session: null, series: [] });
  });

  it('past windows half a window apart are twice as many, and no more independent for it', () => {
    const [series] = seriesAt(BASE, LAST);
    const { baseline } = series!;
    const of = (sessions: number) => ({
      ...series!,
      kind: 'prediction' as const,
      strideSessions: 10,
      baseline: { ...baseline, firstSession: baseline.lastSession - sessions + 1 },
    });
    const [short] = monitorDrift([of(209)], OPTIONS).series;
    expect(short).toMatchObject({ status: 'not_enough_data', independentWindows: 10 });
    expect(short?.words).toBe(
      'not enough data: 19 of 20 past windows in 209 sessions of baseline (210 are needed)',
    );
    const [enough] = monitorDrift([of(210)], OPTIONS).series;
    expect(enough).toMatchObject({ status: 'stable', independentWindows: 10 });
    const [apart] = monitorDrift([{ ...of(210), strideSessions: 20 }], {
      ...OPTIONS,
      minComparisonWindows: 10,
    }).series;
    expect(enough?.pValue).toBe(apart?.pValue);
  });

  it('says all that is lacking of predictions, in figures', () => {
    const [series] = seriesAt(BASE, LAST);
    const { baseline, current } = series!;
    const first = monitorDrift(
      [
        {
          ...series!,
          kind: 'prediction',
          strideSessions: 10,
          baseline: { ...baseline, firstSession: baseline.lastSession - 104 },
          current: { ...current, firstSession: LAST - 2 },
        },
      ],
      OPTIONS,
    );
    expect(first.series[0]?.words).toBe(
      'not enough data: 3 of 20 sessions issued; 9 of 20 past windows in 105 sessions of baseline (210 are needed)',
    );
  });

  it('a series that never had a value', () => {
    const empty = shifted(BASE, BASE.sessions, () => Number.NaN);
    expect(monitorDrift(seriesAt(empty, LAST), OPTIONS).series[0]).toMatchObject({
      status: 'not_enough_data',
      psi: null,
      baselineMissingShare: 1,
    });
  });

  it('what is excluded is listed with the reason', () => {
    const [series] = seriesAt(BASE, LAST);
    const report = monitorDrift([{ ...series!, excludedBecause: 'calendar feature' }], OPTIONS);
    expect(report.series[0]).toMatchObject({
      status: 'not_monitored',
      words: 'not monitored: calendar feature',
    });
  });

  it.each([
    [{ windowSessions: 0 }, /windowSessions/],
    [{ percentile: 1 }, /percentile/],
    [{ falseDiscoveryRate: 0 }, /falseDiscoveryRate/],
    [{ coolDownSessions: -1 }, /coolDownSessions/],
    [{ bins: 1 }, /bins/],
  ])('%j names the option', (options, message) => {
    expect(() => monitorDrift(seriesAt(BASE, LAST), { ...OPTIONS, ...options })).toThrow(message);
  });
});
