import type { ArtifactStore } from '../artifacts/store.ts';
import type { Database } from '../db/client.ts';

/** Where an activity says what a person may want to read later. */
export type ActivityLogger = {
  info(message: string, details?: Record<string, unknown>): void;
  warn(message: string, details?: Record<string, unknown>): void;
};

/** What the factories of training, scan, backtest and drift need; `db` is logged in as `pipeline`. */
export type ActivityDeps = {
  db: Database;
  artifacts: ArtifactStore;
  /** The only clock: it decides nothing but `simulated` and what is old enough to be removed. */
  clock: () => Date;
  logger?: ActivityLogger;
};
