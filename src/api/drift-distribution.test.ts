import { expect, it } from 'vitest';
import { histogramOf } from './drift-distribution.ts';

const night = (sessionDate: string, ...values: (number | null)[]) => ({ sessionDate, values });

it('counts values into the bins of a baseline, edges belonging to the bin above', () => {
  const sessions = [night('2018-02-07', -1, 0), night('2018-02-06', 0.5, 1)];
  expect(histogramOf(sessions, [0, 1], false)).toEqual({
    firstSession: '2018-02-06',
    lastSession: '2018-02-07',
    sessions: 2,
    rows: 4,
    missing: null,
    shares: [0.25, 0.5, 0.25],
  });
  expect(histogramOf([night('2018-02-07', 3)], [], false)?.shares).toEqual([1]);
});

it('counts what is missing where the baseline does, and says where there is nothing', () => {
  const half = [night('2018-02-07', Number.NaN, 3)];
  expect(histogramOf(half, [0], true)).toMatchObject({ missing: 0.5, shares: [0, 0.5] });
  expect(histogramOf(half, [0], false)).toMatchObject({ missing: null, shares: [0, 1] });
  expect(histogramOf([night('2018-02-07', Number.NaN)], [0], true)).toBeNull();
  expect(histogramOf([night('2018-02-07', null)], [0], true)).toBeNull();
  expect(histogramOf([], [0], true)).toBeNull();
});
