import { isGrpcServiceError } from '@temporalio/client';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';

import { classifyDatabaseError } from '../../db/errors.ts';
import { toFailure } from '../errors.ts';

/** Words of these classes are written for people and say by themselves whose fault it is. */
const WRITTEN_FOR_PEOPLE = ['InvalidInput', 'InvalidConfiguration'];
/** Names of the machine for what is scarce now and may be there in a moment. */
const PASSING_CODES = new Set(['EAGAIN', 'EBUSY', 'EMFILE', 'ENFILE', 'ENOMEM', 'EINTR', 'EIO', 'ENOSPC']);

/**
 * Why a run is refused, for its row, if planning failed in a way that the same plan would meet again; null for
 * what passes (database, Temporal, a provider that hiccups): that is tried again.
 */
export function refusalOf(error: unknown): string | null {
  const failure = toFailure(error);
  if (failure instanceof ApplicationFailure) {
    if (failure.nonRetryable !== true) return null;
    const type = failure.type ?? 'Error';
    return WRITTEN_FOR_PEOPLE.includes(type) ? failure.message : `${type}: ${failure.message}`;
  }
  if (failure instanceof TemporalFailure || isPassing(failure)) return null;
  return failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure);
}

function isPassing(error: unknown): boolean {
  if (isGrpcServiceError(error) || classifyDatabaseError(error) !== null) return true;
  if (!(error instanceof Error)) return false;
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return true;
  return 'code' in error && typeof error.code === 'string' && PASSING_CODES.has(error.code);
}
