import { ServiceError } from '@temporalio/client';
import { expect, it } from 'vitest';
import { problemOf, stackOf } from './problems.ts';

const refusal = (code: number): Error =>
  new ServiceError('Failed to describe schedule', {
    cause: Object.assign(new Error('the words of the server'), { code, details: '', metadata: {} }),
  });

it.each([
  [14, 'UNAVAILABLE', 'temporal-down'],
  [4, 'DEADLINE_EXCEEDED', 'temporal-down'],
  [1, 'CANCELLED', 'temporal-down'],
  [8, 'RESOURCE_EXHAUSTED', 'temporal-down'],
  [3, 'INVALID_ARGUMENT', 'internal-error'],
] as const)('%i (%s) of the Temporal server is %s', (code, _name, kind) => {
  const { kind: found, message } = problemOf(refusal(code));
  expect(found).toBe(kind);
  expect(message).not.toContain('the words of the server');
});

it('the log has where an error and its causes come from', () => {
  expect(stackOf(refusal(3))).toMatch(
    /Failed to describe schedule\n +at .*\ncaused by: Error: the words of the server\n +at /s,
  );
  expect(stackOf('no error')).toBe('no error');
});
