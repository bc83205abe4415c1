import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { ArtifactDamagedError, ArtifactMissingError } from '../artifacts/store.ts';
import { ConfigError } from '../contracts/schemas/config.ts';
import { FAILURE_TYPES, type FailureType } from '../contracts/wire/failures.ts';
import { classifyDatabaseError, SupersededAttempt } from '../db/errors.ts';
import { CalendarRangeError } from '../domain/calendar.ts';
import { ProviderError, type ProviderErrorCode, RateLimitedError } from '../providers/errors.ts';

/** A failure as it goes over the wire: its class decides whether an attempt may repeat it. */
export function failure(
  type: FailureType,
  message: string,
  options: { cause?: unknown; details?: unknown; nextRetryDelayMs?: number } = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: FAILURE_TYPES[type] !== 'retry',
    ...(options.cause instanceof Error ? { cause: options.cause } : {}),
    ...(options.details === undefined ? {} : { details: [options.details] }),
    ...(options.nextRetryDelayMs === undefined ? {} : { nextRetryDelay: options.nextRetryDelayMs }),
  });
}

/** Class on the wire of each failure of a provider that concerns the whole source. */
const PROVIDER_FAILURES = {
  notFound: 'ProviderNotFound',
  rateLimited: 'ProviderRateLimited',
  transient: 'ProviderTransient',
  badData: 'ProviderBadData',
  actionRequired: 'ProviderBadData',
} as const satisfies Record<ProviderErrorCode, FailureType>;

function providerFailure(error: ProviderError): ApplicationFailure {
  return failure(PROVIDER_FAILURES[error.code], `${error.provider}: ${error.message}`, {
    cause: error,
    ...(error instanceof RateLimitedError ? { nextRetryDelayMs: error.retryAfterMs } : {}),
  });
}

/** Gives an error its class on the wire; what is none of the known kinds stays as it is. */
export function toFailure(error: unknown): unknown {
  if (error instanceof TemporalFailure) return error;
  if (error instanceof SupersededAttempt) {
    return failure('SupersededAttempt', error.message, { cause: error });
  }
  if (error instanceof ArtifactMissingError) {
    return failure('ArtifactMissing', error.message, { cause: error });
  }
  if (error instanceof ArtifactDamagedError) return failure('DataDefect', error.message, { cause: error });
  if (error instanceof ProviderError) return providerFailure(error);
  if (error instanceof ConfigError) {
    return failure('InvalidConfiguration', error.message, { cause: error });
  }
  if (error instanceof CalendarRangeError) return failure('InvalidInput', error.message, { cause: error });
  return databaseFailure(error) ?? error;
}

function databaseFailure(error: unknown): ApplicationFailure | null {
  const message = error instanceof Error ? error.message : String(error);
  switch (classifyDatabaseError(error)) {
    case 'transient':
      return failure('DatabaseUnavailable', message, { cause: error });
    case 'refused':
    case 'rejected':
      return failure('DatabaseRejected', `the database rejects it: ${message}`, { cause: error });
    default:
      return null;
  }
}

type Activities = Record<string, (input: never) => Promise<unknown>>;

/** The same activities, their errors classified: the one place where an error meets Temporal. */
export function classifyErrors<T extends Activities>(activities: T): T {
  const wrapped = Object.entries(activities).map(([name, run]) => [
    name,
    async (input: never) => {
      try {
        return await run(input);
      } catch (error) {
        throw toFailure(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
