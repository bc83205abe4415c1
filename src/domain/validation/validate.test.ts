import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BarColumns, sessionDateOf, sliceBars } from '../bars.ts';
import { DEFAULT_RULES } from './rules.ts';
import { medianInPlace } from './series.ts';
import { copyRow, createTestMarket, scaleRow, type TestMarket, withoutRows } from './test-market.ts';
import { BAR_DOUBTFUL, BAR_IMPOSSIBLE, BAR_OK, type BarFinding, type ValidationReport } from './types.ts';
import { validateBars } from './validate.ts';

const market = (symbols = 40, sessions = 120, seed = 7): TestMarket =>
  createTestMarket({ symbols, sessions, seed });

function validate({ sessions, bars }: TestMarket, replace: readonly BarColumns[] = []): ValidationReport {
  const all = bars.map((one) => replace.find((other) => other.symbol === one.symbol) ?? one);
  return validateBars({ bars: all, sessions, revealedThrough: sessionDateOf(sessions.at(-1) ?? 0) });
}

const serious = (report: ValidationReport): BarFinding[] =>
  report.symbols.flatMap((symbol) => symbol.findings).filter((finding) => finding.severity !== 'note');

const short = (findings: readonly BarFinding[]): string[] =>
  findings.map((finding) => `${finding.symbol}:${finding.row} ${finding.code}`);

function bar(m: TestMarket, index: number): BarColumns {
  const bars = m.bars[index];
  if (bars === undefined) throw new Error(`no symbol ${index}`);
  return bars;
}

describe('a market without faults', () => {
  it('has no findings but a rare note', () => {
    const report = validate(market(60, 300, 3));
    expect(short(serious(report))).toEqual([]);
    expect(report).toMatchObject({ rows: 18_000, missingSessions: 0, sessions: [] });
    expect(report.symbols[0]?.states.every((state) => state === BAR_OK)).toBe(true);
  });
});

describe('impossible rows', () => {
  it('finds each kind and says why', () => {
    const m = market();
    const bars = bar(m, 0);
    bars.open[10] = Number.NaN;
    bars.low[20] = -1;
    bars.close[30] = (bars.high[30] ?? 0) + 1;
    bars.volume[40] = Number.NaN;
    bars.volume[41] = -5;
    const report = validate(m);
    expect(short(serious(report))).toEqual([
      'S000:10 nullPrice',
      'S000:20 nonPositivePrice',
      'S000:30 ohlcOrder',
      'S000:40 badVolume',
      'S000:41 badVolume',
    ]);
    const [first] = serious(report);
    expect(first?.reason).toContain('open null');
    expect(first?.availableAtSession).toBe(first?.sessionDate);
    expect(report.symbols[0]?.states[30]).toBe(BAR_IMPOSSIBLE);
    expect(report.counts).toMatchObject({ nullPrice: 1, badVolume: 2, ohlcOrder: 1 });
  });

  it('keeps the first of two equal rows and neither of two different ones', () => {
    const m = market();
    const bars = bar(m, 0);
    const days = bars.epochDays;
    days[11] = days[10] ?? 0;
    copyRow(bars, 10, 11);
    days[21] = days[20] ?? 0;
    const report = validate(m);
    expect(short(serious(report))).toEqual([
      'S000:11 duplicateSession',
      'S000:20 duplicateSession',
      'S000:21 duplicateSession',
    ]);
    // The dates that were overwritten are missing now.
    expect(report.symbols[0]?.missingSessions).toEqual(
      [11, 21].map((at) => sessionDateOf(m.sessions[at] ?? 0)),
    );
  });

  it('finds rows on days without a session', () => {
    const m = market();
    const sessions = m.sessions.filter((_, at) => at !== 50);
    expect(short(serious(validate({ sessions, bars: m.bars.slice(0, 1) })))).toEqual(['S000:50 notASession']);
  });

  it('does not let an impossible row hide or cause anything else', () => {
    const m = market();
    const bars = bar(m, 0);
    scaleRow(bars, 60, 3);
    bars.open[60] = Number.NaN;
    expect(short(serious(validate(m)))).toEqual(['S000:60 nullPrice']);
  });
});

