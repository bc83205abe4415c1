import { expect, it } from 'vitest';
import { levelOf, nearestFirst } from './drift-levels.ts';

it('shows how near a series is to its bound, and an alarm by a sign too', () => {
  const stable = (psi: number | null, psiCritical: number | null = 0.2) =>
    levelOf({ status: 'stable', psi, psiCritical }).tone;
  expect([
    stable(0),
    stable(0.05),
    stable(0.1),
    stable(0.16),
    stable(0.5),
    stable(null),
    stable(1, null),
  ]).toEqual(['h0', 'h1', 'h2', 'h3', 'h3', 'h0', 'h0']);
  expect(levelOf({ status: 'alarm', psi: 0.1, psiCritical: 0.2 })).toEqual({
    tone: 'h5',
    sign: '!',
    words: 'alarm',
  });
  expect(levelOf({ status: 'not_enough_data', psi: null, psiCritical: null }).sign).toBe('·');
});

it('puts alarms first, then what is nearest to its bound, then what is not judged', () => {
  const row = (status: string, psi: number | null, psiCritical: number | null = 0.2) => ({
    status,
    psi,
    psiCritical,
  });
  const rows = [
    row('not_monitored', 9, null),
    row('stable', null),
    row('stable', 0.1),
    row('not_enough_data', 5),
    row('stable', 0.1, 0.11),
    row('alarm', 0.21),
  ];
  expect(nearestFirst(rows).map((one) => rows.indexOf(one))).toEqual([5, 4, 2, 1, 3, 0]);
});
