import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochDayOf, sessionDateOf } from '../bars.ts';
import { realBars } from '../testdata/series.ts';
import { assertNoLookAhead, assertScaleInvariant, assertSettles, sliceSessions } from './checks.ts';
import {
  computeExactFeatures,
  computeFeatures,
  featureSteps,
  type FeatureInput,
  type FeatureMatrix,
} from './panel.ts';
import { FEATURE_CODE_VERSION, FEATURES, featureSetVersion } from './registry.ts';
import { symbolFeatures, type FeatureDefinition } from './types.ts';

const real = realBars();
const { sessions, symbols } = real;

function at(
  matrix: FeatureMatrix<Float32Array | Float64Array>,
  name: string,
  session: string,
  symbol: string,
): number {
  const index = sessions.indexOf(session) * symbols.length + symbols.indexOf(symbol);
  return matrix.values[matrix.names.indexOf(name)]![index]!;
}

/** The real bars behind their own mirror image, on made-up earlier weekdays: long enough for any warm-up. */
function longPanel(extra: number): FeatureInput {
  const dates: string[] = [];
  for (let day = epochDayOf(sessions[0]!) - 1; dates.length < extra; day -= 1) {
    if ((day + 3) % 7 < 5) dates.unshift(sessionDateOf(day));
  }
  const mirrored = (rows: readonly Float64Array[]): Float64Array[] =>
    rows.map((row) => Float64Array.from([...row.slice(1, extra + 1).reverse(), ...row]));
  return {
    sessions: [...dates, ...sessions],
    symbols,
    open: mirrored(real.open),
    high: mirrored(real.high),
    low: mirrored(real.low),
    close: mirrored(real.close),
    volume: mirrored(real.volume),
  };
}

/** Real bars with holes of 1, 3 and 8 sessions, as flags and quarantine leave them. */
function holedPanel(): FeatureInput {
  const input = sliceSessions(real, 0);
  for (const field of [input.open, input.high, input.low, input.close, input.volume]) {
    field[0]!.fill(Number.NaN, 300, 301);
    field[1]!.fill(Number.NaN, 310, 313);
    field[2]!.fill(Number.NaN, 320, 328);
  }
  return input;
}

const only = (...names: string[]): FeatureDefinition[] => FEATURES.filter(({ name }) => names.includes(name));