describe('missing sessions', () => {
  it('lists them from the first row to the end of the range', () => {
    const m = market();
    const gaps = withoutRows(bar(m, 0), [40, 41, 119]);
    const late = withoutRows(bar(m, 1), [0, 1, 2]);
    const report = validate(m, [gaps, late]);
    expect(report.symbols[0]?.missingSessions).toEqual(
      [40, 41, 119].map((at) => sessionDateOf(m.sessions[at] ?? 0)),
    );
    expect(report.symbols[1]?.missingSessions).toEqual([]);
    expect(report.missingSessions).toBe(3);
  });

  it('has nothing to say about a symbol without rows', () => {
    const m = market();
    const report = validate(m, [withoutRows(bar(m, 0), [...Array(120).keys()])]);
    expect(report.symbols[0]).toMatchObject({ rows: 0, findings: [], missingSessions: [] });
  });

  it('refuses a calendar that ends too early', () => {
    const m = market();
    expect(() => validateBars({ ...m, revealedThrough: '2030-01-02' })).toThrow(RangeError);
  });
});

describe('one-day reversals', () => {
  it('finds a price of another unit, known the session after', () => {
    const m = market();
    scaleRow(bar(m, 3), 70, 1.3);
    const [finding, ...others] = serious(validate(m));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      symbol: 'S003',
      row: 70,
      severity: 'doubtful',
      code: 'oneDayReversal',
      availableAtSession: sessionDateOf(m.sessions[71] ?? 0),
    });
  });

  it('leaves a level that stays, a turn within the day and a crash of the whole market alone', () => {
    const m = market();
    for (let row = 70; row < 120; row++) scaleRow(bar(m, 3), row, 0.7);
    const turned = bar(m, 4);
    turned.low[80] = (turned.low[80] ?? 0) * 0.7;
    turned.close[80] = (turned.close[80] ?? 0) * 0.75;
    for (const bars of m.bars) scaleRow(bars, 100, 0.93);
    const report = validate(m);
    expect(short(serious(report))).toEqual([]);
  });

  it('lets many small ones on one session speak for each other', () => {
    const m = market(60, 120, 11);
    for (let index = 0; index < 12; index++) scaleRow(bar(m, index), 90, 1.06);
    const alone = market(60, 120, 11);
    for (const index of [0, 1]) scaleRow(bar(alone, index), 90, 1.06);
    const wave = validate(m);
    expect(wave.sessions).toMatchObject([
      { code: 'marketWideReversal', sessionDate: sessionDateOf(m.sessions[90] ?? 0), symbolsWithBar: 60 },
    ]);
    const found = new Set(serious(wave).map((finding) => finding.symbol));
    expect(found.size).toBeGreaterThanOrEqual(10);
    expect([...found].every((symbol) => symbol < 'S012')).toBe(true);
    expect(validate(alone).sessions).toEqual([]);
  });
});

