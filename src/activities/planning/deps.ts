import type { Client } from '@temporalio/client';

import type { Database } from '../../db/client.ts';
import type { ExchangeSession } from '../../domain/calendar.ts';
import type { UniverseDefinition } from '../../domain/universe.ts';
import type { MarketDataProvider } from '../../providers/port.ts';

/** What planning and book-keeping of runs need from the house. */
export type RunDeps = {
  /** Logged in as the pipeline role. */
  database: Database;
  client: Client;
  /** The providers of a configuration's chain, behind one port. */
  provider: (chain: readonly string[]) => MarketDataProvider;
  /** Sessions of the committed calendar file. */
  sessions: () => Promise<readonly ExchangeSession[]>;
  /** A universe by name or file. */
  readUniverse: (nameOrFile: string) => Promise<UniverseDefinition>;
  /** Configuration file of this process. */
  configPath: string;
  /** A person named that file: it is used although the last start found another one. */
  configNamed: boolean;
  /** On whose disk a night needs room. */
  dataDir: string;
  /** Wall clock in ms. */
  now?: () => number;
  /** How long a kind of worker may be silent before that is an outage; absent: SILENCE_TOLERATED_MS. */
  silenceToleratedMs?: number;
};
