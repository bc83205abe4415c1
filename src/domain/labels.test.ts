import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BAR_STATES, LABEL_REASONS, computeLabels, countReasons, type Labels } from './labels.ts';
import { realBars } from './testdata/series.ts';

const dates = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `2020-01-${String(i + 1).padStart(2, '0')}`);

/** One symbol whose open and close are given. */
function single(open: number[], close: number[], horizonSessions: number, states?: number[]): Labels {
  return computeLabels({
    sessions: dates(open.length),
    symbols: ['A'],
    open: [Float64Array.from(open)],
    close: [Float64Array.from(close)],
    ...(states && { states: [Uint8Array.from(states)] }),
    horizonSessions,
  });
}

const reasons = (codes: Uint8Array): string[] => [...codes].map((code) => LABEL_REASONS[code]!);

/** Members that go from 100 to `100 (1 + r)` within the second session. */
function session(returns: number[]): Labels {
  return computeLabels({
    sessions: dates(2),
    symbols: returns.map((_, i) => `S${String(i)}`),
    open: returns.map(() => Float64Array.of(100, 100)),
    close: returns.map((r) => Float64Array.of(100, Number.isNaN(r) ? r : 100 + r)),
    horizonSessions: 1,
  });
}

describe('members that were not listed yet', () => {
  it('do not count as uncovered, those whose bars are missing do', () => {
    const given = {
      sessions: dates(2),
      symbols: ['A', 'B', 'C', 'D'],
      open: [100, 100, Number.NaN, Number.NaN].map((value) => Float64Array.of(value, value)),
      close: [101, 103, Number.NaN, Number.NaN].map((value) => Float64Array.of(value, value)),
      horizonSessions: 1,
    };
    expect(computeLabels(given).targetExcess[0]).toBeNaN();
    const late = computeLabels({ ...given, listedFrom: Int32Array.of(0, 0, 2, 2) });
    expect([...late.targetExcess.subarray(0, 2)]).toEqual([0, 1]);
    expect(computeLabels({ ...given, listedFrom: Int32Array.of(0, 0, 1, 0) }).targetExcess[0]).toBeNaN();
    const nobody = given.open.map(() => Float64Array.of(Number.NaN, Number.NaN));
    const none = computeLabels({ ...given, open: nobody, listedFrom: Int32Array.of(2, 2, 2, 2) });
    expect(none.targetExcess[0]).toBeNaN();
  });
});

