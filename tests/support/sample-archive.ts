import { resolve } from 'node:path';
import { createArchiveProvider } from '../../src/providers/archive/archive-provider.ts';
import type { MarketDataProvider } from '../../src/providers/port.ts';

const known = new Map<string, MarketDataProvider>();

/** The archive in a folder that nobody changes: one for all tests of a process, so that its files are decoded once. */
export function sharedArchive(directory: string): MarketDataProvider {
  const path = resolve(directory);
  const archive = known.get(path) ?? createArchiveProvider({ directory: path });
  known.set(path, archive);
  return archive;
}
