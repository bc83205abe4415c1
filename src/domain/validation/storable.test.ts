import { expect, it } from 'vitest';
import { whyNotStorable } from './storable.ts';

const row = { open: 10, high: 11, low: 9, close: 10.5, volume: 100 };

it('a whole row can be stored, one with prices out of order too', () => {
  expect(whyNotStorable(row)).toBeNull();
  expect(whyNotStorable({ ...row, volume: 0 })).toBeNull();
  expect(whyNotStorable({ ...row, high: 9, low: 11 })).toBeNull();
});

it.each([
  [{ close: null }, 'it has no close'],
  [{ open: Number.NaN }, 'it has no open'],
  [{ high: Number.POSITIVE_INFINITY }, 'it has no high'],
  [{ low: 0 }, 'its low is 0'],
  [{ close: -1 }, 'its close is -1'],
  [{ volume: null }, 'it has no volume'],
  [{ volume: -5 }, 'its volume is -5'],
])('%o cannot be a bar', (change, reason) => {
  expect(whyNotStorable({ ...row, ...change })).toBe(reason);
});
