import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { ConfigError } from '../../contracts/schemas/config.ts';
import { CalendarRangeError } from '../../domain/calendar.ts';
import { RateLimitedError } from '../../providers/errors.ts';
import { refusalOf } from './refusal.ts';

const coded = (code: string, name = 'Error') => Object.assign(new Error('it broke'), { code, name });

describe('what planning cannot do', () => {
  it.each([
    [new CalendarRangeError('1985-01-02 is outside'), '1985-01-02 is outside'],
    [new ConfigError(['a: b']), 'the configuration is not valid:\n  a: b'],
    [ApplicationFailure.nonRetryable('no such universe', 'InvalidInput'), 'no such universe'],
    [ApplicationFailure.nonRetryable('bars differ', 'DataDefect'), 'DataDefect: bars differ'],
    [new RangeError('Invalid time value'), 'RangeError: Invalid time value'],
    [new TypeError('x is undefined'), 'TypeError: x is undefined'],
    [coded('ENOENT'), 'Error: it broke'],
    [coded('23514', 'PostgresError'), 'DatabaseRejected: the database rejects it: it broke'],
    ['a text', 'a text'],
  ])('is refused with class and words: %s', (error, words) => {
    expect(refusalOf(error)).toBe(words);
  });

  it.each([
    coded('ECONNREFUSED'),
    coded('57P01', 'PostgresError'),
    coded('EMFILE'),
    Object.assign(new Error('14 UNAVAILABLE'), { code: 14, details: 'no server', metadata: {} }),
    new RateLimitedError('slow down', { provider: 'p', retryAfterMs: 1000 }),
    new CancelledFailure('shutting down'),
    coded('', 'AbortError'),
  ])('is tried again when it passes: %s', (error) => {
    expect(refusalOf(error)).toBeNull();
  });
});
