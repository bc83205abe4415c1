import { describe, expect, it } from 'vitest';
import { createBlockBootstrap, ratioEstimate } from '../statistics/bootstrap.ts';
import { createRng } from '../statistics/rng.ts';
import reference from '../testdata/metrics-reference.json' with { type: 'json' };
import { syntheticMarket } from '../testdata/synthetic-market.ts';
import { rocAuc } from './auc.ts';
import { calibrationFit } from './calibration.ts';
import { evaluatePredictions, pairedLogLossGain } from './evaluate.ts';
import { groupBySession, type OofPanel } from './panel.ts';
import { evaluateModels } from './report.ts';
import { logLossOf } from './scores.ts';

type Json = (typeof reference.panels)[number];

function numbers(values: readonly (number | null)[]): Float64Array {
  return Float64Array.from(values, (value) => value ?? Number.NaN);
}

function panelOf(json: Json): OofPanel {
  return {
    session: Int32Array.from(json.session),
    symbol: Int32Array.from(json.symbol),
    block: new Int32Array(json.session.length),
    target: numbers(json.target),
    forwardReturn: numbers(json.forwardReturn),
    excessReturn: numbers(json.forwardReturn),
    baseRate: numbers(json.baseRate),
  };
}

describe('against scikit-learn and scipy', () => {
  reference.panels.forEach((json, number) => {
    it(`panel ${number}: ties, gaps, rows without label or return`, () => {
      const { expected } = json;
      const metrics = evaluatePredictions(panelOf(json), numbers(json.probability), { horizonSessions: 1 });
      expect(metrics.rows).toBe(expected.rows);
      expect(metrics.icSessions).toBe(expected.icSessions);
      expect(metrics.positiveShare).toBeCloseTo(expected.positiveShare, 12);
      const names = ['aucPooled', 'aucWithinSession', 'logLoss', 'brier', 'accuracy', 'logLossGain'] as const;
      for (const name of names) expect(metrics[name].value, name).toBeCloseTo(expected[name], 10);
      if (expected.ic === null) expect(metrics.ic.value).toBeNull();
      else expect(metrics.ic.value).toBeCloseTo(expected.ic, 10);
      expect(metrics.calibrationSlope.value).toBeCloseTo(expected.calibrationSlope, 5);
    });
  });

  it('log loss of certain forecasts', () => {
    for (const [target = 0, p = 0, loss = 0] of reference.logLoss) {
      expect(logLossOf(target, p)).toBeCloseTo(loss, 6);
    }
  });
});

