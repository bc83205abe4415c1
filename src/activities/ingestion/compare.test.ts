import { describe, expect, it } from 'vitest';
import type { StoredBars } from '../../db/queries/bars.ts';
import { type BarColumns, createBarColumns } from '../../domain/bars.ts';
import { compareBars, type CompareInput } from './compare.ts';

function columns(rows: readonly (readonly [day: number, close: number])[]): BarColumns {
  const bars = createBarColumns('A', rows.length);
  for (const [row, [day, close]] of rows.entries()) {
    bars.epochDays[row] = day;
    bars.open[row] = close;
    bars.high[row] = close * 1.01;
    bars.low[row] = close * 0.99;
    bars.close[row] = close;
    bars.volume[row] = 100;
  }
  return bars;
}

function stored(rows: readonly (readonly [day: number, close: number])[], state = 1): StoredBars {
  const bars = columns(rows);
  const length = rows.length;
  return {
    bars,
    sourceIds: new Int32Array(length).fill(1),
    states: new Int32Array(length).fill(state),
    revisions: Int32Array.from({ length }, (_, row) => row),
    flagged: new Uint8Array(length),
  };
}

const compare = (input: Partial<CompareInput> & Pick<CompareInput, 'fetched'>) =>
  compareBars({
    usable: new Uint8Array(input.fetched.epochDays.length).fill(1),
    stored: undefined,
    revise: true,
    isFinal: () => true,
    factorTo: () => 1,
    ...input,
  });

describe('compareBars', () => {
  it('tells new from known from changed, with the revision it saw', () => {
    const diff = compare({
      fetched: columns([
        [10, 1],
        [11, 2],
        [12, 3.5],
        [14, 5],
      ]),
      stored: stored([
        [9, 0.5],
        [11, 2],
        [12, 3],
        [13, 4],
      ]),
    });
    expect(diff).toEqual({ fresh: [0, 3], changed: [{ row: 2, revision: 2 }], unchanged: 1, mismatch: null });
  });

  it('leaves unusable rows out and takes null for equal to null', () => {
    const fetched = columns([
      [10, Number.NaN],
      [11, 2],
    ]);
    expect(compare({ fetched, stored: stored([[10, Number.NaN]]), usable: Uint8Array.of(1, 0) })).toEqual({
      fresh: [],
      changed: [],
      unchanged: 1,
      mismatch: null,
    });
  });

  it('changes nothing in a replay, and nothing that another source delivered', () => {
    const input = { fetched: columns([[10, 9]]), stored: stored([[10, 1]]) };
    expect(compare({ ...input, revise: false }).unchanged).toBe(1);
    expect(compare({ ...input, factorTo: () => null }).unchanged).toBe(1);
    expect(compare(input).changed).toHaveLength(1);
  });

  it('finalizes a provisional row, equal or not, once it has settled', () => {
    const input = { fetched: columns([[10, 1]]), stored: stored([[10, 1]], 0) };
    expect(compare(input).changed).toEqual([{ row: 0, revision: 0 }]);
    expect(compare({ ...input, isFinal: () => false }).unchanged).toBe(1);
  });

  it('compares on the stored basis, within the rounding of cents', () => {
    const old = stored([
      [10, 100],
      [11, 101],
      [12, 102],
    ]);
    const halved = columns([
      [10, 50.005],
      [11, 50.5],
      [12, 51],
    ]);
    expect(compare({ fetched: halved, stored: old, factorTo: () => 2 }).unchanged).toBe(3);
    expect(compare({ fetched: halved, stored: old }).mismatch).toContain('by the factor 0.5');
  });

  it('takes a few revised rows for what they are', () => {
    const old = stored([
      [10, 100],
      [11, 101],
      [12, 102],
      [13, 103],
    ]);
    const some = columns([
      [10, 50],
      [11, 50.5],
      [12, 51],
      [13, 103],
    ]);
    expect(compare({ fetched: some, stored: old })).toMatchObject({ mismatch: null, unchanged: 1 });
    const volumes = columns([
      [10, 100],
      [11, 101],
      [12, 102],
      [13, 103],
    ]);
    volumes.volume.fill(99);
    expect(compare({ fetched: volumes, stored: old })).toMatchObject({ mismatch: null });
    expect(compare({ fetched: volumes, stored: old }).changed).toHaveLength(4);
  });
});
