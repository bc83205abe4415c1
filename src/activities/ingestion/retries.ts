import { Context } from '@temporalio/activity';
import { type ProviderError, RateLimitedError } from '../../providers/errors.ts';
import { failure } from '../errors.ts';

/** True when Temporal will not start this activity again by itself. */
export function isFinalAttempt(): boolean {
  const { attempt, retryPolicy } = Context.current().info;
  const limit = retryPolicy?.maximumAttempts;
  return limit !== undefined && limit > 0 && attempt >= limit;
}

/** The failure of an activity some of whose symbols another attempt may cure; it waits as long as a source asks for. */
export function retryLater(errors: readonly ProviderError[]): Error {
  const limited = errors.filter((error): error is RateLimitedError => error instanceof RateLimitedError);
  const words = `${errors.length} symbols are to be asked again: ${errors
    .slice(0, 3)
    .map((error) => error.message)
    .join('; ')}`;
  if (limited.length === 0) return failure('ProviderTransient', words);
  const waitMs = Math.max(...limited.map((error) => error.retryAfterMs));
  return failure('ProviderRateLimited', words, { nextRetryDelayMs: waitMs });
}