describe('definitions', () => {
  const json = reference.panels[0] as Json;
  const panel = panelOf(json);
  const probability = numbers(json.probability);

  it('row order does not matter, nor do gaps between session numbers', () => {
    const order = Uint32Array.from(probability, (_, i) => probability.length - 1 - i);
    const reversed: OofPanel = {
      session: Int32Array.from(order, (row) => (panel.session[row] ?? 0) * 3),
      symbol: Int32Array.from(order, (row) => panel.symbol[row] ?? 0),
      block: panel.block,
      target: Float64Array.from(order, (row) => panel.target[row] ?? 0),
      forwardReturn: Float64Array.from(order, (row) => panel.forwardReturn[row] ?? 0),
      excessReturn: Float64Array.from(order, (row) => panel.excessReturn[row] ?? 0),
      baseRate: Float64Array.from(order, (row) => panel.baseRate[row] ?? 0),
    };
    const p = Float64Array.from(order, (row) => probability[row] ?? 0);
    const a = evaluatePredictions(panel, probability, { horizonSessions: 1 });
    const b = evaluatePredictions(reversed, p, { horizonSessions: 1 });
    expect(b.aucPooled.value).toBeCloseTo(a.aucPooled.value ?? 0, 12);
    expect(b.ic.low).toBeCloseTo(a.ic.low ?? 0, 12);
    expect(b.logLoss.high).toBeCloseTo(a.logLoss.high ?? 0, 12);
  });

  it('class forecasts have no log loss and no calibration', () => {
    const classes = probability.map((p) => (p > 0.5 ? 1 : 0));
    const metrics = evaluatePredictions(panel, classes, { horizonSessions: 1, forecast: 'class' });
    expect([metrics.logLoss.value, metrics.calibrationSlope.value, metrics.logLossGain.value]).toEqual([
      null,
      null,
      null,
    ]);
    expect(metrics.accuracy.value).toBeGreaterThan(0.5);
  });

  it('constant predictions: AUC one half, no IC, no slope; the base rate has no gain over itself', () => {
    const metrics = evaluatePredictions(
      panel,
      panel.baseRate.map(() => 0.5),
      { horizonSessions: 1 },
    );
    expect(metrics.aucPooled.value).toBe(0.5);
    expect(metrics.ic.value).toBeNull();
    expect(metrics.calibrationSlope.value).toBeNull();
    const base = evaluatePredictions(panel, panel.baseRate, { horizonSessions: 1 });
    expect(base.logLossGain).toMatchObject({ value: 0, low: 0, high: 0, pValue: 1 });
    expect(base.aucWithinSession.value).toBe(0.5);
  });

  it('no rows at all: nulls, and everything survives JSON', () => {
    const metrics = evaluatePredictions(
      panel,
      probability.map(() => Number.NaN),
      { horizonSessions: 1 },
    );
    expect(metrics).toMatchObject({ rows: 0, sessions: 0, positiveShare: null, icSessions: 0 });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
    expect(
      pairedLogLossGain(
        panel,
        { candidate: probability, reference: probability.map(() => Number.NaN) },
        {
          horizonSessions: 1,
        },
      ),
    ).toMatchObject({ rows: 0, value: null });
  });

  it('too few sessions for two blocks: values without intervals', () => {
    const metrics = evaluatePredictions(panel, probability, { horizonSessions: 10 });
    expect(metrics.bootstrap.blockLength).toBe(20);
    expect(metrics.ic.value).not.toBeNull();
    expect(metrics.ic.low).toBeNull();
  });

  it('a column of another length is an error that names it', () => {
    expect(() => evaluatePredictions(panel, probability.slice(1), { horizonSessions: 1 })).toThrow(
      /probability/,
    );
  });

  it('perfect forecasts: AUC 1; separated classes have no slope', () => {
    const target = Float64Array.of(0, 0, 1, 1);
    expect(rocAuc(target, Float64Array.of(0.1, 0.2, 0.8, 0.9)).auc).toBe(1);
    expect(calibrationFit(target, Float64Array.of(0.1, 0.2, 0.8, 0.9)).slope).toBeNaN();
    expect(rocAuc(Float64Array.of(1, 1), Float64Array.of(0.1, 0.2)).auc).toBeNaN();
  });

  it('influences add up to zero and give the resampled AUC to first order', () => {
    const rng = createRng(5);
    const target = Float64Array.from({ length: 400 }, () => (rng.uniform() < 0.4 ? 1 : 0));
    const score = target.map((t) => t * 0.5 + rng.normal());
    const { auc, influence } = rocAuc(target, score);
    expect(Math.abs(influence.reduce((a, b) => a + b, 0))).toBeLessThan(1e-12);
    // Double every row of the first tenth and compare with the AUC computed from scratch.
    const doubled = [...Array.from({ length: 400 }, (_, i) => i), ...Array.from({ length: 40 }, (_, i) => i)];
    const again = rocAuc(
      Float64Array.from(doubled, (i) => target[i] ?? 0),
      Float64Array.from(doubled, (i) => score[i] ?? 0),
    ).auc;
    const predicted = auc + influence.subarray(0, 40).reduce((a, b) => a + b, 0);
    expect(Math.abs(again - predicted)).toBeLessThan(0.003);
  });

  it('groups rows by session', () => {
    const groups = groupBySession(Int32Array.of(7, 3, 7, 5));
    expect(Array.from(groups.sessions)).toEqual([3, 5, 7]);
    expect(Array.from(groups.starts)).toEqual([0, 1, 2, 4]);
    expect(Array.from(groups.order)).toEqual([1, 3, 0, 2]);
  });
});

describe('moving-block bootstrap', () => {
  it('is fixed by its seed', () => {
    const options = { sessions: 50, blockLength: 10, replicates: 20, seed: 3 };
    const column = Float64Array.from({ length: 50 }, (_, i) => i);
    const sums = (seed: number) => createBlockBootstrap({ ...options, seed })?.sums(column);
    expect(sums(3)).toEqual(sums(3));
    expect(sums(3)).not.toEqual(sums(4));
  });

  it('each replicate has exactly as many sessions as the sample, also where blocks do not divide them', () => {
    const bootstrap = createBlockBootstrap({ sessions: 57, blockLength: 10, replicates: 40, seed: 1 });
    expect(new Set(bootstrap?.sums(new Float64Array(57).fill(1)))).toEqual(new Set([57]));
    expect(createBlockBootstrap({ sessions: 19, blockLength: 10, replicates: 40, seed: 1 })).toBeNull();
    expect(() => bootstrap?.sums(new Float64Array(5))).toThrow(/57/);
    expect(() => createBlockBootstrap({ sessions: 19, blockLength: 0, replicates: 4, seed: 1 })).toThrow(
      /blockLength/,
    );
  });

  it('knows the error of the mean: white noise, and a moving average that a row bootstrap would underestimate', () => {
    const n = 1000;
    const widths = { white: 0, overlapping: 0 };
    for (let seed = 0; seed < 20; seed += 1) {
      const rng = createRng(seed);
      const noise = Float64Array.from({ length: n + 4 }, () => rng.normal());
      const overlapping = Float64Array.from({ length: n }, (_, i) =>
        noise.subarray(i, i + 5).reduce((a, b) => a + b, 0),
      );
      const bootstrap = createBlockBootstrap({ sessions: n, blockLength: 25, replicates: 500, seed });
      const ones = new Float64Array(n).fill(1);
      widths.white += (ratioEstimate(bootstrap, noise.slice(0, n), ones).standardError ?? 0) / 20;
      widths.overlapping += (ratioEstimate(bootstrap, overlapping, ones).standardError ?? 0) / 20;
    }
    expect(widths.white / (1 / Math.sqrt(n))).toBeCloseTo(1, 1);
    expect(widths.overlapping / (5 / Math.sqrt(n))).toBeGreaterThan(0.88);
    expect(widths.overlapping / (5 / Math.sqrt(n))).toBeLessThan(1.08);
  });
});

