import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import type { Addresses } from './addresses.ts';
import type { DataFolder } from './data-folder.ts';
import { archiveFolder } from './env.ts';
import type { GuardedOptions } from './guardian.ts';
import { isListening, requireFreePort } from './ports.ts';
import type { SupervisedSpec } from './supervisor.ts';

/** A worker finishes or hands back what it does within this time, then it is killed. */
const STOP_GRACE_MS = 20_000;

export type WorkerOptions = {
  /** worker-1, ml-2: its name among the children, and first part of its identity in Temporal. */
  name: string;
  addresses: Addresses;
  folder: DataFolder;
  sampleDataDir: string | undefined;
  configPath: string | undefined;
  /** More variables for the workers. */
  extraEnv: Record<string, string>;
  onLine: GuardedOptions['onLine'];
};

/** A person's own profile, with TLS and API key, is not for the embedded server. */
const WITHOUT_PROFILE = {
  TEMPORAL_PROFILE: undefined,
  TEMPORAL_API_KEY: undefined,
  TEMPORAL_TLS: undefined,
};

/** What a worker finds in its environment: a login per role, never the owner's. */
export function workerEnv(options: Omit<WorkerOptions, 'onLine'>): Record<string, string | undefined> {
  const { addresses, folder } = options;
  return {
    // A cluster of others is described by the standard variables we pass on untouched.
    ...(addresses.embedded.temporal
      ? {
          ...WITHOUT_PROFILE,
          TEMPORAL_CONFIG_FILE: folder.temporalProfile,
          TEMPORAL_ADDRESS: addresses.temporal,
          TEMPORAL_NAMESPACE: addresses.namespace,
        }
      : {}),
    NIGHTSHIFT_DB_URL_INGEST: addresses.urls.ingest,
    NIGHTSHIFT_DB_URL_PIPELINE: addresses.urls.pipeline,
    NIGHTSHIFT_DB_URL_ML: addresses.urls.ml,
    NIGHTSHIFT_DB_URL_MAINTENANCE: addresses.urls.maintenance,
    NIGHTSHIFT_DB_URL_API: addresses.urls.api,
    ARTIFACT_URL: addresses.artifactUrl,
    NIGHTSHIFT_DATA_DIR: folder.root,
    NIGHTSHIFT_LOG_DIR: folder.logs,
    NIGHTSHIFT_SAMPLE_DATA_DIR: options.sampleDataDir ?? archiveFolder(),
    NIGHTSHIFT_CONFIG: options.configPath ?? join(projectRoot, 'config', 'scheduler_config.json'),
    NIGHTSHIFT_PARENT_PID: String(process.pid),
    NIGHTSHIFT_WORKER_NAME: options.name,
    ...options.extraEnv,
  };
}

/** The TypeScript worker (queues `pipeline` and `market-data`). */
export function typescriptWorkerSpec(options: WorkerOptions): SupervisedSpec {
  return {
    ...workerSpec(options),
    prepare: async () => ({
      command: process.execPath,
      args: ['--enable-source-maps', join(projectRoot, 'dist', 'worker', 'main.js')],
      env: workerEnv(options),
      cwd: projectRoot,
      stopSignal: 'SIGTERM',
      graceMs: STOP_GRACE_MS,
    }),
  };
}

/** The Python worker (queue `ml`). */
export function pythonWorkerSpec(options: WorkerOptions): SupervisedSpec {
  const { NIGHTSHIFT_DB_URL_ML, ...env } = workerEnv(options);
  const others = Object.fromEntries(
    Object.keys(env)
      .filter((key) => key.startsWith('NIGHTSHIFT_DB_URL_'))
      .map((key) => [key, undefined]),
  );
  return {
    ...workerSpec(options),
    prepare: async () => ({
      command: venvPython(),
      args: ['-m', 'nightshift_ml.worker'],
      // The model worker gets one login, its own, for its liveness rows.
      env: {
        ...env,
        ...others,
        NIGHTSHIFT_DB_URL_ML,
        PYTHONPATH: join(projectRoot, 'ml'),
        PYTHONUNBUFFERED: '1',
      },
      cwd: projectRoot,
      stopSignal: 'SIGTERM',
      graceMs: STOP_GRACE_MS,
    }),
  };
}

/** The HTTP API, on loopback. It has two logins: what it is asked for, and what follows the schedules. */
export function apiSpec(options: WorkerOptions & { port: number }): SupervisedSpec {
  const { port } = options;
  const { NIGHTSHIFT_DB_URL_API, NIGHTSHIFT_DB_URL_PIPELINE, ...env } = workerEnv(options);
  const others = Object.fromEntries(
    Object.keys(env)
      .filter((key) => key.startsWith('NIGHTSHIFT_DB_URL_'))
      .map((key) => [key, undefined]),
  );
  return {
    name: options.name,
    onLine: options.onLine,
    prepare: async () => {
      await requireFreePort({ port, purpose: 'the API', waitMs: 5_000 });
      return {
        command: process.execPath,
        args: ['--enable-source-maps', join(projectRoot, 'dist', 'api', 'main.js')],
        env: {
          ...env,
          ...others,
          NIGHTSHIFT_DB_URL_API,
          NIGHTSHIFT_DB_URL_PIPELINE,
          NIGHTSHIFT_API_HOST: '127.0.0.1',
          NIGHTSHIFT_API_PORT: String(port),
          ...(options.addresses.temporalUi === null
            ? {}
            : { NIGHTSHIFT_TEMPORAL_UI: options.addresses.temporalUi }),
        },
        cwd: projectRoot,
        stopSignal: 'SIGTERM',
        graceMs: STOP_GRACE_MS,
      };
    },
    readyTimeoutMs: 60_000,
    ready: async (signal) => {
      while (!(await isListening(port))) {
        signal.throwIfAborted();
        await sleep(25);
      }
    },
  };
}

/** A worker counts as started once it runs: work waits on its queue until it asks for some. */
function workerSpec({ name, onLine }: WorkerOptions): Omit<SupervisedSpec, 'prepare'> {
  return { name, onLine, readyTimeoutMs: 60_000, ready: () => Promise.resolve() };
}
