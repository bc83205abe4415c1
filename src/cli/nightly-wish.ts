import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { currentFile } from '../activities/planning/config-source.ts';
import { effectiveConfig, knownUniverses } from '../contracts/schemas/config.ts';
import { UniverseError } from '../domain/universe.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../providers/universe-file.ts';
import { type App, DEFAULT_CONFIG, readConfig } from './app.ts';
import { UsageError } from './exit-codes.ts';
import { type NightWish, readShippedCalendar } from './open-nights.ts';
import { requireDate } from './options.ts';

/** The options of `nightly` that say which nights, and where their report goes. */
export type WishOptions = {
  session?: string;
  from?: string;
  to?: string;
  universe?: string;
  json?: string;
  config?: string;
};

/** What a command line asks for. Throws UsageError for everything that cannot be done, before anything starts. */
export async function readWish(options: WishOptions): Promise<NightWish> {
  checkOptions(options);
  await checkJsonTarget(options.json);
  const file = await readConfig(options.config === undefined ? DEFAULT_CONFIG : resolve(options.config));
  const config = effectiveConfig(file);
  return {
    sessions: await sessionsToRun(options),
    universe:
      options.universe === undefined
        ? config.universe
        : await universeOf(options.universe, knownUniverses(file)),
    settleDelayMs: config.settleDelayMinutes * 60_000,
  };
}

/** Without `--config` the configuration in force decides, not the file of this clone. */
export async function inForce(app: App, options: WishOptions, wish: NightWish): Promise<NightWish> {
  if (options.config !== undefined) return wish;
  const config = effectiveConfig(await currentFile(app.database.sql));
  return {
    ...wish,
    universe: options.universe === undefined ? config.universe : wish.universe,
    settleDelayMs: config.settleDelayMinutes * 60_000,
  };
}

async function sessionsToRun(options: WishOptions): Promise<(string | undefined)[]> {
  const calendar = await readShippedCalendar();
  for (const name of ['session', 'from', 'to'] as const) {
    const date = options[name];
    if (date === undefined || (date >= calendar.first && date <= calendar.last)) continue;
    throw new UsageError(
      `--${name}: ${date} is outside the calendar of ${calendar.exchange}, ${calendar.first} to ${calendar.last}`,
    );
  }
  if (options.from === undefined || options.to === undefined) return [options.session];
  const sessions = calendar.sessionsBetween(options.from, options.to);
  if (sessions.length === 0) {
    throw new UsageError(`--from/--to: no exchange session between ${options.from} and ${options.to}`);
  }
  return [...sessions];
}

/**
 * A name of the configuration goes through; a file becomes an absolute path, so that the worker finds the same one.
 * Throws UsageError for what is neither.
 */
export async function universeOf(universe: string, known: readonly string[]): Promise<string> {
  if (known.includes(universe)) return universe;
  const path = resolve(universe);
  const found = await stat(path).catch(() => null);
  if (found?.isFile() === true) {
    await readUniverse({ nameOrFile: path, bundledFolder: join(projectRoot, UNIVERSES_FOLDER) }).catch(
      (error: unknown) => {
        if (error instanceof UniverseError)
          throw new UsageError(`--universe: ${error.message}`, { cause: error });
        throw error;
      },
    );
    return path;
  }
  throw new UsageError(
    `--universe: ${universe} is none of ${known.join(', ')}, and no file of that name is there`,
  );
}

/** Throws UsageError before a night is run whose report could not be written. */
async function checkJsonTarget(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const folder = dirname(resolve(path));
  await access(folder, constants.W_OK).catch(() => {
    throw new UsageError(`--json: ${path} cannot be written, ${folder} is no folder that may be written to`);
  });
}

function checkOptions(options: WishOptions): void {
  for (const name of ['session', 'from', 'to'] as const) {
    const date = options[name];
    if (date !== undefined) requireDate(`--${name}`, date);
  }
  if ((options.from === undefined) !== (options.to === undefined)) {
    throw new UsageError('--from and --to belong together');
  }
  if (options.from !== undefined && options.session !== undefined) {
    throw new UsageError('--session and --from/--to exclude each other');
  }
  if (options.from !== undefined && options.to !== undefined && options.from > options.to) {
    throw new UsageError(`--from: ${options.from} is after --to ${options.to}`);
  }
}
