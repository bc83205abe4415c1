import { describe, expect, it } from 'vitest';
import type { NightState } from '../contracts/wire/names.ts';
import { exitCodeOf, worstExitCode } from './exit-codes.ts';

const CODES: Record<NightState, number> = {
  succeeded: 0,
  no_session: 0,
  disabled: 0,
  failed: 1,
  skipped: 1,
  pending: 1,
  waiting: 1,
  running: 1,
  partial: 3,
  awaiting_review: 4,
  cancelled: 130,
};

describe('exit code of a night', () => {
  it.each(Object.entries(CODES))('%s: %i', (state, code) => {
    const found = Object.keys(CODES).find((known): known is NightState => known === state);
    expect(found && exitCodeOf(found)).toBe(code);
  });
});

describe('exit code of several nights', () => {
  it.each([
    [[], 0],
    [[0, 0], 0],
    [[0, 3, 0], 3],
    [[3, 4, 0], 4],
    [[4, 130, 3], 130],
    [[130, 4, 3, 1], 1],
  ])('%j: %i', (codes, worst) => {
    expect(worstExitCode(codes)).toBe(worst);
    expect(worstExitCode(codes.toReversed())).toBe(worst);
  });
});
