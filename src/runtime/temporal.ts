import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { cachedTemporal, TEMPORAL_SERVER_VERSION } from '../../scripts/lib/paths.mjs';
import { SEARCH_ATTRIBUTES } from '../contracts/wire/messages.ts';
import { readEnv } from './env.ts';
import { exists } from './files.ts';
import type { GuardedOptions } from './guardian.ts';
import { isListening, requireFreePort } from './ports.ts';
import type { SupervisedSpec } from './supervisor.ts';

const RETENTION_DAYS = 30;
const DAY_SECONDS = 86_400;
const READY_TIMEOUT_MS = 120_000;
/**
 * The server's own shutdown sleeps for seconds (1.8 to 3.2 seen) to let traffic drain to other hosts, of which there
 * are none. What it acknowledged is in SQLite's log by then, and kill -9 at any instant loses nothing (crash matrix).
 */
const STOP_GRACE_MS = 1_000;

export const TEMPORAL_NAMESPACE = 'default';

/**
 * Server settings. `transferProcessorMaxPollRPS` is 20 per shard by default, and the dev server has one
 * shard: after a short burst each hop of a night then waits about 50 ms (measured; five children 950 → 216 ms).
 */
export const DYNAMIC_CONFIG = {
  'history.transferProcessorMaxPollRPS': '2000',
  'frontend.enableServerVersionCheck': 'false',
  // Failures in a row after which a run is marked with TemporalReportedProblems, for `doctor`.
  'system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute': '3',
} as const;

export type EmbeddedTemporalOptions = {
  port: number;
  uiPort: number;
  /** Database file, its folder exists; null keeps everything in memory. */
  databaseFile: string | null;
  /** More `server start-dev` arguments. */
  extraArgs?: string[];
  onLine: GuardedOptions['onLine'];
};

/** Path of the server set-up found or made. Throws when there is none. */
export async function temporalBinary(): Promise<string> {
  const path = readEnv().NIGHTSHIFT_TEMPORAL_BIN ?? cachedTemporal();
  if (await exists(path)) return path;
  throw new Error(`no Temporal server ${TEMPORAL_SERVER_VERSION} at ${path}: run \`npm run setup\``);
}

/** The Temporal dev server with its Web UI as a supervised child. */
export async function temporalSpec(options: EmbeddedTemporalOptions): Promise<SupervisedSpec> {
  const command = await temporalBinary();
  return {
    name: 'temporal',
    onLine: options.onLine,
    readyTimeoutMs: READY_TIMEOUT_MS,
    prepare: async () => {
      await requireFreePort({ port: options.port, purpose: 'Temporal', waitMs: 2000 });
      await requireFreePort({ port: options.uiPort, purpose: 'Temporal Web UI', waitMs: 2000 });
      return {
        command,
        args: startArgs(options),
        // A person's own Temporal profile must not change our server.
        env: { TEMPORAL_ADDRESS: undefined, TEMPORAL_NAMESPACE: undefined, TEMPORAL_PROFILE: undefined },
        stopSignal: 'SIGTERM',
        graceMs: STOP_GRACE_MS,
      };
    },
    ready: (signal) => prepareNamespace({ port: options.port, signal }),
  };
}

function startArgs(options: EmbeddedTemporalOptions): string[] {
  return [
    'server',
    'start-dev',
    `--ip=127.0.0.1`,
    `--port=${options.port}`,
    `--ui-ip=127.0.0.1`,
    `--ui-port=${options.uiPort}`,
    '--ui-disable-news-fetch',
    '--log-format=json',
    '--log-level=warn',
    ...(options.databaseFile === null ? [] : ['--db-filename', options.databaseFile]),
    ...Object.entries(DYNAMIC_CONFIG).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${value}`,
    ]),
    ...SEARCH_ATTRIBUTES.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ...(options.extraArgs ?? []),
  ];
}

/** Waits for the server, then keeps closed runs 30 days (a dev server forgets them after one). */
async function prepareNamespace(input: { port: number; signal: AbortSignal }): Promise<void> {
  const connection = await connectPatiently(input);
  try {
    const namespace = TEMPORAL_NAMESPACE;
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    // More than a new server's one day is what a configuration asked for.
    if (seconds > DAY_SECONDS) return;
    await connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: msToTs(RETENTION_DAYS * DAY_SECONDS * 1000) },
    });
  } finally {
    await connection.close();
  }
}

/**
 * Connects as soon as the server knows the namespace; gives up when the signal says so. The port is tried first:
 * a gRPC channel that was refused once waits a second before it tries again.
 */
async function connectPatiently({
  port,
  signal,
}: {
  port: number;
  signal: AbortSignal;
}): Promise<Connection> {
  for (;;) {
    let connection: Connection | null = null;
    try {
      if (await isListening(port)) {
        connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 2000 });
        await connection.workflowService.describeNamespace({ namespace: TEMPORAL_NAMESPACE });
        return connection;
      }
    } catch {
      await connection?.close();
    }
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
