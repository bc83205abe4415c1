import { describe, expect, it } from 'vitest';
import { queueService } from './pollers.ts';

const NOW = Date.parse('2026-03-03T12:00:00Z');
const ago = (seconds: number): number => NOW - seconds * 1000;
const ours = 'ml-1:4711@desk';

describe('a queue', () => {
  it.each([
    ['of a worker that beats', [{ identity: ours, askedMs: ago(60) }], 2, [ours], 2],
    ['of one that was killed after it had asked', [{ identity: ours, askedMs: ago(20) }], 15, [], 15],
    ['of one that asked later than it last beat', [{ identity: ours, askedMs: ago(14) }], 30, [ours], 14],
    [
      'of another process that has no login for beats',
      [{ identity: 'far', askedMs: ago(89) }],
      15,
      ['far'],
      15,
    ],
    ['of one that has gone, and never beat', [{ identity: 'far', askedMs: ago(90) }], null, [], 90],
    ['that nobody asks any more', [], 600, [], 600],
    ['that nobody has ever asked', [], null, [], null],
  ])('%s', (_which, pollers, beatAgo, workers, heardAgo) => {
    const beats = beatAgo === null ? [] : [{ process: 'ml', host: 'desk', pid: 4711, beatMs: ago(beatAgo) }];
    expect(queueService('ml', { pollers, beats, nowMs: NOW })).toEqual({
      queue: 'ml',
      workers,
      heardMs: heardAgo === null ? null : ago(heardAgo),
    });
  });

  it('is of its own kind of worker', () => {
    const beats = [{ process: 'worker', host: 'desk', pid: 1, beatMs: NOW }];
    expect(queueService('ml', { pollers: [], beats, nowMs: NOW }).heardMs).toBeNull();
    expect(queueService('market-data', { pollers: [], beats, nowMs: NOW }).heardMs).toBe(NOW);
  });
});
