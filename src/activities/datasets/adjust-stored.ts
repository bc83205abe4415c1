import type { BarSource, StoredBars } from '../../db/queries/bars.ts';
import { adjustBars, type AdjustInput, reinvestDividends } from '../../domain/adjustment.ts';
import { AS_TRADED, type BarColumns, type PriceBasis, priceBasisKey } from '../../domain/bars.ts';

export type Adjusted = Pick<BarColumns, 'open' | 'high' | 'low' | 'close' | 'volume'>;

/**
 * Date of the share units in which a night's bars are compared: its session, or a later date of a basis they already
 * stand on. A unit is no knowledge: every feature and return is the same in any of them.
 */
export function shareUnits(sources: Iterable<BarSource>, session: string): string {
  let units = session;
  for (const { basis } of sources) if (basis.asOf !== null && basis.asOf > units) units = basis.asOf;
  return units;
}

type StoredInput = {
  stored: StoredBars;
  sources: ReadonlyMap<number, BarSource>;
  actions: AdjustInput['actions'];
  units: string;
};

/**
 * One symbol's stored bars in the share units of a date. Rows of several sources may stand on different bases: each
 * is adjusted from its own, with the splits up to that date.
 */
export function adjustStored(input: StoredInput): Adjusted {
  const { stored, sources, actions, units } = input;
  const groups = rowsByBasis(stored, sources);
  const [only] = groups;
  if (only === undefined) return stored.bars;
  const adjust = (basis: PriceBasis): Adjusted =>
    adjustBars({ bars: stored.bars, basis, actions, asOf: units }).bars;
  if (groups.length === 1) return adjust(only.basis);
  const mixed = copyOf(stored.bars);
  for (const { basis, rows } of groups) {
    const adjusted = adjust(basis);
    for (const row of rows) {
      for (const field of ['open', 'high', 'low', 'close', 'volume'] as const) {
        mixed[field][row] = adjusted[field][row] ?? Number.NaN;
      }
    }
  }
  return mixed;
}

/**
 * The same with dividends reinvested: prices before an ex date lose the dividend's share of the last close before it.
 * Rows whose basis holds dividends up to a date lose later ones only. RangeError for a dividend not below the price.
 */
export function adjustStoredTotal(input: StoredInput): Adjusted {
  const { stored, sources, actions, units } = input;
  const split = { ...stored.bars, ...adjustStored(input) };
  // Amounts in the units of the prices: those are the same whatever basis a row stands on.
  const { dividends } = adjustBars({ bars: stored.bars, basis: AS_TRADED, actions, asOf: units });
  const total = copyOf(split);
  for (const { basis, rows } of rowsByBasis(stored, sources)) {
    const { dividends: kind, asOf } = basis;
    const pending = dividends.filter(({ exDate }) => kind === 'asTraded' || asOf === null || exDate > asOf);
    const reinvested = reinvestDividends(split, pending);
    for (const row of rows) {
      for (const field of ['open', 'high', 'low', 'close'] as const) {
        total[field][row] = reinvested[field][row] ?? Number.NaN;
      }
    }
  }
  return total;
}

function rowsByBasis(
  stored: StoredBars,
  sources: ReadonlyMap<number, BarSource>,
): { basis: PriceBasis; rows: number[] }[] {
  const groups = new Map<string, { basis: PriceBasis; rows: number[] }>();
  const keys = new Map<number, string>();
  for (let row = 0; row < stored.sourceIds.length; row += 1) {
    const id = stored.sourceIds[row] ?? -1;
    const basis = sources.get(id)?.basis ?? AS_TRADED;
    const key = keys.get(id) ?? priceBasisKey(basis);
    keys.set(id, key);
    const group = groups.get(key) ?? { basis, rows: [] };
    groups.set(key, group);
    group.rows.push(row);
  }
  return [...groups.values()];
}

function copyOf({ open, high, low, close, volume }: Adjusted): Adjusted {
  return {
    open: open.slice(),
    high: high.slice(),
    low: low.slice(),
    close: close.slice(),
    volume: volume.slice(),
  };
}