describe('a model that predicts only later rows', () => {
  it('stands beside baselines of its own rows, not of quarters it never saw', () => {
    const market = syntheticMarket({ seed: 3, sessions: 200, symbols: 24, models: 1, signal: 0.05 });
    const [model = new Float64Array()] = Object.values(market.models);
    // In the first 80 sessions the base rate is badly off: whoever is judged on them alone pays for it.
    const late = (row: number): boolean => (market.panel.session[row] ?? 0) >= 80;
    const panel = { ...market.panel, baseRate: market.panel.baseRate.map((p, row) => (late(row) ? p : 0.7)) };
    const meanLogit = model.map((p) => (p + 0.5) / 2);
    const meta = model.map((p, row) => (late(row) ? p : Number.NaN));
    const { models, baselines } = evaluateModels({
      panel,
      models: { model, meta },
      meanLogit,
      majorityClass: new Float64Array(model.length).fill(1),
      yesterdaySign: model.map((_, row) => row % 2),
      metrics: { horizonSessions: 1, replicates: 50 },
    });
    const of = (name: string) => models.find((one) => one.name === name);
    expect(of('model')?.baselines).toEqual(baselines);
    const own = of('meta')?.baselines ?? {};
    expect(Object.keys(own)).toEqual(['baseRate', 'majorityClass', 'yesterdaySign', 'meanLogit']);
    for (const metrics of Object.values(own)) expect(metrics.rows).toBe(of('meta')?.metrics.rows);
    const lossOf = (metrics: { logLoss: { value: number | null } } | undefined) =>
      metrics?.logLoss.value ?? 0;
    expect(lossOf(baselines['baseRate']) - lossOf(own['baseRate'])).toBeGreaterThan(0.02);
    // The paired gain of the verdict is the difference of the two on those same rows.
    const difference = lossOf(own['baseRate']) - lossOf(of('meta')?.metrics);
    expect(of('meta')?.metrics.logLossGain.value).toBeCloseTo(difference, 12);
    expect(of('meta')?.gainOverMeanLogit?.value).toBeCloseTo(
      lossOf(own['meanLogit']) - lossOf(of('meta')?.metrics),
      12,
    );
  });
});

describe('planted signals', () => {
  it('a future feature stands out: AUC far above, IC far above, leak suspected', () => {
    const market = syntheticMarket({ seed: 1, sessions: 120, symbols: 30, models: 1, signal: 0 });
    const leak = market.panel.excessReturn.map((r) => 1 / (1 + Math.exp(-60 * r)));
    const report = evaluateModels({
      panel: market.panel,
      models: { ...market.models, leak },
      metrics: { horizonSessions: 1 },
    });
    const [honest, leaking] = report.models;
    expect(honest?.metrics.aucPooled.value).toBeLessThan(0.53);
    expect(honest?.verdict).toMatchObject({ verdict: 'no_edge', leakSuspected: false });
    expect(leaking?.metrics.aucPooled.value).toBeGreaterThan(0.95);
    expect(leaking?.metrics.ic.value).toBeGreaterThan(0.9);
    expect(leaking?.verdict.leakSuspected).toBe(true);
    expect(leaking?.verdict.words).toContain('leak');
  });

  it('a real edge is found: IC of 0.06 over 300 sessions', () => {
    const market = syntheticMarket({ seed: 4, sessions: 300, symbols: 40, models: 2, signal: 0.06 });
    const report = evaluateModels({
      panel: market.panel,
      models: market.models,
      metrics: { horizonSessions: 1 },
    });
    expect(report.models[0]?.verdict.verdict).toBe('edge');
    expect(report.models[0]?.verdict.leakSuspected).toBe(false);
    expect(report.models[0]?.verdict.words).toMatch(/^Edge: the IC is 0\.0/);
  });

  it.each([1, 5])(
    'nine models in a market without edge: no_edge in more than 19 of 20 seeds, h = %i',
    (h) => {
      let edges = 0;
      const seeds = 40;
      for (let seed = 0; seed < seeds; seed += 1) {
        const market = syntheticMarket({
          seed,
          sessions: 126,
          symbols: 24,
          models: 9,
          signal: 0,
          horizonSessions: h,
        });
        const { models } = evaluateModels({
          panel: market.panel,
          models: market.models,
          metrics: { horizonSessions: h, replicates: 400 },
        });
        if (models.some(({ verdict }) => verdict.verdict === 'edge')) edges += 1;
      }
      expect(edges / seeds).toBeLessThan(0.05);
    },
  );
});
