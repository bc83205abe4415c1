import { describe, expect, it } from 'vitest';
import { type PointerDecision, standingVersions } from './model-history.ts';

/** `A` accepted by the gate, `+A` promoted by a person, `-A` rolled back to A. */
function history(...steps: string[]): string[] {
  return standingVersions(
    steps.map((step): PointerDecision => {
      if (step.startsWith('+')) return { version: step.slice(1), kind: 'promote' };
      if (step.startsWith('-')) return { version: step.slice(1), kind: 'rollback' };
      return { version: step, kind: 'gate' };
    }),
  );
}

describe('standingVersions', () => {
  it('is what was decided, the current one last', () => {
    expect(history()).toEqual([]);
    expect(history('A', 'B', '+C')).toEqual(['A', 'B', 'C']);
  });

  it('goes back one decision with each rollback, never to and fro', () => {
    expect(history('A', 'B', 'C', '-B')).toEqual(['A', 'B']);
    expect(history('A', 'B', 'C', '-B', '-A')).toEqual(['A']);
    expect(history('A', 'B', '-A', 'D', '-A')).toEqual(['A']);
  });

  it('undoes the promotion of an older version without losing what was before it', () => {
    expect(history('A', 'B', '+A')).toEqual(['A', 'B', 'A']);
    expect(history('A', 'B', '+A', '-B')).toEqual(['A', 'B']);
    expect(history('A', 'B', '+A', '-B', '-A')).toEqual(['A']);
  });

  it('a version that was kept takes away what stood for nights of the past only', () => {
    expect(history('A', 'A')).toEqual(['A']);
    expect(history('A', 'between', 'A', 'C')).toEqual(['A', 'C']);
  });

  it('a rollback to what stands nowhere replaces the one it undid', () => {
    expect(history('A', 'B', '-X')).toEqual(['A', 'X']);
    expect(history('-X')).toEqual(['X']);
  });
});
