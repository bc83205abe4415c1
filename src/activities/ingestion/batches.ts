import type { IngestionPlan } from '../../contracts/activities.ts';

/** Each is six events of the workflow's history at most: 3,000 of the 4,096 at which the server wants a new run. */
export const MAX_BATCHES = 500;
/** More in flight than this help no source, and a workflow may have 2,000. */
export const MAX_PARALLEL_BATCHES = 64;

/**
 * Cuts symbols into batches of `batchSymbols`, larger ones where these would be more than a history can hold; each
 * symbol is in one of them, in the given order.
 */
export function cutBatches(
  symbols: readonly string[],
  settings: { batchSymbols: number; parallelBatches: number },
): IngestionPlan {
  const size = Math.max(settings.batchSymbols, Math.ceil(symbols.length / MAX_BATCHES));
  const batches = Array.from({ length: Math.ceil(symbols.length / size) }, (_, index) => ({
    index,
    symbols: symbols.slice(index * size, (index + 1) * size),
  }));
  const parallelBatches = Math.min(settings.parallelBatches, MAX_PARALLEL_BATCHES);
  return { batches, symbols: symbols.length, parallelBatches };
}