describe('repeated bars', () => {
  it('blames the row that fits its neighbours worse, known at the later session', () => {
    const m = market();
    const bars = bar(m, 5);
    // A later day's bar in an earlier row; the level has moved meanwhile.
    for (let row = 80; row < 120; row++) scaleRow(bars, row, 1.2);
    copyRow(bars, 100, 60);
    const findings = serious(validate(m)).filter((finding) => finding.code === 'repeatedBar');
    expect(short(findings)).toEqual(['S005:60 repeatedBar']);
    expect(findings[0]?.availableAtSession).toBe(sessionDateOf(m.sessions[100] ?? 0));
  });

  it('blames the later row if many symbols say so', () => {
    const m = market();
    for (let index = 0; index < 5; index++) {
      const bars = bar(m, index);
      for (let row = 80; row < 120; row++) scaleRow(bars, row, 1.2);
      copyRow(bars, 60, 100);
    }
    const report = validate(m);
    const repeats = serious(report).filter((finding) => finding.code === 'repeatedBar');
    expect(repeats.map((finding) => finding.row)).toEqual([100, 100, 100, 100, 100]);
    expect(report.sessions.find((session) => session.code === 'repeatedSession')).toMatchObject({
      sessionDate: sessionDateOf(m.sessions[100] ?? 0),
      symbols: 5,
    });
  });

  it('flags both of two neighbours, because nobody can tell', () => {
    const m = market();
    copyRow(bar(m, 5), 60, 61);
    expect(short(serious(validate(m)))).toEqual(['S005:60 repeatedBar', 'S005:61 repeatedBar']);
  });

  it('tells neighbours apart when enough symbols are concerned', () => {
    const m = market(80, 120, 5);
    for (let index = 0; index < 30; index++) copyRow(bar(m, index), 61, 60);
    const repeats = serious(validate(m)).filter((finding) => finding.code === 'repeatedBar');
    expect(new Set(repeats.map((finding) => finding.row))).toEqual(new Set([60]));
    expect(repeats).toHaveLength(30);
  });

  it('takes three equal prices between sessions that many symbols share, and only there', () => {
    const m = market();
    for (let index = 0; index < 6; index++) {
      copyRow(bar(m, index), 100, 60);
      const bars = bar(m, index);
      for (let row = 80; row < 120; row++) scaleRow(bars, row, 1.2);
      copyRow(bars, 100, 60);
    }
    const revised = bar(m, 0);
    revised.close[100] = ((revised.close[100] ?? 0) + (revised.open[100] ?? 0)) / 2;
    const single = bar(m, 20);
    copyRow(single, 50, 30);
    single.close[30] = ((single.close[30] ?? 0) + (single.open[30] ?? 0)) / 2;
    const repeats = serious(validate(m)).filter((finding) => finding.code === 'repeatedBar');
    expect(repeats.map((finding) => finding.symbol)).toEqual([
      'S000',
      'S001',
      'S002',
      'S003',
      'S004',
      'S005',
    ]);
    expect(repeats[0]?.reason).toMatch(/^three of four prices/);
  });

  it('leaves chance alone: a cheap share in a narrow range, another volume', () => {
    const m = market();
    const bars = bar(m, 5);
    for (const row of [60, 90]) {
      bars.open[row] = 2.66;
      bars.high[row] = 2.7;
      bars.low[row] = 2.65;
      bars.close[row] = 2.68;
    }
    expect(serious(validate(m)).filter((finding) => finding.code === 'repeatedBar')).toEqual([]);
  });
});

describe('other findings', () => {
  it('finds two symbols with the same series once it is no chance', () => {
    const m = market();
    for (let row = 50; row < 58; row++) {
      for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
        bar(m, 9)[name][row] = bar(m, 2)[name][row] ?? 0;
      }
    }
    const found = serious(validate(m)).filter((finding) => finding.code === 'identicalSeries');
    expect(found).toHaveLength(16);
    expect(found[0]).toMatchObject({
      symbol: 'S002',
      row: 50,
      availableAtSession: sessionDateOf(m.sessions[54] ?? 0),
    });
    expect(found.at(-1)).toMatchObject({
      symbol: 'S009',
      row: 57,
      availableAtSession: sessionDateOf(m.sessions[57] ?? 0),
    });
    const fewer = market();
    for (let row = 50; row < 54; row++) {
      for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
        bar(fewer, 9)[name][row] = bar(fewer, 2)[name][row] ?? 0;
      }
    }
    expect(validate(fewer).counts.identicalSeries).toBe(0);
  });

  it('flags a session without trading', () => {
    const m = market();
    bar(m, 1).volume[33] = 0;
    const report = validate(m);
    expect(short(serious(report))).toEqual(['S001:33 zeroVolume']);
    expect(report.symbols[1]?.states[33]).toBe(BAR_DOUBTFUL);
  });

  it('notes jumps, shifts on ordinary volume and bars without movement, and keeps them', () => {
    const m = market();
    for (let row = 60; row < 120; row++) scaleRow(bar(m, 0), row, 0.5);
    for (let row = 60; row < 120; row++) scaleRow(bar(m, 1), row, 1.4);
    const stale = bar(m, 2);
    for (const column of [stale.open, stale.high, stale.low, stale.close]) column[60] = stale.close[59] ?? 0;
    const report = validate(m);
    const notes = report.symbols.flatMap((symbol) => symbol.findings);
    expect(short(notes)).toEqual(['S000:60 levelShift', 'S001:60 jump', 'S002:60 staleBar']);
    expect(report.symbols.every((symbol) => symbol.states.every((state) => state === BAR_OK))).toBe(true);
  });
});

