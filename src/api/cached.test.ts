import { describe, expect, it, vi } from 'vitest';
import { cached } from './cached.ts';

describe('a cached answer', () => {
  it('is asked for once at a time, kept for its age, and a failure is not kept', async () => {
    const waiting: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
    const read = cached(
      50,
      () => new Promise<number>((resolve, reject) => void waiting.push({ resolve, reject })),
    );
    const first = [read(), read()];
    expect(waiting).toHaveLength(1);
    waiting[0]?.reject(new Error('down'));
    await Promise.all(first.map((one) => expect(one).rejects.toThrow('down')));
    const second = [read(), read()];
    expect(waiting).toHaveLength(2);
    waiting[1]?.resolve(7);
    expect(await Promise.all([...second, read()])).toEqual([7, 7, 7]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    void read();
    expect(waiting).toHaveLength(3);
  });

  it('is forgotten on demand, also while it is being asked for', async () => {
    const waiting: ((value: string) => void)[] = [];
    const read = cached(60_000, () => new Promise<string>((resolve) => void waiting.push(resolve)));
    const early = read();
    read.forget();
    const late = read();
    waiting[1]?.('paused');
    expect(await late).toBe('paused');
    waiting[0]?.('on');
    expect(await early).toBe('on');
    expect(await read()).toBe('paused');
    expect(waiting).toHaveLength(2);
  });

  it('is asked for anew where the question stays without an answer', () => {
    vi.useFakeTimers();
    try {
      let asked = 0;
      const read = cached(1_000, () => new Promise<never>(() => void (asked += 1)));
      void read();
      vi.advanceTimersByTime(9_999);
      void read();
      expect(asked).toBe(1);
      vi.advanceTimersByTime(1);
      void read();
      expect(asked).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });
});
