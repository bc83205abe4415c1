import { hostname } from 'node:os';
import type { Logger } from '@temporalio/worker';
import type { Sql } from '../db/client.ts';
import { beat } from '../db/queries/liveness.ts';

const BEAT_MS = 2_000;
const MAX_GAP_MS = 10_000;

/** Writes that this process is alive every two seconds: gaps tell an outage of ours from a slow task. */
export function beatWhileAlive(options: { sql: Sql; process: string; logger: Logger }): () => void {
  const { sql, logger } = options;
  let writing = false;
  const write = () => {
    if (writing) return;
    writing = true;
    beat(sql, { process: options.process, host: hostname(), pid: process.pid, maxGapMs: MAX_GAP_MS })
      .catch((error: unknown) => logger.warn('liveness was not recorded', { error }))
      .finally(() => {
        writing = false;
      });
  };
  write();
  const timer = setInterval(write, BEAT_MS);
  return () => clearInterval(timer);
}

/** Calls back once when the parent process is gone; a worker must not outlive the runtime that started it. */
export function whenParentDies(parentPid: number | null, onDeath: () => void): () => void {
  if (parentPid === null) return () => undefined;
  const timer = setInterval(() => {
    try {
      process.kill(parentPid, 0);
    } catch {
      clearInterval(timer);
      onDeath();
    }
  }, 500);
  return () => clearInterval(timer);
}
