import type { Database } from '../../db/client.ts';
import type { ExchangeSession } from '../../domain/calendar.ts';

/** What decisions about market data need from the house. */
export type DecisionDeps = {
  /** Logged in as the ingest role. */
  db: Database;
  /** Sessions of the committed calendar file. */
  sessions: () => Promise<readonly ExchangeSession[]>;
  /** When a decision is made, and from when on it is known. */
  clock: () => Date;
};
