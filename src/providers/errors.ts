/** What the caller may do about a provider's failure. The list is closed: see `dispositionOf`. */
export type Disposition = 'retryable' | 'notRetryable' | 'needsPerson';

export type ProviderErrorCode = 'notFound' | 'rateLimited' | 'transient' | 'badData' | 'actionRequired';

interface ProviderErrorOptions {
  readonly provider: string;
  readonly symbol?: string | undefined;
  readonly cause?: unknown;
}

/** Base of everything a provider throws or returns as a symbol's failure. */
export abstract class ProviderError extends Error {
  abstract readonly code: ProviderErrorCode;
  readonly provider: string;
  /** Null if the failure concerns the whole source. */
  readonly symbol: string | null;

  constructor(message: string, options: ProviderErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.provider = options.provider;
    this.symbol = options.symbol ?? null;
  }

  get disposition(): Disposition {
    return dispositionOf(this.code);
  }
}

/** The source does not know the symbol (as of the session asked for). Asking again does not help. */
export class NotFoundError extends ProviderError {
  override readonly name = 'NotFoundError';
  readonly code = 'notFound';
}

/** The source asks us to slow down. Ask again after `retryAfterMs`. */
export class RateLimitedError extends ProviderError {
  override readonly name = 'RateLimitedError';
  readonly code = 'rateLimited';
  readonly retryAfterMs: number;

  constructor(message: string, options: ProviderErrorOptions & { readonly retryAfterMs: number }) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Time-out, connection reset, 5xx, a source that is restarting: worth another try. */
export class TransientError extends ProviderError {
  override readonly name = 'TransientError';
  readonly code = 'transient';
}

/** The source answered with something that cannot be read or contradicts itself. */
export class BadDataError extends ProviderError {
  override readonly name = 'BadDataError';
  readonly code = 'badData';
}

/** Only a person can go on: login, second factor, subscription, missing folder. */
export class ActionRequiredError extends ProviderError {
  override readonly name = 'ActionRequiredError';
  readonly code = 'actionRequired';
}

const DISPOSITIONS: Readonly<Record<ProviderErrorCode, Disposition>> = {
  notFound: 'notRetryable',
  rateLimited: 'retryable',
  transient: 'retryable',
  badData: 'notRetryable',
  actionRequired: 'needsPerson',
};

/** The closed classification of provider failures. */
export function dispositionOf(code: ProviderErrorCode): Disposition {
  return DISPOSITIONS[code];
}

/** Turns whatever a provider threw into a ProviderError; unknown faults count as transient. */
export function toProviderError(error: unknown, provider: string): ProviderError {
  if (error instanceof ProviderError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TransientError(`${provider}: ${message}`, { provider, cause: error });
}
