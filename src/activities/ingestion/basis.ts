import { type EpochDay, epochDayOf, type PriceBasis } from '../../domain/bars.ts';
import type { SplitAction } from '../../domain/market-data.ts';

/**
 * Factor that brings a price of a day from one basis to another (volumes take its inverse): the splits
 * that one includes and the other does not. Null if the two treat dividends differently.
 */
export function basisFactor(input: {
  from: PriceBasis;
  to: PriceBasis;
  splits: readonly SplitAction[];
}): ((epochDay: EpochDay) => number) | null {
  const { from, to } = input;
  if (from.dividends !== to.dividends) return null;
  if (from.dividends === 'adjusted' && from.asOf !== to.asOf) return null;
  const actions = input.splits.map((split) => ({
    day: epochDayOf(split.exDate),
    ratio: split.newShares / split.oldShares,
  }));
  const fromDay = includedThrough(from);
  const toDay = includedThrough(to);
  return (day) => {
    let factor = 1;
    for (const action of actions) {
      if (action.day <= day) continue;
      if (action.day <= fromDay) factor *= action.ratio;
      if (action.day <= toDay) factor /= action.ratio;
    }
    return factor;
  };
}

/** Last day whose splits are in the prices; a source that names no day has all there were. */
function includedThrough(basis: PriceBasis): number {
  if (basis.splits === 'asTraded') return Number.NEGATIVE_INFINITY;
  return basis.asOf === null ? Number.POSITIVE_INFINITY : epochDayOf(basis.asOf);
}
