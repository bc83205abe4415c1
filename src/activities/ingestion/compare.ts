import type { BarColumns } from '../../domain/bars.ts';
import { BAR_STATE, type StoredBars } from '../../db/queries/bars.ts';

/** Agreement of prices after a conversion between bases: cents were rounded before and after. */
const CONVERTED_TOLERANCE = 1e-3;
/** Rows from which a constant ratio is no chance. */
const RATIO_ROWS = 3;

/** What the fetched rows of one symbol mean for the stored ones; rows are indexes into `fetched`. */
export type SymbolDiff = {
  fresh: number[];
  changed: { row: number; revision: number }[];
  unchanged: number;
  /** Why the series cannot be continued; nothing of it may be stored then. */
  mismatch: string | null;
};

export type CompareInput = {
  fetched: BarColumns;
  /** 1 for each fetched row that may be stored. */
  usable: Uint8Array;
  stored: StoredBars | undefined;
  /** False: a stored row stands whatever is fetched (a replayed night). */
  revise: boolean;
  /** True if the fetched row is final by now. */
  isFinal: (epochDay: number) => boolean;
  /**
   * How a stored row is compared: factor from the fetched basis to the stored one, or null to leave it
   * alone (another provider's final bar stands).
   */
  factorTo: (sourceId: number, epochDay: number) => number | null;
};

/** Compares without writing: both sides ascend by date, so one walk is enough. */
export function compareBars(input: CompareInput): SymbolDiff {
  const { fetched, usable, stored } = input;
  const diff: SymbolDiff = { fresh: [], changed: [], unchanged: 0, mismatch: null };
  const storedDays = stored?.bars.epochDays ?? new Int32Array(0);
  const ratios: number[] = [];
  let at = 0;
  for (let row = 0; row < fetched.epochDays.length; row += 1) {
    if (usable[row] !== 1) continue;
    const day = fetched.epochDays[row] ?? 0;
    while (at < storedDays.length && (storedDays[at] ?? 0) < day) at += 1;
    if (stored === undefined || storedDays[at] !== day) {
      diff.fresh.push(row);
      continue;
    }
    if (!input.revise) {
      diff.unchanged += 1;
      continue;
    }
    const factor = input.factorTo(stored.sourceIds[at] ?? 0, day);
    const same = factor === null || sameRow({ fetched, row, stored: stored.bars, at, factor });
    const finalized = stored.states[at] === BAR_STATE.provisional && input.isFinal(day);
    if (same && !finalized) {
      diff.unchanged += 1;
      continue;
    }
    if (!same) {
      ratios.push(
        ((fetched.close[row] ?? Number.NaN) * (factor ?? 1)) / (stored.bars.close[at] ?? Number.NaN),
      );
    }
    diff.changed.push({ row, revision: stored.revisions[at] ?? 0 });
  }
  // One agreeing row refutes a change of basis.
  diff.mismatch = diff.unchanged === 0 ? constantRatio(ratios) : null;
  return diff;
}

function sameRow(input: {
  fetched: BarColumns;
  row: number;
  stored: BarColumns;
  at: number;
  factor: number;
}): boolean {
  const { fetched, row, stored, at, factor } = input;
  if (factor === 1) {
    return (
      equal(fetched.close[row], stored.close[at]) &&
      equal(fetched.volume[row], stored.volume[at]) &&
      equal(fetched.open[row], stored.open[at]) &&
      equal(fetched.high[row], stored.high[at]) &&
      equal(fetched.low[row], stored.low[at])
    );
  }
  return (
    near((fetched.close[row] ?? Number.NaN) * factor, stored.close[at]) &&
    near((fetched.open[row] ?? Number.NaN) * factor, stored.open[at]) &&
    near((fetched.high[row] ?? Number.NaN) * factor, stored.high[at]) &&
    near((fetched.low[row] ?? Number.NaN) * factor, stored.low[at])
  );
}

/** Equal numbers, or null on both sides. */
function equal(a: number | undefined, b: number | undefined): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}

function near(a: number, b: number | undefined): boolean {
  return equal(a, b) || Math.abs(a - (b ?? Number.NaN)) <= CONVERTED_TOLERANCE * Math.abs(a);
}

/** A whole overlap that is off by one factor is an action nobody told us of, not so many revisions. */
function constantRatio(ratios: readonly number[]): string | null {
  if (ratios.length < RATIO_ROWS) return null;
  const low = Math.min(...ratios);
  const high = Math.max(...ratios);
  if (high - low > CONVERTED_TOLERANCE * high || Math.abs(low - 1) <= CONVERTED_TOLERANCE) return null;
  return `all ${ratios.length} known sessions differ by the factor ${low.toFixed(6)}: a split that is not in the data?`;
}
