import type { StoredSignal } from '../db/queries/predictions.ts';

export const SORTS = ['rank', 'symbol', 'signal', 'probability', 'edge'] as const;
export type SortKey = (typeof SORTS)[number];
export type Order = { sort: SortKey; descending: boolean };

type Sortable = Pick<StoredSignal, 'symbol' | 'rank' | 'side' | 'probability' | 'baseRate'>;

/** The order a link asks for; by rank where it asks for none that there is. */
export function orderOf(sort: string | undefined, direction: string | undefined): Order {
  const known = SORTS.find((one) => one === sort) ?? 'rank';
  return { sort: known, descending: direction === 'down' };
}

/** How far a probability is from the base rate; null for a symbol that was not scored. */
export function edgeOf({ probability, baseRate }: Pick<Sortable, 'probability' | 'baseRate'>): number | null {
  return probability === null || baseRate === null ? null : probability - baseRate;
}

/** Rows in an order; those without the value come last whichever way it goes, equal ones by symbol. */
export function sortSignals<Row extends Sortable>(rows: readonly Row[], { sort, descending }: Order): Row[] {
  const valueOf = (row: Row): number | string | null => {
    if (sort === 'symbol') return row.symbol;
    if (sort === 'signal') return row.side;
    if (sort === 'edge') return edgeOf(row);
    return sort === 'rank' ? row.rank : row.probability;
  };
  return rows.toSorted((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    const way = left < right ? -1 : left > right ? 1 : 0;
    return way === 0 ? (a.symbol < b.symbol ? -1 : 1) : descending ? -way : way;
  });
}
