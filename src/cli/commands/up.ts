import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openRuntime } from '../../runtime/attach.ts';
import type { Runtime } from '../../runtime/embedded.ts';
import { openReconciler, readMissedNights } from '../../reconciler/open.ts';
import { DEFAULT_CONFIG, ensureSchedules, minFreeBytesOf, readConfig, temporalTarget } from '../app.ts';
import { createNotes } from '../notes.ts';

type UpOptions = {
  dataDir?: string;
  config?: string;
  mlWorkers: number;
  workers: boolean;
  abandonRuns?: boolean;
};

/** `nightshift up`: starts everything and stays until Ctrl-C, SIGTERM or `nightshift down`. */
export function upCommand(): Command {
  return new Command('up')
    .description('start Postgres, Temporal and the workers, and stay')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--config <file>', 'configuration to start with (default config/scheduler_config.json)')
    .option('--ml-workers <count>', 'number of Python workers', parseCount, 1)
    .option('--no-workers', 'servers only')
    .option('--abandon-runs', 'give up open runs that an upgrade of Temporal would lose')
    .action(async (options: UpOptions) => {
      const config = options.config === undefined ? {} : { configPath: resolve(options.config) };
      const file = await readConfig(config.configPath ?? DEFAULT_CONFIG);
      for (const warning of file.warnings) console.error(`warning: ${warning}`);
      const interrupted = untilSignal();
      const runtime = await openRuntime({
        ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
        ...config,
        command: 'up',
        minFreeBytes: minFreeBytesOf(file),
        abandonRuns: options.abandonRuns ?? false,
        workers: options.workers ? { typescript: 1, ml: options.mlWorkers } : { typescript: 0, ml: 0 },
        onNote: createNotes().note,
      });
      try {
        const changes = await ensureSchedules({ runtime, enable: true, ...config });
        for (const change of changes) console.log(change);
        if (!runtime.owned && options.config !== undefined)
          console.error(`--config without effect: use \`nightshift config apply ${options.config}\`.`);
        printAddresses(runtime);
        await printMissed(runtime).catch((error: unknown) =>
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
          pipelineUrl: runtime.urls.pipeline,
          temporal: temporalTarget(runtime),
          onNote: createNotes().note,
          onError: (text, error) =>
            console.error(`${text}: ${error instanceof Error ? error.message : String(error)}`),
        });
        try {
          await Promise.race([interrupted, runtime.failed]);
        } finally {
          await reconciler.stop();
        }
      } finally {
        await runtime.stop();
      }
    });
}

/** At every start: what the schedule promised and nobody ran. The watchdog starts the newest by itself, if in time. */
async function printMissed(runtime: Runtime): Promise<void> {
  const { urls } = runtime;
  const missed = await readMissedNights({ pipelineUrl: urls.pipeline, temporal: temporalTarget(runtime) });
  for (const { sessionDate, command } of missed)
    console.log(`Missed session ${sessionDate}: run it with \`${command}\``);
}

/** Resolves at the first SIGINT or SIGTERM; from then on they no longer end the process by themselves. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
  });
}

function printAddresses(runtime: Runtime): void {
  console.log(`Temporal Web UI  ${runtime.temporalUi ?? '(external cluster)'}`);
  console.log(`Temporal         ${runtime.temporal} (namespace ${runtime.namespace})`);
  console.log(`Postgres         ${runtime.postgres}`);
  console.log(`Artifacts        ${runtime.artifactUrl}`);
  console.log(`Logs             ${runtime.logDir}`);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0) throw new InvalidArgumentError('must be a whole number');
  return count;
}
