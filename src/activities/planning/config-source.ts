import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';

import { projectRoot } from '../../../scripts/lib/paths.mjs';
import {
  checkUniverses,
  type ConfigFile,
  configHash,
  type EffectiveConfig,
  effectiveConfig,
  parseConfigFile,
  parseEffectiveConfig,
  parseStoredConfigFile,
} from '../../contracts/schemas/config.ts';
import type { Sql } from '../../db/client.ts';
import {
  applyConfig,
  CURRENT_FILE,
  currentApplication,
  currentConfigHash,
  findConfig,
  insertConfig,
} from '../../db/queries/configs.ts';
import { UniverseError } from '../../domain/universe.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../../providers/universe-file.ts';
import { failure } from '../errors.ts';

/** The file that was found at the last start, and where: only a changed one becomes the current one. */
const FILE_AT_START = 'file-at-start';

export type FrozenConfig = { config: EffectiveConfig; hash: string };

/** A file as a start finds it. */
export type FileAtStart = {
  path: string;
  /** A person named it: it is used although the last start found another file. */
  named: boolean;
  /** Who has it read; absent: the file itself is named as the reason. */
  by?: string;
};

export type Adoption = {
  /** What is wrong with the file, if it cannot be used: runs then keep the configuration they had. */
  problem: string | null;
  /** True: it is the current configuration from now on. */
  adopted: boolean;
  /** The other file that the last start used and that stays in force; null if there is none. */
  keeps: string | null;
};

/**
 * Takes over the file on disk if it is another one than at the last start: stop and start applies a change,
 * but does not undo a later `config apply`. A file nobody named does not replace one that somebody did.
 */
export async function adoptFileAtStart(sql: Sql, { path, named, by }: FileAtStart): Promise<Adoption> {
  const last = await currentApplication(sql, FILE_AT_START);
  const lastFile = last === null ? null : labelOf(last.appliedBy);
  if (!named && lastFile !== null && lastFile !== labelOf(path)) {
    return { problem: null, adopted: false, keeps: lastFile };
  }
  const file = await readConfigFile(path);
  if (typeof file === 'string') return { problem: file, adopted: false, keeps: null };
  const config = { configHash: configHash(file), body: file };
  const appliedBy = labelOf(path);
  if (last?.configHash === config.configHash) return { problem: null, adopted: false, keeps: null };
  // In this order: whoever finds the file noted, in a second start or after a crash, finds it in force.
  const { changed } = await applyConfig(sql, { name: CURRENT_FILE, config, appliedBy: by ?? appliedBy });
  await applyConfig(sql, { name: FILE_AT_START, config, appliedBy });
  return { problem: null, adopted: changed, keeps: null };
}

/**
 * Reads the file in force again because a person wants it: that of the last start, also where this process was given
 * another one. `keeps` is then a file that is not there to be read.
 */
export async function rereadFile(sql: Sql, { path, by }: { path: string; by: string }): Promise<Adoption> {
  const given = await adoptFileAtStart(sql, { path, named: false, by });
  if (given.keeps === null) return given;
  const kept = resolve(projectRoot, given.keeps);
  return existsSync(kept) ? await adoptFileAtStart(sql, { path: kept, named: true, by }) : given;
}

/** Notes that a person applied this state of the file: the next start finds nothing new in it. */
export async function rememberApplied(
  sql: Sql,
  { path, file }: { path: string; file: ConfigFile },
): Promise<void> {
  const last = await currentApplication(sql, FILE_AT_START);
  if (last !== null && labelOf(last.appliedBy) !== labelOf(path)) return;
  const config = { configHash: configHash(file), body: file };
  await applyConfig(sql, { name: FILE_AT_START, config, appliedBy: labelOf(path) });
}

/** A file's name that stays the same when the project moves. */
function labelOf(path: string): string {
  const inside = relative(projectRoot, resolve(projectRoot, path));
  return inside.startsWith('..') ? path : inside;
}

async function readConfigFile(path: string): Promise<ConfigFile | string> {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    const file = parseConfigFile(json);
    checkUniverses(file);
    const { universe } = effectiveConfig(file);
    await readUniverse({ nameOrFile: universe, bundledFolder: join(projectRoot, UNIVERSES_FOLDER) });
    return file;
  } catch (error) {
    if (error instanceof UniverseError) return `${path}: nightshift.universe: ${error.message}`;
    return `${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Whether any file was ever applied: an instance that has just begun has none for a moment. */
export async function hasConfiguration(sql: Sql): Promise<boolean> {
  return (await currentConfigHash(sql, CURRENT_FILE)) !== null;
}

/** The file that runs use now, as it was applied. Fails with InvalidConfiguration when there is none. */
export async function currentFile(sql: Sql): Promise<ConfigFile> {
  const fileHash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = fileHash === null ? null : await findConfig(sql, fileHash);
  if (stored === null) throw failure('InvalidConfiguration', 'no configuration has been applied');
  return parseStoredConfigFile(stored.body);
}

/** The configuration of a universe, frozen: stored under its hash. */
export async function freezeConfig(sql: Sql, universe: string | undefined): Promise<FrozenConfig> {
  return freezeFile(sql, await currentFile(sql), universe);
}

/** What a file means for a universe, frozen, without making it the current one: for one run of its own. */
export async function freezeFile(
  sql: Sql,
  file: ConfigFile,
  universe: string | undefined,
): Promise<FrozenConfig> {
  const config = effectiveConfig(file, universe);
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
