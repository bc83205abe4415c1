import { expect, it } from 'vitest';

import { nightHasWork } from './night-work.ts';

const names = ['first', 'second', 'other'] as const;
const tasks = (off: readonly string[], second: ('first' | 'second' | 'other')[] = ['first']) => ({
  first: { enabled: !off.includes('first'), dependsOn: [] },
  second: { enabled: !off.includes('second'), dependsOn: second },
  other: { enabled: !off.includes('other'), dependsOn: ['second' as const] },
});

it('has work while one task can begin', () => {
  expect(nightHasWork(names, tasks([]))).toBe(true);
  expect(nightHasWork(names, tasks(['second', 'other']))).toBe(true);
  expect(nightHasWork(names, tasks(['first']))).toBe(false);
  expect(nightHasWork(names, tasks(['first'], []))).toBe(true);
  expect(nightHasWork(names, tasks(['first', 'second', 'other'], []))).toBe(false);
});
