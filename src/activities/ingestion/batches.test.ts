import { describe, expect, it } from 'vitest';
import { MAX_UNIVERSE_SYMBOLS } from '../../domain/universe.ts';
import { cutBatches, MAX_BATCHES, MAX_PARALLEL_BATCHES } from './batches.ts';

const symbols = (count: number): string[] => Array.from({ length: count }, (_, i) => `S${String(i)}`);

describe('cutBatches', () => {
  it('gives each symbol once, in order, as the configuration says', () => {
    const plan = cutBatches(symbols(130), { batchSymbols: 64, parallelBatches: 2 });
    expect(plan.batches.map((batch) => [batch.index, batch.symbols.length])).toEqual([
      [0, 64],
      [1, 64],
      [2, 2],
    ]);
    expect(plan.batches.flatMap((batch) => batch.symbols)).toEqual(symbols(130));
    expect(plan).toMatchObject({ symbols: 130, parallelBatches: 2 });
    expect(cutBatches([], { batchSymbols: 64, parallelBatches: 2 }).batches).toEqual([]);
  });

  it('makes no more of them, nor more at a time, than one history holds', () => {
    const all = symbols(MAX_UNIVERSE_SYMBOLS);
    const plan = cutBatches(all, { batchSymbols: 1, parallelBatches: 5_000 });
    expect(plan.batches.length).toBeLessThanOrEqual(MAX_BATCHES);
    expect(plan.batches.flatMap((batch) => batch.symbols)).toEqual(all);
    expect(plan.parallelBatches).toBe(MAX_PARALLEL_BATCHES);
  });
});
