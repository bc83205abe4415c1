import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { followNight } from './follow.ts';
import { createNotes } from './notes.ts';

/** As a pipe: lines, no terminal. */
function pipe(): NodeJS.WriteStream {
  return Object.assign(new PassThrough(), { isTTY: false, columns: 80 }) as unknown as NodeJS.WriteStream;
}

function options(change: { closedAfter: number }) {
  let looks = 0;
  return {
    readReport: async () => null,
    readProgress: async () => new Map(),
    isClosed: async () => {
      looks += 1;
      return looks > change.closedAfter;
    },
    readFailure: async () => new Error('nightly/x ended: NightRefused: disk full'),
    output: pipe(),
    now: () => 0,
    signal: new AbortController().signal,
    notes: createNotes(),
    waitForReview: false,
    reviewHint: () => [],
  };
}

it('ends with the failure of a night that ended without a row, and waits while it runs', async () => {
  const startedAt = performance.now();
  await expect(followNight(options({ closedAfter: 1 }))).rejects.toThrow('disk full');
  expect(performance.now() - startedAt).toBeGreaterThan(400);
});
