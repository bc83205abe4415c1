import { describe, expect, it } from 'vitest';
import { createBaseline, ksTest, psi } from './drift.ts';
import {
  baselineRange,
  monitorDrift,
  type DriftMonitorOptions,
  type MonitoredSeries,
  type SessionValues,
} from './drift-monitor.ts';
import { calibrate } from './drift-windows.ts';
import { createRng } from './statistics/rng.ts';

const SYMBOLS = 20;
const TRAIN = 420;
const OPTIONS: DriftMonitorOptions = { horizonSessions: 1 };

interface History {
  readonly columns: Float32Array[];
  readonly rowStarts: Int32Array;
  readonly sessions: number;
}

/**
 * Clustered features: values of a session share a factor of the feature and one of the market, both persistent,
 * and a market-wide volatility regime. `common` is the share of variance that the symbols share.
 */
function history(options: {
  seed: number;
  sessions: number;
  features: number;
  common: number;
  persistence: number;
  regime?: number;
}): History {
  const { sessions, features, common, persistence, regime: strength = 0.2 } = options;
  const rng = createRng(options.seed);
  const fresh = Math.sqrt(1 - persistence ** 2);
  const market = new Float64Array(sessions);
  const volatility = new Float64Array(sessions);
  let level = rng.normal();
  let regime = 0;
  for (let t = 0; t < sessions; t += 1) {
    level = persistence * level + fresh * rng.normal();
    regime = 0.97 * regime + Math.sqrt(1 - 0.97 ** 2) * rng.normal();
    market[t] = level;
    volatility[t] = Math.exp(strength * regime);
  }
  const columns = Array.from({ length: features }, () => {
    const column = new Float32Array(sessions * SYMBOLS);
    let own = rng.normal();
    for (let t = 0; t < sessions; t += 1) {
      own = persistence * own + fresh * rng.normal();
      const shared = Math.sqrt(common) * (0.7 * (market[t] ?? 0) + 0.714 * own);
      for (let i = 0; i < SYMBOLS; i += 1) {
        column[t * SYMBOLS + i] = (volatility[t] ?? 1) * (shared + Math.sqrt(1 - common) * rng.normal());
      }
    }
    return column;
  });
  return { columns, rowStarts: Int32Array.from({ length: sessions + 1 }, (_, t) => t * SYMBOLS), sessions };
}

/** The series of a night: a rolling baseline of TRAIN sessions and the last 21 sessions. */
function seriesAt({ columns, rowStarts }: History, session: number): MonitoredSeries[] {
  const range = baselineRange({
    trainFirstSession: session - 20 - TRAIN,
    trainLastSession: session - 1,
    session,
    horizonSessions: 1,
  });
  if (range === null) throw new Error('the history is too short');
  return columns.map((values, i) => ({
    name: `f${i}`,
    kind: 'feature',
    baseline: { values, rowStarts, ...range },
    current: { values, rowStarts, firstSession: session - 20, lastSession: session },
  }));
}

/** The history with one column changed in its last `last` sessions. */
function shifted(base: History, last: number, change: (x: number) => number): History {
  const start = base.rowStarts[base.sessions - last] ?? 0;
  const [first = new Float32Array(), ...others] = base.columns;
  return { ...base, columns: [first.map((x, row) => (row >= start ? change(x) : x)), ...others] };
}

const BASE = history({
  seed: 1,
  sessions: TRAIN + 60,
  features: 6,
  common: 0.1,
  persistence: 0.5,
  regime: 0.05,
});
const LAST = BASE.sessions - 1;

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

