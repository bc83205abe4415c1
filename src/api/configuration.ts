import { type ConfigFile, knownUniverses, parseStoredConfigFile } from '../contracts/schemas/config.ts';
import type { Sql } from '../db/client.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../db/queries/configs.ts';
import { fieldProblem, Problem } from './problems.ts';

/** The configuration in force. Throws a Problem before the first start has applied one. */
export async function configurationInForce(sql: Sql): Promise<ConfigFile> {
  const hash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = hash === null ? null : await findConfig(sql, hash);
  if (stored === null) throw new Problem('not-configured', 'no configuration has been applied yet');
  return parseStoredConfigFile(stored.body);
}

/** Throws a Problem for a universe that a configuration does not know. */
export function requireUniverse(file: ConfigFile, universe: string): void {
  const known = knownUniverses(file);
  if (!known.includes(universe)) throw fieldProblem('universe', `${universe} is none of ${known.join(', ')}`);
}