describe('the feature panel', () => {
  it('is laid out session by session, one array per feature, in registry order', () => {
    const matrix = computeFeatures(real);
    expect(matrix.names).toEqual(FEATURES.map(({ name }) => name));
    expect(matrix).toMatchObject({ sessionCount: 620, symbolCount: 24 });
    expect(matrix.values.every((column) => column.length === 620 * 24)).toBe(true);
    const close = real.close[symbols.indexOf('AAPL')]!;
    const [now, before] = [sessions.indexOf('2018-02-07'), sessions.indexOf('2018-02-06')];
    expect(at(matrix, 'ret1', '2018-02-07', 'AAPL')).toBeCloseTo(Math.log(close[now]! / close[before]!), 7);
    expect(at(matrix, 'weekday', '2018-02-07', 'XOM')).toBe(3);
    expect(at(matrix, 'daysSincePrevious', '2018-01-16', 'XOM')).toBe(4);
    expect(at(matrix, 'sessionOfMonth', '2018-02-07', 'XOM')).toBe(5);
  });

  it('has values for every feature, and from its declared look-back on', () => {
    const matrix = computeFeatures(real);
    const apple = symbols.indexOf('AAPL');
    for (const [f, { name, lookbackSessions }] of FEATURES.entries()) {
      const column = matrix.values[f]!.filter((_, i) => i % symbols.length === apple);
      const first = column.findIndex((x) => !Number.isNaN(x));
      expect(first, name).toBe(lookbackSessions);
      expect(Number.isNaN(column[619]!), name).toBe(false);
    }
  });

  it('can be run in steps', () => {
    const steps = featureSteps({ ...real, features: only('ret1', 'rankRet1') });
    const seen = [];
    for (;;) {
      const step = steps.next();
      if (step.done === true) {
        expect(step.value.names).toEqual(['ret1', 'rankRet1']);
        break;
      }
      seen.push(step.value.done);
      expect(step.value.total).toBe(25);
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
  });

  it('keeps its values: raise FEATURE_CODE_VERSION if they change, then run vitest with -u', async () => {
    const matrix = computeExactFeatures(real);
    const rows: [string, string][] = [
      ['2018-02-07', 'AAPL'],
      ['2017-09-15', 'COP'],
      ['2016-08-01', 'FTV'],
      ['2016-04-05', 'DHR'],
    ];
    const lines = rows.flatMap(([session, symbol]) =>
      matrix.names.map(
        (name) => `${session} ${symbol} ${name} ${at(matrix, name, session, symbol).toPrecision(9)}`,
      ),
    );
    const head = `code version ${String(FEATURE_CODE_VERSION)}, feature set ${featureSetVersion()}`;
    await expect([head, ...lines, ''].join('\n')).toMatchFileSnapshot('../testdata/feature-values.txt');
  });

  it('refuses arrays that do not fit', () => {
    expect(() => computeFeatures({ ...real, close: real.close.slice(1) })).toThrow(/close has 23 symbols/);
    expect(() => computeFeatures({ ...real, sessions: sessions.slice(1) })).toThrow(/open of AAPL/);
    expect(() => computeFeatures({ ...real, sessions: [...sessions].reverse() })).toThrow(/ascend/);
    expect(() => computeFeatures({ ...real, features: only('rankRet1') })).toThrow(/not among/);
    expect(() => computeFeatures({ ...real, features: [...only('ret1'), ...only('ret1')] })).toThrow(
      /same name/,
    );
  });
});

describe('every feature', () => {
  it('depends on nothing later than its session', () => {
    const cuts = [30, 299, 300, 312, 325, 470, 618];
    assertNoLookAhead(computeExactFeatures, holedPanel(), { cuts });
  });

  it('has settled after its warm-up: 300 sessions more before it change nothing beyond 1e-8', () => {
    const warmup = new Map(FEATURES.map(({ name, warmupSessions }) => [name, warmupSessions]));
    assertSettles(computeExactFeatures, longPanel(300), {
      skip: 300,
      warmupSessions: (name) => warmup.get(name)!,
    });
  });

  it('is invariant to a split: price x k with volume / k', () => {
    const input = sliceSessions(holedPanel(), 220);
    const factors = fc.oneof(
      fc.double({ min: 1e-4, max: 1e4, noNaN: true }),
      fc.constantFrom(7, 1 / 7, 20, 0.05, 1.0027455),
    );
    fc.assert(
      fc.property(factors, (factor) => {
        assertScaleInvariant(computeExactFeatures, input, { factor });
      }),
      { numRuns: 12 },
    );
  });
});

describe('the checks catch planted errors', () => {
  const planted = (compute: (close: Float64Array) => Float64Array): FeatureInput => ({
    ...real,
    features: symbolFeatures('returns', [
      {
        name: 'planted',
        definition: 'planted',
        lookbackSessions: 1,
        unit: 'logReturn',
        compute: ({ close }) => compute(close),
      },
    ]),
  });

  it("a feature that sees tomorrow's close", () => {
    const leak = planted((close) => close.map((c, i) => Math.log((close[i + 1] ?? c) / c)));
    expect(() => assertNoLookAhead(computeFeatures, leak, { cuts: [400] })).toThrow(/planted looks ahead/);
  });

  it('a feature scaled by the whole series', () => {
    const leak = planted((close) => {
      const highest = Math.max(...close.filter(Number.isFinite));
      return close.map((c) => c / highest);
    });
    expect(() => assertNoLookAhead(computeFeatures, leak, { cuts: [400] })).toThrow(/planted looks ahead/);
  });

  it('a feature that remembers its start', () => {
    const input = planted((close) => close.map((c) => c / (close.find(Number.isFinite) ?? 1)));
    expect(() => assertSettles(computeExactFeatures, input, { skip: 300, warmupSessions: () => 1 })).toThrow(
      /planted has not settled/,
    );
  });

  it('a feature in dollars', () => {
    const input = planted((close) => close.map((c, i) => c - (close[i - 1] ?? c)));
    expect(() => assertScaleInvariant(computeExactFeatures, input, { factor: 7 })).toThrow(/planted changes/);
  });
});

describe('missing bars', () => {
  const whole = computeExactFeatures(real);
  const holed = computeExactFeatures(holedPanel());
  const [apple, amazon, boeing] = ['AAPL', 'AMZN', 'BA'] as const;

  it('have no features in their own session, and no return spans them', () => {
    for (const name of holed.names) expect(at(holed, name, sessions[300]!, apple), name).toBeNaN();
    expect(at(holed, 'ret1', sessions[301]!, apple)).toBeNaN();
    expect(at(holed, 'ret5', sessions[305]!, apple)).toBeNaN();
    expect(at(holed, 'ret5', sessions[304]!, apple)).toBe(at(whole, 'ret5', sessions[304]!, apple));
    expect(at(holed, 'ret1', sessions[302]!, apple)).toBe(at(whole, 'ret1', sessions[302]!, apple));
  });

  it('do not shift the calendar: a window still ends where it ended', () => {
    const session = sessions[480]!;
    for (const name of ['ret21', 'mom126', 'vol63', 'smaGap50', 'volumeRatio5to63', 'rsi14']) {
      const [a, b] = [at(holed, name, session, amazon), at(whole, name, session, amazon)];
      expect(Math.abs(a - b), name).toBeLessThan(1e-4 * Math.max(1, Math.abs(b)));
    }
  });

  it('leave statistics on what is there, while enough is', () => {
    const session = sessions[305]!;
    const volume = real.volume[0]!;
    const available = [...volume.subarray(285, 306)].filter((_, i) => i !== 15);
    const mean = available.reduce((a, b) => a + b, 0) / 20;
    expect(at(holed, 'volumeRatio1to21', session, apple)).toBeCloseTo(Math.log(volume[305]! / mean), 12);
    // 8 of 21 sessions are missing, then 5: less than 80 % are there until 4 are left.
    expect(at(holed, 'volumeRatio1to21', sessions[335]!, boeing)).toBeNaN();
    expect(at(holed, 'volumeRatio1to21', sessions[343]!, boeing)).toBeNaN();
    expect(at(holed, 'volumeRatio1to21', sessions[344]!, boeing)).not.toBeNaN();
  });

  it('are bridged for smoothing up to five sessions, behind more it starts afresh', () => {
    expect(at(holed, 'rsi14', sessions[301]!, apple)).not.toBeNaN();
    expect(at(holed, 'rsi14', sessions[313]!, amazon)).not.toBeNaN();
    expect(at(holed, 'rsi14', sessions[341]!, boeing)).toBeNaN();
    expect(at(holed, 'rsi14', sessions[342]!, boeing)).not.toBeNaN();
  });

  it('leave a listing inside the range without features before it', () => {
    const first = sessions.findIndex((_, i) => !Number.isNaN(real.close[symbols.indexOf('FTV')]![i]!));
    expect(at(whole, 'ret1', sessions[first]!, 'FTV')).toBeNaN();
    expect(at(whole, 'ret1', sessions[first + 1]!, 'FTV')).not.toBeNaN();
    expect(at(whole, 'rankRet1', sessions[first]!, 'FTV')).toBeNaN();
  });
});
