import { type ConfigFile, knownUniverses, parseStoredConfigFile } from '../contracts/schemas/config.ts';
import type { Sql } from '../db/client.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../db/queries/configs.ts';
import type { ApiDeps } from './deps.ts';
import { fieldProblem, Problem } from './problems.ts';
import { findUniverse, type MeantUniverse, newestSession, NoSessionError } from './run-target.ts';

/** The configuration in force. Throws a Problem before the first start has applied one. */
export async function configurationInForce(sql: Sql): Promise<ConfigFile> {
  const hash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = hash === null ? null : await findConfig(sql, hash);
  if (stored === null) throw new Problem('not-configured', 'no configuration has been applied yet');
  return parseStoredConfigFile(stored.body);
}

/** The universe of a name. Throws a Problem for one that the configuration does not know. */
export async function requireUniverse(file: ConfigFile, asked: string): Promise<MeantUniverse> {
  const found = await findUniverse(file, asked);
  if (found !== null) return found;
  throw fieldProblem('universe', `${asked} is none of ${knownUniverses(file).join(', ')}`);
}

/** The session that is meant when none is named. Throws a Problem where there is none. */
export async function usualSession(
  { sql, coverageOf }: Pick<ApiDeps, 'sql' | 'coverageOf'>,
  { file, universe }: { file: ConfigFile; universe: string },
): Promise<string> {
  try {
    return await newestSession({ sql, file, universe, coverageOf });
  } catch (error) {
    if (error instanceof NoSessionError)
      throw fieldProblem('sessionDate', `${error.message}; name a session`);
    throw error;
  }
}
