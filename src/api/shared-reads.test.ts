import { describe, expect, it, vi } from 'vitest';
import { sharedReads } from './shared-reads.ts';

/** Reads that end when the test says so. */
function scene() {
  const begun: { key: string; resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const shared = sharedReads<string>();
  const ask = (key: string): Promise<string> =>
    shared(key, () => new Promise((resolve, reject) => void begun.push({ key, resolve, reject })));
  return { begun, ask, settled: () => new Promise((resolve) => setImmediate(resolve)) };
}

describe('a shared read', () => {
  it('is never one that began before it was asked for', async () => {
    const { begun, ask, settled } = scene();
    const first = ask('status');
    const later = [ask('status'), ask('status')];
    expect(begun).toHaveLength(1);
    begun[0]?.resolve('before');
    await settled();
    expect(begun).toHaveLength(2);
    const last = ask('status');
    begun[1]?.resolve('meanwhile');
    await settled();
    begun[2]?.resolve('after');
    expect(await Promise.all([first, ...later, last])).toEqual(['before', 'meanwhile', 'meanwhile', 'after']);
    void ask('status');
    expect(begun).toHaveLength(4);
  });

  it('belongs to its key', async () => {
    const { begun, ask } = scene();
    const both = [ask('one'), ask('other')];
    for (const { key, resolve } of begun) resolve(key);
    expect(await Promise.all(both)).toEqual(['one', 'other']);
  });

  it('that fails is not kept for those who come after it', async () => {
    const { begun, ask, settled } = scene();
    const first = ask('status');
    const next = ask('status');
    begun[0]?.reject(new Error('down'));
    await expect(first).rejects.toThrow('down');
    await settled();
    begun[1]?.resolve('up');
    expect(await next).toBe('up');
  });

  it('that never ends does not keep those after it waiting', async () => {
    vi.useFakeTimers();
    try {
      const { begun, ask } = scene();
      void ask('status');
      await vi.advanceTimersByTimeAsync(4_000);
      const next = ask('status');
      await vi.advanceTimersByTimeAsync(5_999);
      expect(begun).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(begun).toHaveLength(2);
      begun[1]?.resolve('up');
      expect(await next).toBe('up');
      // Its late end is not that of the read which runs by then.
      void ask('status');
      begun[0]?.reject(new Error('reset'));
      const last = ask('status');
      begun[2]?.resolve('still up');
      await vi.advanceTimersByTimeAsync(0);
      begun[3]?.resolve('up at last');
      expect(await last).toBe('up at last');
    } finally {
      vi.useRealTimers();
    }
  });
});
