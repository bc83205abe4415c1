import type { Database } from '../../db/client.ts';
import type { ExchangeSession } from '../../domain/calendar.ts';
import type { UniverseDefinition } from '../../domain/universe.ts';
import type { MarketDataProvider } from '../../providers/port.ts';

/** What ingestion needs from the house. */
export type IngestionDeps = {
  /** Logged in as the ingest role. */
  db: Database;
  /** The providers of a configuration's chain, behind one port. */
  provider: (chain: readonly string[]) => MarketDataProvider;
  /** Sessions of the committed calendar file. */
  sessions: () => Promise<readonly ExchangeSession[]>;
  /** A universe by the name a night carries. */
  readUniverse: (name: string) => Promise<UniverseDefinition>;
  /** Decides what is final by now, and when a revision became known. */
  clock: () => Date;
};
