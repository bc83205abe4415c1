import { readFile } from 'node:fs/promises';

import {
  type ConfigFile,
  configHash,
  type EffectiveConfig,
  effectiveConfig,
  knownUniverses,
  parseConfigFile,
  parseEffectiveConfig,
  parseStoredConfigFile,
} from '../../contracts/schemas/config.ts';
import type { Sql } from '../../db/client.ts';
import {
  applyConfig,
  CURRENT_FILE,
  currentConfigHash,
  findConfig,
  insertConfig,
} from '../../db/queries/configs.ts';
import { failure } from '../errors.ts';

/** The file a process found when it started: only a changed one becomes the current one. */
const FILE_AT_START = 'file-at-start';

export type FrozenConfig = { config: EffectiveConfig; hash: string };

/**
 * Takes over the file on disk if it is another one than at the last start: stop and start applies a change,
 * but does not undo a later `config apply`. Returns what is wrong with the file, if it cannot be used: runs
 * then keep the configuration they had.
 */
export async function adoptFileAtStart(sql: Sql, path: string): Promise<string | null> {
  const file = await readConfigFile(path);
  if (typeof file === 'string') return file;
  const config = { configHash: configHash(file), body: file };
  const { changed } = await applyConfig(sql, { name: FILE_AT_START, config, appliedBy: path });
  if (changed) await applyConfig(sql, { name: CURRENT_FILE, config, appliedBy: path });
  return null;
}

async function readConfigFile(path: string): Promise<ConfigFile | string> {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    const file = parseConfigFile(json);
    for (const universe of knownUniverses(file)) effectiveConfig(file, universe);
    return file;
  } catch (error) {
    return `${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The configuration of a universe, frozen: stored under its hash. */
export async function freezeConfig(sql: Sql, universe: string | undefined): Promise<FrozenConfig> {
  const fileHash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = fileHash === null ? null : await findConfig(sql, fileHash);
  if (stored === null) throw failure('InvalidConfiguration', 'no configuration has been applied');
  const config = effectiveConfig(parseStoredConfigFile(stored.body), universe);
  const hash = configHash(config);
  await insertConfig(sql, { configHash: hash, body: config });
  return { config, hash };
}

/** A configuration that was frozen before. */
export async function frozenConfig(sql: Sql, hash: string): Promise<FrozenConfig> {
  const stored = await findConfig(sql, hash);
  if (stored === null)
    throw failure('InvalidConfiguration', `configuration ${hash} is not stored in ops.configs`);
  return { config: parseEffectiveConfig(stored.body), hash };
}
