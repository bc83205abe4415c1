import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError } from '@temporalio/client';
import { isTransientDatabaseError } from '../db/errors.ts';

/** Longer than the runtime needs to bring a dead server back, recovery included. */
const LIMIT_MS = 120_000;
const PAUSE_MS = 300;
/** gRPC: the server is not there, too slow, or on its way down. */
const TRANSIENT_CODES = new Set([1, 4, 14]);

/**
 * A read that waits while Postgres or Temporal is being started again: the night goes on meanwhile, and so must
 * whoever watches it. Throws anything else at once, and the last failure after two minutes.
 */
export function patiently<T>(read: () => Promise<T>): () => Promise<T> {
  return async () => {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      try {
        return await read();
      } catch (error) {
        const passing =
          isTransientDatabaseError(error) || (isGrpcServiceError(error) && TRANSIENT_CODES.has(error.code));
        if (!passing || Date.now() > deadline) throw error;
        await sleep(PAUSE_MS);
      }
    }
  };
}
