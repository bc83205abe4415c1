import { describe, expect, it } from 'vitest';
import { createBaseline, ksTest, psi } from './drift.ts';
import { monitorDrift, type MonitoredSeries } from './drift-monitor.ts';
import { createRng } from './statistics/rng.ts';

/** Why raw statistics never alarm: what they do where nothing drifts. Ten bins, a baseline of 20,000 values. */
describe('raw statistics without drift', () => {
  const rng = createRng(3);
  const baseline = createBaseline(Float64Array.from({ length: 20_000 }, () => rng.normal()));

  it.each([
    { n: 25, above01: [0.95, 1], above025: [0.7, 1] },
    { n: 60, above01: [0.65, 0.85], above025: [0.05, 0.2] },
    { n: 100, above01: [0.3, 0.5], above025: [0, 0.03] },
    { n: 250, above01: [0, 0.03], above025: [0, 0] },
  ])('PSI of $n values passes the usual thresholds by its size alone', ({ n, above01, above025 }) => {
    const found = Array.from({ length: 400 }, () =>
      psi(
        baseline,
        Float64Array.from({ length: n }, () => rng.normal()),
      ),
    );
    const share = (limit: number): number => found.filter((value) => value > limit).length / found.length;
    expect(share(0.1)).toBeGreaterThanOrEqual(above01[0] ?? 0);
    expect(share(0.1)).toBeLessThanOrEqual(above01[1] ?? 0);
    expect(share(0.25)).toBeGreaterThanOrEqual(above025[0] ?? 0);
    expect(share(0.25)).toBeLessThanOrEqual(above025[1] ?? 0);
  });

  it.each([
    { common: 0, fires: [0, 0.1] },
    { common: 0.1, fires: [0.5, 0.8] },
    { common: 0.3, fires: [0.75, 1] },
  ])('a KS test over the symbols of one night, common variance $common', ({ common, fires }) => {
    const session = (): number[] => {
      const shared = Math.sqrt(common) * rng.normal();
      return Array.from({ length: 200 }, () => shared + Math.sqrt(1 - common) * rng.normal());
    };
    const trials = 120;
    let fired = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const past = Array.from({ length: 60 }, session).flat();
      if (ksTest(past, session()).pValue < 0.05) fired += 1;
    }
    expect(fired / trials).toBeGreaterThanOrEqual(fires[0] ?? 0);
    expect(fired / trials).toBeLessThanOrEqual(fires[1] ?? 0);
  });
});

const SYMBOLS = 30;
const QUARTER = 63;
const FOLDS = 5;
const SERIES = 10;
const NO_FOLD = { level: 0, spread: 1 };

type World = {
  /** Spread of the level and of the log spread between the models of the folds, in deviations of a prediction. */
  foldLevel: number;
  foldSpread: number;
  /** Share of variance that the symbols of a session have in common, and how long it lasts. */
  common: number;
  persistence: number;
  /** Strength of a volatility regime. */
  regime: number;
};

/**
 * Ten prediction series of one night: log-odds of five fold models over four quarters and a part of one, and of a
 * sixth model that issued the last 21 sessions. Models resemble each other, symbols keep their place for days.
 */
function predictionNight(world: World, night: { seed: number; partial: number }): MonitoredSeries[] {
  const { foldLevel, foldSpread, common, persistence, regime } = world;
  const rng = createRng(night.seed);
  const sessions = (FOLDS - 1) * QUARTER + night.partial;
  const last = sessions - 1;
  const autoregressive = (memory: number): Float64Array => {
    let level = rng.normal();
    return Float64Array.from({ length: sessions }, () => {
      level = memory * level + Math.sqrt(1 - memory ** 2) * rng.normal();
      return level;
    });
  };
  const market = autoregressive(persistence);
  const volatility = autoregressive(0.97).map((value) => Math.exp(regime * value));
  const symbols = Array.from({ length: SYMBOLS }, () => autoregressive(0.9));
  const [sharedPart, ownPart] = [Math.sqrt(common), Math.sqrt(1 - common)];
  const folds = Array.from({ length: FOLDS + 1 }, () => ({ level: rng.normal(), spread: rng.normal() }));
  const half = (shared: number): number => Math.SQRT1_2 * (shared + rng.normal());
  const rowStarts = Int32Array.from({ length: sessions + 1 }, (_, session) => session * SYMBOLS);
  return Array.from({ length: SERIES }, (_, model): MonitoredSeries => {
    const own = folds.map(({ level, spread }) => ({
      level: foldLevel * half(level),
      spread: Math.exp(foldSpread * half(spread)),
    }));
    const outOfFold = new Float64Array(sessions * SYMBOLS);
    const issued = new Float64Array(sessions * SYMBOLS);
    const [issuedLevel, issuedSpread] = [own[FOLDS]?.level ?? 0, own[FOLDS]?.spread ?? 1];
    for (let session = 0; session < sessions; session += 1) {
      const { level, spread } = own[Math.min(FOLDS - 1, Math.floor(session / QUARTER))] ?? NO_FOLD;
      const [scale, shared] = [volatility[session] ?? 1, sharedPart * (market[session] ?? 0)];
      for (let i = 0; i < SYMBOLS; i += 1) {
        const idiosyncratic = 0.8 * ((symbols[i] as Float64Array)[session] as number) + 0.6 * rng.normal();
        const value = scale * (shared + ownPart * idiosyncratic);
        const row = session * SYMBOLS + i;
        outOfFold[row] = level + spread * value;
        issued[row] = issuedLevel + issuedSpread * value;
      }
    }
    return {
      name: `model ${String(model)}`,
      kind: 'prediction',
      baseline: { values: outOfFold, rowStarts, firstSession: 0, lastSession: last - 21 },
      current: { values: issued, rowStarts, firstSession: last - 20, lastSession: last },
      strideSessions: 10,
      baselineModels: FOLDS,
    };
  });
}

