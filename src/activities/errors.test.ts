import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { toFailure } from './errors.ts';

const withCode = (code: string, more: Record<string, string> = {}) =>
  Object.assign(new Error(`failed with ${code}`), { code, ...more });

it.each([
  ['08006', 'DatabaseUnavailable', false],
  ['57P01', 'DatabaseUnavailable', false],
  ['40P01', 'DatabaseUnavailable', false],
  ['ECONNREFUSED', 'DatabaseUnavailable', false],
  ['42703', 'DatabaseRejected', true],
  ['42501', 'DatabaseRejected', true],
  ['28P01', 'DatabaseRejected', true],
  ['23514', 'DatabaseRejected', true],
  ['22003', 'DatabaseRejected', true],
])('%s becomes %s', (code, type, nonRetryable) => {
  const failed = toFailure(withCode(code));
  expect(failed).toBeInstanceOf(ApplicationFailure);
  expect(failed).toMatchObject({ type, nonRetryable });
});

it.each(['23505', '42P01', '57014', 'XX000'])(
  '%s stays as it is: another attempt may meet another state',
  (code) => {
    const error = withCode(code);
    expect(toFailure(error)).toBe(error);
  },
);

it('takes a missing socket for an outage, a missing file for what it is', () => {
  expect(toFailure(withCode('ENOENT', { syscall: 'connect' }))).toMatchObject({
    type: 'DatabaseUnavailable',
  });
  const noFile = withCode('ENOENT', { syscall: 'open' });
  expect(toFailure(noFile)).toBe(noFile);
});