/** A market with faults of every kind at random places. */
function faultyMarket(
  seed: number,
  faults: readonly { kind: number; symbol: number; row: number; other: number }[],
) {
  const m = createTestMarket({ symbols: 30, sessions: 90, seed });
  for (const { kind, symbol, row, other } of faults) {
    const bars = bar(m, symbol);
    if (kind === 0) scaleRow(bars, row, 1.2);
    else if (kind === 1) copyRow(bars, Math.max(row, other), Math.min(row, other));
    else if (kind === 2) bars.open[row] = Number.NaN;
    else if (kind === 3) for (let index = 0; index < 8; index++) scaleRow(bar(m, index), row, 0.92);
    else if (kind === 4) for (let index = 0; index < 8; index++) copyRow(bar(m, index), row, other);
    else bars.volume[row] = 0;
  }
  return m;
}

describe('time', () => {
  const faults = fc.array(
    fc.record({
      kind: fc.integer({ min: 0, max: 5 }),
      symbol: fc.integer({ min: 0, max: 29 }),
      row: fc.integer({ min: 1, max: 88 }),
      other: fc.integer({ min: 1, max: 88 }),
    }),
    { minLength: 1, maxLength: 8 },
  );

  it('cutting the future away changes no finding known before', () => {
    fc.assert(
      fc.property(fc.nat(1_000), faults, fc.integer({ min: 30, max: 88 }), (seed, list, cut) => {
        const m = faultyMarket(seed, list);
        const through = sessionDateOf(m.sessions[cut] ?? 0);
        const whole = validate(m);
        const past = validateBars({ ...m, revealedThrough: through });
        for (const [index, symbol] of past.symbols.entries()) {
          const known = whole.symbols[index]?.findings.filter(
            (finding) => finding.availableAtSession <= through,
          );
          expect(symbol.findings).toEqual(known);
        }
        expect(past.sessions).toEqual(whole.sessions.filter((one) => one.availableAtSession <= through));
      }),
      { numRuns: 40 },
    );
  });

  it('night by night with the look-back finds what one run finds', () => {
    const m = market(30, 420, 23);
    copyRow(bar(m, 0), 400, 160);
    for (let index = 0; index < 10; index++) scaleRow(bar(m, index), 390, 1.07);
    scaleRow(bar(m, 12), 380, 0.8);
    const whole = validate(m);
    const nightly: string[] = [];
    for (let at = 375; at < 420; at++) {
      const from = m.sessions[Math.max(0, at - DEFAULT_RULES.lookbackSessions)] ?? 0;
      const bars = m.bars.map((one) => sliceBars(one, from, m.sessions[at] ?? 0));
      const session = sessionDateOf(m.sessions[at] ?? 0);
      const report = validateBars({
        bars,
        sessions: m.sessions,
        revealedFrom: session,
        revealedThrough: session,
      });
      for (const { findings } of report.symbols) {
        for (const { symbol, sessionDate, code, reason } of findings) {
          nightly.push(`${symbol} ${sessionDate} ${code} ${reason}`);
        }
      }
    }
    const since = sessionDateOf(m.sessions[375] ?? 0);
    const expected = whole.symbols
      .flatMap((symbol) => symbol.findings)
      .filter((finding) => finding.availableAtSession >= since)
      .map(({ symbol, sessionDate, code, reason }) => `${symbol} ${sessionDate} ${code} ${reason}`);
    expect(expected.length).toBeGreaterThan(8);
    expect(nightly.sort()).toEqual(expected.sort());
  });
});

describe('medianInPlace', () => {
  it('equals the median of the sorted values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }), (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        const middle = sorted.length >>> 1;
        const upper = sorted[middle] ?? 0;
        const expected = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
        expect(medianInPlace(Float64Array.from(values))).toBe(expected);
      }),
    );
    expect(medianInPlace(new Float64Array())).toBeNaN();
  });
});
