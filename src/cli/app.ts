import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import {
  ConfigError,
  type ConfigFile,
  checkUniverses,
  effectiveConfig,
  parseConfigFile,
} from '../contracts/schemas/config.ts';
import { adoptFileAtStart, currentFile, hasConfiguration } from '../activities/planning/config-source.ts';
import { createDatabase, type Database, type Sql } from '../db/client.ts';
import { UniverseError } from '../domain/universe.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../providers/universe-file.ts';
import { attachRuntime, openRuntime } from '../runtime/attach.ts';
import { resolveDataDir } from '../runtime/data-folder.ts';
import type { Runtime } from '../runtime/embedded.ts';
import { folderOption } from '../runtime/folder-option.ts';
import { applySchedules, keepClosedRuns } from '../temporal/schedules.ts';
import { type ClientTarget, connectClient, type TemporalClient } from '../temporal/connection.ts';
import { UsageError } from './exit-codes.ts';

/** The configuration a clone brings. */
export const DEFAULT_CONFIG = join(projectRoot, 'config', 'scheduler_config.json');

export type App = {
  runtime: Runtime;
  database: Database;
  client: Client;
  /** Lets go of what this command opened; stops the instance if this process started it. */
  close(): Promise<void>;
};

/** Starts the instance of the data folder, or attaches to the one that runs. */
export async function openApp(options: {
  dataDir?: string;
  command: string;
  mlWorkers?: number;
  configPath?: string;
  onNote?: (text: string) => void;
  /** Gives up the start; throws StartInterruptedError. */
  signal?: AbortSignal;
}): Promise<App> {
  const file = await readConfig(options.configPath ?? DEFAULT_CONFIG);
  const runtime = await openRuntime({
    command: options.command,
    minFreeBytes: minFreeBytesOf(file),
    workers: { typescript: 1, ml: options.mlWorkers ?? 1 },
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    ...(options.configPath === undefined ? {} : { configPath: options.configPath }),
    ...(options.onNote === undefined ? {} : { onNote: options.onNote }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return connect(runtime);
}

/** What a start needs free on its disk, by the file it finds: the database is not there yet to be asked. */
export function minFreeBytesOf(file: ConfigFile): number {
  return effectiveConfig(file).minFreeDiskGib * 1024 ** 3;
}

/** Attaches to a running instance. Throws UsageError when none runs on this folder. */
export async function attachApp(dataDir: string | undefined): Promise<App> {
  const runtime = await attachRuntime(dataDir);
  if (runtime === null) {
    const folder = resolveDataDir(dataDir);
    throw new UsageError(
      `nothing runs on ${folder}: start it with \`nightshift up${folderOption(dataDir)}\``,
    );
  }
  return connect(runtime);
}

function connect(runtime: Runtime): App {
  const database = createDatabase(runtime.urls.api, { max: 4 });
  const temporal: TemporalClient = connectClient(temporalTarget(runtime));
  return {
    runtime,
    database,
    client: temporal.client,
    close: async () => {
      await temporal.close();
      await database.close();
      await runtime.stop();
    },
  };
}

/** How to reach the Temporal server of an instance. */
export function temporalTarget(runtime: Runtime): ClientTarget {
  const { temporal: address, namespace, embedded } = runtime;
  return { address, namespace, embedded: embedded.temporal };
}

/**
 * Reads and checks a configuration file, for every universe there is. Throws UsageError with one line per problem.
 */
export async function readConfig(path: string): Promise<ConfigFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  });
  try {
    const file = parseConfigFile(JSON.parse(text));
    checkUniverses(file);
    const { universe } = effectiveConfig(file);
    await readUniverse({ nameOrFile: universe, bundledFolder: join(projectRoot, UNIVERSES_FOLDER) });
    return file;
  } catch (error) {
    if (error instanceof UniverseError) {
      const problem = `nightshift.universe: ${error.message}`;
      throw new UsageError(`${path}: ${new ConfigError([problem]).message}`, { cause: error });
    }
    if (error instanceof ConfigError || error instanceof SyntaxError) {
      throw new UsageError(`${path}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Runs `work` with a connection of the role that may write operational rows. */
export async function withPipelineRole<T>(app: App, work: (database: Database) => Promise<T>): Promise<T> {
  const database = createDatabase(app.runtime.urls.pipeline, { max: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/**
 * What a start does about the configuration: the owner of an instance takes over its file if that changed since
 * the last start, then the schedules follow what is in force. Who attaches takes over nothing, but for an owner that
 * has not come to it yet. `enable` lifts the pause of a schedule nobody has switched on yet. Returns one line per change.
 */
export async function ensureSchedules(options: {
  runtime: Runtime;
  enable: boolean;
  /** A file that a person named; absent: the one a clone brings. */
  configPath?: string;
}): Promise<string[]> {
  const { runtime, enable, configPath } = options;
  const database = createDatabase(runtime.urls.pipeline, { max: 1 });
  const temporal = connectClient(temporalTarget(runtime));
  try {
    const adopts = runtime.owned || !(await hasConfiguration(database.sql));
    const lines = adopts ? await adoptFile(database.sql, configPath) : [];
    const file = await currentFile(database.sql);
    const { client } = temporal;
    const by = enable ? 'nightshift up' : 'nightshift nightly';
    const changes = await applySchedules({ client, sql: database.sql, file, by, enable });
    return [...lines, ...changes, ...(await applyToInstance(runtime, { client, file }))];
  } finally {
    await temporal.close();
    await database.close();
  }
}

/** For commands that need a configuration and no schedule: the owner of an instance takes over its file. */
export async function adoptConfiguration(app: App): Promise<string[]> {
  if (!app.runtime.owned) return [];
  return withPipelineRole(app, ({ sql }) => adoptFile(sql, undefined));
}

/** Settings of the instance itself: its log files and how long its Temporal server remembers. */
export async function applyToInstance(
  runtime: Runtime,
  { client, file }: { client: Client; file: ConfigFile },
): Promise<string[]> {
  const { logs, retention } = effectiveConfig(file);
  const { taskBackups, schedulerBackups } = logs;
  runtime.limitLogs({ maxBytes: Math.round(logs.maxMegabytes * 1024 ** 2), taskBackups, schedulerBackups });
  // Somebody else's server keeps what its operator wants.
  if (!runtime.embedded.temporal) return [];
  const changed = await keepClosedRuns(client, retention.temporalDays);
  return changed ? [`Temporal: keeps closed runs for ${retention.temporalDays} days`] : [];
}

async function adoptFile(sql: Sql, configPath: string | undefined): Promise<string[]> {
  const path = configPath ?? DEFAULT_CONFIG;
  const { problem, adopted, keeps } = await adoptFileAtStart(sql, { path, named: configPath !== undefined });
  if (problem !== null) throw new UsageError(problem);
  if (keeps !== null) return [`configuration: stays that of ${keeps}; \`--config FILE\` starts with another`];
  return adopted ? [`configuration of ${path}: applies to runs that start from now on`] : [];
}
