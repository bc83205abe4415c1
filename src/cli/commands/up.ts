import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openRuntime } from '../../runtime/attach.ts';
import { folderOption } from '../../runtime/folder-option.ts';
import { formatRecord, type LogRecord } from '../../runtime/log-record.ts';
import { openReconciler, readMissedNights, type ReconcilerHouse } from '../../reconciler/open.ts';
import { DEFAULT_CONFIG, ensureSchedules, minFreeBytesOf, readConfig, temporalTarget } from '../app.ts';
import { addressLines } from '../addresses.ts';
import { untilInterrupted } from '../interrupt.ts';
import { ensureAdminToken } from '../first-token.ts';
import { createNotes } from '../notes.ts';

type UpOptions = {
  dataDir?: string;
  config?: string;
  mlWorkers: number;
  workers: boolean;
  api: boolean;
  abandonRuns?: boolean;
};

/** They tell much in quiet times; their files have it all. */
const SERVERS = new Set(['postgres', 'temporal']);

/** `nightshift up`: starts everything and stays until Ctrl-C, SIGTERM or `nightshift down`. */
export function upCommand(): Command {
  return new Command('up')
    .description('start Postgres, Temporal and the workers, and stay')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--config <file>', 'configuration to start with (default config/scheduler_config.json)')
    .option('--ml-workers <count>', 'number of Python workers', parseCount, 1)
    .option('--no-workers', 'servers only')
    .option('--no-api', 'without the HTTP API')
    .option('--abandon-runs', 'give up open runs that an upgrade of Temporal would lose')
    .action(async (options: UpOptions) => {
      const config = options.config === undefined ? {} : { configPath: resolve(options.config) };
      const file = await readConfig(config.configPath ?? DEFAULT_CONFIG);
      for (const warning of file.warnings) console.error(`warning: ${warning}`);
      const interrupt = untilInterrupted();
      const { note } = createNotes();
      // Absolute: commands that name it are kept, and are read in other folders.
      const folder = options.dataDir === undefined ? {} : { dataDir: resolve(options.dataDir) };
      const runtime = await openRuntime({
        ...folder,
        ...config,
        command: 'up',
        minFreeBytes: minFreeBytesOf(file),
        abandonRuns: options.abandonRuns ?? false,
        api: options.api,
        workers: options.workers ? { typescript: 1, ml: options.mlWorkers } : { typescript: 0, ml: 0 },
        onNote: note,
        onLog: (record) => {
          if (isForConsole(record)) console.log(formatRecord(record));
        },
        signal: interrupt.signal,
      });
      try {
        const changes = await ensureSchedules({ runtime, enable: true, ...config });
        for (const change of changes) console.log(change);
        if (!runtime.owned && options.config !== undefined)
          console.error(`--config without effect: use \`nightshift config apply ${options.config}\`.`);
        for (const line of addressLines(runtime)) console.log(line);
        for (const line of await ensureAdminToken(runtime)) console.log(line);
        const house: ReconcilerHouse = {
          pipelineUrl: runtime.urls.pipeline,
          temporal: temporalTarget(runtime),
          folderOption: folderOption(folder.dataDir),
        };
        await printMissed(house).catch((error: unknown) =>
          console.error(
            `missed sessions: not known (${error instanceof Error ? error.message : String(error)})`,
          ),
        );
        if (!runtime.owned) {
          console.log('Already running; nothing was started. `nightshift down` stops it.');
          return;
        }
        console.log('Running. Ctrl-C stops it.');
        const reconciler = openReconciler({
          ...house,
          log: (source, level, message, fields) => {
            const logger = `nightshift.${source}`;
            runtime.writeLog({ time: new Date(), level, logger, message, source, task: null, fields });
          },
        });
        try {
          await Promise.race([interrupt.promise, runtime.failed]);
        } finally {
          await reconciler.stop();
        }
      } finally {
        await runtime.stop();
      }
    });
}

/** At every start: what the schedule promised and nobody ran. The watchdog starts the newest by itself, if in time. */
async function printMissed(house: ReconcilerHouse): Promise<void> {
  const missed = await readMissedNights(house);
  for (const { sessionDate, command } of missed)
    console.log(`Missed session ${sessionDate}: run it with \`${command}\``);
}

/**
 * Log lines that also go to the console: those of the workers from INFO on, and what troubles the servers. The runtime's
 * own are notes, which are printed anyway.
 */
export function isForConsole({ source, level }: Pick<LogRecord, 'source' | 'level'>): boolean {
  if (source === 'runtime' || level === 'DEBUG') return false;
  return level !== 'INFO' || !SERVERS.has(source);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0) throw new InvalidArgumentError('must be a whole number');
  return count;
}
