import { expect, it } from 'vitest';
import { askedBy } from './asked-by.ts';

it('names the person who asked, else what started it', () => {
  expect(askedBy({ trigger: 'manual', requestedBy: 'Ann' })).toBe('Ann');
  expect(askedBy({ trigger: 'backfill', requestedBy: 'Ann' })).toBe('Ann');
  expect(askedBy({ trigger: 'schedule', requestedBy: null })).toBe('the schedule');
  expect(askedBy({ trigger: 'watchdog', requestedBy: null })).toBe('the watchdog');
  expect(askedBy({ trigger: 'cli', requestedBy: null })).toBe('hand');
});
