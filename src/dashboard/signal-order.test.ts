import { describe, expect, it } from 'vitest';
import { edgeOf, orderOf, sortSignals } from './signal-order.ts';

const row = (symbol: string, rank: number | null, probability: number | null) => ({
  symbol,
  rank,
  probability,
  baseRate: probability === null ? null : 0.5,
  side: probability === null ? ('not_scored' as const) : ('hold' as const),
});
const ROWS = [row('B', 2, 0.5), row('GE', null, null), row('A', 1, 0.6), row('C', 3, 0.5)];
const symbols = (sort: string, direction?: string): string =>
  sortSignals(ROWS, orderOf(sort, direction))
    .map(({ symbol }) => symbol)
    .join(' ');

describe('the order of signals', () => {
  it('is by rank unless a known one is asked for; what has no value is last both ways', () => {
    expect(symbols('rank')).toBe('A B C GE');
    expect(symbols('rank', 'down')).toBe('C B A GE');
    expect(symbols('; drop table')).toBe('A B C GE');
    expect(symbols('symbol', 'down')).toBe('GE C B A');
  });

  it('puts equal values in the order of their symbols', () => {
    expect(symbols('probability', 'down')).toBe('A B C GE');
    expect(symbols('probability')).toBe('B C A GE');
    expect(symbols('edge', 'down')).toBe('A B C GE');
    expect(edgeOf(row('A', 1, 0.6))).toBeCloseTo(0.1);
    expect(symbols('signal')).toBe('A B C GE');
  });
});