const withIssued = (series: readonly MonitoredSeries[], change: (x: number) => number): MonitoredSeries[] =>
  series.map((one) => ({ ...one, current: { ...one.current, values: one.current.values.map(change) } }));

describe('predictions as issued against out-of-fold ones', () => {
  const WORLDS: { name: string; world: World }[] = [
    { name: 'equal models', world: { foldLevel: 0, foldSpread: 0, common: 0, persistence: 0, regime: 0 } },
    {
      name: 'a common factor and regimes',
      world: { foldLevel: 0.1, foldSpread: 0.1, common: 0.3, persistence: 0.9, regime: 0.2 },
    },
    {
      name: 'models of different level and spread',
      world: { foldLevel: 0.5, foldSpread: 0.3, common: 0.1, persistence: 0.9, regime: 0.1 },
    },
  ];

  /** Nights far apart: no two of them share anything. */
  const alarmsOf = (
    world: World,
    given: {
      nights: number;
      seed: number;
      change?: (x: number) => number;
      isCapped?: boolean;
      /** Alarms that decide the question, whatever the nights after them bring. */
      enough?: number;
    },
  ): number => {
    const { nights, enough = nights } = given;
    let alarms = 0;
    for (let night = 0; night < nights && alarms < enough; night += 1) {
      const drawn = predictionNight(world, { seed: given.seed + night, partial: 1 + ((night * 17) % 60) });
      const series = drawn.map(({ baselineModels = FOLDS, ...one }) => ({
        ...one,
        ...(given.isCapped === false ? {} : { baselineModels }),
      }));
      const report = monitorDrift(withIssued(series, given.change ?? ((x) => x)), { horizonSessions: 1 });
      expect(report.counts.not_enough_data).toBe(0);
      if (report.counts.alarm > 0) alarms += 1;
    }
    return alarms;
  };

  // One alarm a month is 1 night in 21 if alarms last one night, which they outlast.
  it.each(WORLDS)(
    'no drift, $name: an alarm on at most 1 night in 21',
    ({ world }) => {
      expect(alarmsOf(world, { nights: 63, seed: 2000 })).toBeLessThanOrEqual(3);
    },
    120_000,
  );

  it('models of different level and spread break the budget if their windows count as independent', () => {
    const world = WORLDS[2]?.world;
    if (world === undefined) throw new RangeError('no such world');
    expect(alarmsOf(world, { nights: 105, seed: 5000, isCapped: false, enough: 6 })).toBeGreaterThan(5);
  }, 120_000);

  it.each([
    { name: 'a shift by one deviation, equal models', world: 0, change: (x: number) => x + 1, atLeast: 10 },
    { name: 'a collapse to a fifth, equal models', world: 0, change: (x: number) => x / 5, atLeast: 10 },
    { name: 'a shift by three deviations, regimes', world: 1, change: (x: number) => x + 3, atLeast: 7 },
    { name: 'one value for all, regimes', world: 1, change: () => 0.01, atLeast: 7 },
  ])(
    'power: $name is found in at least $atLeast of 10 nights',
    ({ world, change, atLeast }) => {
      const found = alarmsOf(WORLDS[world]?.world ?? WORLDS[0]!.world, {
        nights: 10,
        seed: 3000,
        change,
        enough: atLeast,
      });
      expect(found).toBeGreaterThanOrEqual(atLeast);
    },
    120_000,
  );
});