describe('alarms', () => {
  it('power: a shift by 0.75 standard deviations or a doubled spread in one feature is found', () => {
    for (const change of [(x: number) => x + 0.75, (x: number) => 2 * x]) {
      const found = [11, 12, 13, 14, 15, 16].filter((seed) => {
        const base = history({
          seed,
          sessions: TRAIN + 21,
          features: 6,
          common: 0.1,
          persistence: 0.5,
          regime: 0.05,
        });
        const { series, retraining } = monitorDrift(
          seriesAt(shifted(base, 20, change), base.sessions - 1),
          OPTIONS,
        );
        return series[0]?.status === 'alarm' && retraining.raised;
      });
      expect(found.length).toBeGreaterThanOrEqual(5);
    }
  });

  it('says which series, by how much and against what', () => {
    const { retraining } = monitorDrift(
      seriesAt(
        shifted(BASE, 20, (x) => x + 2),
        LAST,
      ),
      OPTIONS,
    );
    expect(retraining).toMatchObject({ raised: true, suppressedBy: null });
    expect(retraining.reasons).toHaveLength(1);
    expect(retraining.reasons[0]?.series).toBe('f0');
    expect(retraining.reasons[0]?.words).toMatch(
      /^feature f0: alarm, two nights in a row: PSI \d\.\d+, 99th percentile of 401 past 20-session windows 0\.\d+/,
    );
  });

  it('one night is not enough: what was not there a session ago is only elevated', () => {
    const sudden = seriesAt(
      shifted(BASE, 1, () => Number.NaN),
      LAST,
    );
    const report = monitorDrift(sudden, OPTIONS);
    expect(report.series[0]).toMatchObject({ exceeds: true, exceededPrevious: false, status: 'elevated' });
    expect(report.retraining).toEqual({ raised: false, suppressedBy: null, reasons: [] });
    const short = sudden.map((one) => ({ ...one, current: { ...one.current, firstSession: LAST - 19 } }));
    expect(monitorDrift(short, OPTIONS).series[0]).toMatchObject({
      exceededPrevious: null,
      status: 'elevated',
    });
  });

  it('a raw PSI above 0.25 never alarms by itself', () => {
    const wild = history({ seed: 3, sessions: TRAIN + 60, features: 6, common: 0.5, persistence: 0.97 });
    let above = 0;
    for (let session = TRAIN + 21; session < wild.sessions; session += 6) {
      const { series } = monitorDrift(seriesAt(wild, session), OPTIONS);
      for (const one of series) {
        if ((one.psi ?? 0) <= 0.25) continue;
        above += 1;
        if ((one.psi ?? 0) <= (one.thresholds?.psi ?? 0)) expect(one.status).toBe('stable');
      }
    }
    expect(above).toBeGreaterThan(20);
  });

  it('a shift too small to matter does not alarm, however unusual', () => {
    const values = shifted(BASE, 20, (x) => x + 0.75);
    const report = monitorDrift(seriesAt(values, LAST), { ...OPTIONS, effectFloor: 50 });
    expect(report.counts.alarm).toBe(0);
  });

  it('cool-down: reasons are kept, the flag is not raised again within a month', () => {
    const series = seriesAt(
      shifted(BASE, 20, (x) => x + 2),
      LAST,
    );
    const again = monitorDrift(series, { ...OPTIONS, lastRaisedSession: LAST - 20 });
    expect(again.retraining).toMatchObject({ raised: false, suppressedBy: 'cool_down' });
    expect(again.retraining.reasons).toHaveLength(1);
    expect(monitorDrift(series, { ...OPTIONS, lastRaisedSession: LAST - 21 }).retraining.raised).toBe(true);
    expect(() => monitorDrift(series, { ...OPTIONS, lastRaisedSession: LAST })).toThrow(/lastRaisedSession/);
  });

  it('a feature that vanishes alarms through its bin of missing values', () => {
    const gone = shifted(BASE, 21, () => Number.NaN);
    const report = monitorDrift(seriesAt(gone, LAST), OPTIONS);
    expect(report.series[0]).toMatchObject({ status: 'alarm', currentMissingShare: 1, ksStatistic: null });
  });

  it('a constant series is silent until it changes', () => {
    const constant = shifted(BASE, BASE.sessions, () => 3);
    expect(monitorDrift(seriesAt(constant, LAST), OPTIONS).series[0]).toMatchObject({
      status: 'stable',
      psi: 0,
    });
    const moved = shifted(constant, 21, () => 2);
    expect(monitorDrift(seriesAt(moved, LAST), OPTIONS).series[0]?.status).toBe('alarm');
  });

  it('predictions are watched like features, in a family of their own', () => {
    const series = seriesAt(
      shifted(BASE, 20, (x) => x + 2),
      LAST,
    ).map((one, i) => ({
      ...one,
      kind: i === 0 ? ('prediction' as const) : one.kind,
    }));
    const { retraining } = monitorDrift(series, OPTIONS);
    expect(retraining.reasons[0]?.words).toMatch(/^prediction f0: alarm/);
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

describe('budget', () => {
  // Nights 20 sessions apart, so that one stands for a month. A volatility regime moves all features at once.
  it.each([
    { name: 'independent values', common: 0, persistence: 0, regime: 0, perMonth: 0.05 },
    { name: 'a common factor that persists', common: 0.3, persistence: 0.9, regime: 0, perMonth: 0.1 },
    { name: 'regimes in all features at once', common: 0.1, persistence: 0.9, regime: 0.2, perMonth: 0.2 },
  ])('no drift, $name: alarms stay far below one a month', ({ perMonth, ...market }) => {
    let alarms = 0;
    let rawAlarms = 0;
    let nights = 0;
    for (let seed = 0; seed < 10; seed += 1) {
      const past = history({ seed: 50 + seed, sessions: TRAIN + 21 + 80, features: 6, ...market });
      for (let session = TRAIN + 21; session < past.sessions; session += 20) {
        const { counts, series } = monitorDrift(seriesAt(past, session), OPTIONS);
        nights += 1;
        if (counts.alarm > 0) alarms += 1;
        if (series.some((one) => (one.ksPValue ?? 1) < 0.05)) rawAlarms += 1;
      }
    }
    expect(alarms / nights).toBeLessThanOrEqual(perMonth);
    // The naive test, which takes symbols for independent, fires on most nights of the clustered market.
    if (market.common > 0.1) expect(rawAlarms / nights).toBeGreaterThan(0.9);
  });

  it('replayed night after night over a long history: at most one flag a month, raw PSI far more often', () => {
    const past = history({
      seed: 77,
      sessions: TRAIN + 21 + 126,
      features: 3,
      common: 0.3,
      persistence: 0.95,
    });
    const raised: number[] = [];
    let rawNights = 0;
    let nights = 0;
    for (let session = TRAIN + 21; session < past.sessions; session += 1) {
      const { retraining, series } = monitorDrift(seriesAt(past, session), {
        ...OPTIONS,
        lastRaisedSession: raised.at(-1) ?? null,
      });
      nights += 1;
      if (series.some((one) => (one.psi ?? 0) > 0.25)) rawNights += 1;
      if (retraining.raised) raised.push(session);
    }
    expect(nights).toBe(126);
    expect(rawNights / nights).toBeGreaterThan(0.5);
    expect(raised.length).toBeLessThanOrEqual(nights / 21 / 3);
    raised.slice(1).forEach((session, i) => expect(session - (raised[i] ?? 0)).toBeGreaterThanOrEqual(21));
  });
});
