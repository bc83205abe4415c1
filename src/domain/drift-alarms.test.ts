import { describe, expect, it } from 'vitest';
import { monitorDrift, type DriftMonitorOptions } from './drift-monitor.ts';
import { BASE, history, LAST, seriesAt, shifted, TRAIN } from './testdata/clustered-history.ts';

const OPTIONS: DriftMonitorOptions = { horizonSessions: 1 };

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
