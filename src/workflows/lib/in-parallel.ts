import { CancellationScope } from '@temporalio/workflow';

/** More pending activities than this help no worker, but grow the history in bursts. */
export const MAX_PENDING = 64;

/**
 * Runs `work` over all items, at most `limit` at a time, results in the items' order. The first failure
 * cancels the others and is thrown when they have ended.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  return CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const results = new Map<number, R>();
    const progress = { next: 0, failed: false };
    const lane = async (): Promise<void> => {
      while (progress.next < items.length && !progress.failed) {
        const index = progress.next;
        progress.next += 1;
        const item = items[index];
        if (item !== undefined) results.set(index, await work(item, index));
      }
    };
    const lanes = Array.from({ length: Math.min(Math.max(1, limit), items.length) }, lane);
    try {
      await Promise.all(lanes);
    } catch (error) {
      progress.failed = true;
      scope.cancel();
      await Promise.allSettled(lanes);
      throw error;
    }
    return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
  });
}

/** Two kinds of work at the same time; the failure of one cancels the other. */
export async function sideBySide<A, B>(first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
  return CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const both = [first(), second()] as const;
    try {
      return await Promise.all(both);
    } catch (error) {
      scope.cancel();
      await Promise.allSettled(both);
      throw error;
    }
  });
}
