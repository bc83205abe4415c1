import { hostname } from 'node:os';
import type { Logger } from '@temporalio/worker';
import type { Sql } from '../db/client.ts';
import { beat } from '../db/queries/liveness.ts';

const BEAT_MS = 2_000;
const MAX_GAP_MS = 10_000;

/**
 * Writes every two seconds that this process is alive and reaches the Temporal server: gaps tell an outage of
 * ours from a slow task. `reachServer` rejects while the server does not answer; then there is no beat either.
 */
export function beatWhileAlive(options: {
  sql: Sql;
  process: string;
  logger: Logger;
  reachServer: () => Promise<void>;
}): () => void {
  const { sql, logger } = options;
  let writing = false;
  const write = () => {
    if (writing) return;
    writing = true;
    const beatNow = { process: options.process, host: hostname(), pid: process.pid, maxGapMs: MAX_GAP_MS };
    options
      .reachServer()
      .then(() => beat(sql, beatNow))
      .catch((error: unknown) => logger.warn('liveness was not recorded', { error }))
      .finally(() => {
        writing = false;
      });
  };
  write();
  const timer = setInterval(write, BEAT_MS);
  return () => clearInterval(timer);
}