describe('labels', () => {
  it('enter at the next open and leave at the close of S + h', () => {
    const one = single([1, 10, 20, 40], [9, 11, 30, 30], 1);
    expect([...one.forwardReturn]).toEqual([11 / 10 - 1, 30 / 20 - 1, 30 / 40 - 1, Number.NaN]);
    expect([...one.targetDirection]).toEqual([1, 1, 0, Number.NaN]);
    const two = single([1, 10, 20, 40], [9, 11, 30, 30], 2);
    expect([...two.forwardReturn]).toEqual([30 / 10 - 1, 30 / 20 - 1, Number.NaN, Number.NaN]);
    expect(reasons(two.directionReason)).toEqual([
      'labelled',
      'labelled',
      'outcomeNotKnown',
      'outcomeNotKnown',
    ]);
  });

  it('give a hole no label with its reason and never reach over it', () => {
    const nan = Number.NaN;
    const holed = single([1, nan, 20, 40, 50], [9, 11, nan, 30, 60], 1);
    expect(reasons(holed.directionReason)).toEqual([
      'entryMissing',
      'exitMissing',
      'labelled',
      'labelled',
      'outcomeNotKnown',
    ]);
    expect(holed.forwardReturn[2]).toBeCloseTo(30 / 40 - 1, 15);
    const { quarantined, flagged, missing, usable } = BAR_STATES;
    const states = [usable, quarantined, flagged, missing, usable, usable];
    const marked = single([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7], 1, states);
    expect(reasons(marked.directionReason).slice(0, 4)).toEqual([
      'entryQuarantined',
      'entryFlagged',
      'entryMissing',
      'tie',
    ]);
    const longer = single([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7], 2, [0, 0, quarantined, flagged, 0, 0]);
    expect(reasons(longer.directionReason).slice(0, 4)).toEqual([
      'exitQuarantined',
      'entryQuarantined',
      'entryFlagged',
      'labelled',
    ]);
  });

  it('count an impossible price as missing', () => {
    expect(reasons(single([1, 0, 3], [1, 2, -1], 1).directionReason).slice(0, 2)).toEqual([
      'entryMissing',
      'exitMissing',
    ]);
  });

  it('measure the excess over the median and drop exact ties', () => {
    const odd = session([-2, 0, 1, 5, 9]);
    expect([...odd.targetExcess.subarray(0, 5)]).toEqual([0, 0, Number.NaN, 1, 1]);
    expect(odd.excessReturn[0]).toBeCloseTo(-0.03, 12);
    expect(reasons(odd.excessReason)[2]).toBe('tie');
    expect([...odd.targetDirection.subarray(0, 5)]).toEqual([0, Number.NaN, 1, 1, 1]);
    expect(reasons(odd.directionReason)[1]).toBe('tie');
    const even = session([-2, 0, 2, 8]);
    expect([...even.targetExcess.subarray(0, 4)]).toEqual([0, 0, 1, 1]);
  });

  it('need 60 % of the members for an excess, none for a direction', () => {
    const nan = Number.NaN;
    const enough = session([1, 2, 3, nan, nan]);
    expect([...enough.targetExcess.subarray(0, 3)]).toEqual([0, nan, 1]);
    const few = session([1, 2, nan, nan]);
    expect(reasons(few.excessReason).slice(0, 4)).toEqual([
      'lowCoverage',
      'lowCoverage',
      'exitMissing',
      'exitMissing',
    ]);
    expect(few.excessReturn[0]).toBeNaN();
    expect(few.targetDirection[0]).toBe(1);
  });

  it('leave exactly the last h sessions open, for every horizon, and are balanced', () => {
    const { sessions, symbols, open, close } = realBars();
    for (const horizonSessions of [1, 5, 20]) {
      const labels = computeLabels({ sessions, symbols, open, close, horizonSessions });
      const open20 = reasons(labels.directionReason).filter((reason) => reason === 'outcomeNotKnown');
      expect(open20.length).toBe(horizonSessions * symbols.length);
      const counts = countReasons(labels.excessReason);
      expect(Object.values(counts).reduce((a, b) => a + b, 0)).toBe(sessions.length * symbols.length);
      const ups = labels.targetExcess.reduce((sum, x) => sum + (x === 1 ? 1 : 0), 0);
      expect(Math.abs(ups / counts.labelled! - 0.5)).toBeLessThan(0.005);
    }
  });

  it('of a session do not change with later data', () => {
    const { sessions, symbols, open, close } = realBars();
    const whole = computeLabels({ sessions, symbols, open, close, horizonSessions: 5 });
    const cut = computeLabels({
      sessions: sessions.slice(0, 400),
      symbols,
      open: open.map((row) => row.slice(0, 400)),
      close: close.map((row) => row.slice(0, 400)),
      horizonSessions: 5,
    });
    const known = (400 - 5) * symbols.length;
    expect(cut.targetExcess.subarray(0, known)).toEqual(whole.targetExcess.subarray(0, known));
    expect(cut.forwardReturn.subarray(known).every(Number.isNaN)).toBe(true);
  });

  it('do not depend on the price scale', () => {
    const { sessions, symbols, open, close } = realBars();
    const whole = computeLabels({ sessions, symbols, open, close, horizonSessions: 3 });
    const scale = (rows: Float64Array[], k: number): Float64Array[] =>
      rows.map((row) => row.map((x) => x * k));
    fc.assert(
      fc.property(fc.constantFrom(1 / 7, 7, 20, 1.0027), (k) => {
        const scaled = computeLabels({
          sessions,
          symbols,
          open: scale(open, k),
          close: scale(close, k),
          horizonSessions: 3,
        });
        const worst = whole.forwardReturn.reduce(
          (max, x, i) => (Number.isNaN(x) ? max : Math.max(max, Math.abs(x - scaled.forwardReturn[i]!))),
          0,
        );
        expect(worst).toBeLessThan(1e-14);
      }),
      { numRuns: 4 },
    );
  });

  it('refuse a horizon outside 1 to 20 and arrays that do not fit', () => {
    for (const horizon of [0, 21, 1.5, Number.NaN]) {
      expect(() => single([1, 2], [1, 2], horizon)).toThrow(/horizonSessions/);
    }
    expect(() => single([1, 2], [1], 1)).toThrow(/close/);
    expect(() => single([1, 2], [1, 2], 1, [0])).toThrow(/states/);
  });
});
