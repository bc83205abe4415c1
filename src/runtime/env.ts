import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../../scripts/lib/paths.mjs';

/** Empty counts as absent: `FOO= command` is how a shell unsets a variable for one command. */
const optional = z
  .string()
  .trim()
  .transform((value) => (value === '' ? undefined : value))
  .optional();
const absent = z.literal('').transform(() => undefined);
const optionalUrl = (protocols: string[]) =>
  absent.or(z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`) })).optional();
const optionalCount = absent.or(z.coerce.number().int().positive()).optional();

const POSTGRES = ['postgres', 'postgresql'];

const schema = z.object({
  /** External Postgres (its owner login); absent: embedded. */
  DATABASE_URL: optionalUrl(POSTGRES),
  /** External Temporal; absent: embedded. The other standard Temporal variables are read by its own library. */
  TEMPORAL_ADDRESS: optional,
  TEMPORAL_PROFILE: optional,
  TEMPORAL_NAMESPACE: optional,
  /** file:///folder or s3://bucket/prefix; absent: a folder of the data folder. */
  ARTIFACT_URL: optionalUrl(['file', 's3']),
  AWS_ENDPOINT_URL_S3: optional,
  NIGHTSHIFT_DATA_DIR: optional,
  /** Log files: of the whole instance (embedded), or the root of one folder per worker (worker on its own). */
  NIGHTSHIFT_LOG_DIR: optional,
  NIGHTSHIFT_SAMPLE_DATA_DIR: optional,
  NIGHTSHIFT_CONFIG: optional,
  NIGHTSHIFT_PARENT_PID: optionalCount,
  NIGHTSHIFT_WORKER_NAME: optional,
  /** Where the API listens: loopback and port 8710 unless said otherwise. */
  NIGHTSHIFT_API_HOST: optional,
  NIGHTSHIFT_API_PORT: optionalCount,
  NIGHTSHIFT_API_REQUESTS_PER_MINUTE: optionalCount,
  /** Address of Temporal's Web UI, for links to it; our own server's is known. */
  NIGHTSHIFT_TEMPORAL_UI: optionalUrl(['http', 'https']),
  NIGHTSHIFT_TEMPORAL_BIN: optional,
  /** Where a TypeScript worker serves the metrics of Temporal's SDK (Prometheus); absent: nowhere. */
  NIGHTSHIFT_TEMPORAL_METRICS_ADDRESS: absent
    .or(z.string().regex(/^[\w.[\]:-]+:\d{1,5}$/, 'must be host:port, such as 127.0.0.1:9464'))
    .optional(),
  /** Where traces go; absent: nowhere. The other standard variables are read by OpenTelemetry itself. */
  OTEL_EXPORTER_OTLP_ENDPOINT: absent
    .or(z.url({ protocol: /^https?$/, error: 'must be an http or https URL, such as http://127.0.0.1:4318' }))
    .optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .string()
    .regex(/^(http\/(json|protobuf))?$/, 'must be http/json or http/protobuf: gRPC is not spoken here')
    .optional(),
  OTEL_SDK_DISABLED: optional,
  NIGHTSHIFT_DB_URL_INGEST: optionalUrl(POSTGRES),
  NIGHTSHIFT_DB_URL_PIPELINE: optionalUrl(POSTGRES),
  NIGHTSHIFT_DB_URL_ML: optionalUrl(POSTGRES),
  NIGHTSHIFT_DB_URL_MAINTENANCE: optionalUrl(POSTGRES),
  NIGHTSHIFT_DB_URL_API: optionalUrl(POSTGRES),
});
export type Env = z.infer<typeof schema>;

/** The environment, checked. Throws an Error that names each wrong variable. Nothing else reads process.env. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Env {
  const result = schema.safeParse(source);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`environment: ${problems.join('; ')}`);
}

/** A variable that a configuration names, such as the secret of an alert channel; null: not set, or empty. */
export function readNamedVariable(name: string, source: NodeJS.ProcessEnv = process.env): string | null {
  const value = source[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

/** Folder the `archive` provider reads: NIGHTSHIFT_SAMPLE_DATA_DIR, or the bundled one. */
export function archiveFolder(env: Pick<Env, 'NIGHTSHIFT_SAMPLE_DATA_DIR'> = readEnv()): string {
  return env.NIGHTSHIFT_SAMPLE_DATA_DIR ?? join(projectRoot, 'data', 'sample');
}

export type WorkerEnv = {
  /** First part of the identity that Temporal shows. */
  workerName: string;
  temporalNamespace: string;
  artifactUrl: string;
  dataDir: string;
  /** Where log files are looked for: maintenance archives them. */
  logDir: string;
  /** This process's own folder of log files; null where whoever started it writes them, or none is named. */
  ownLogFolder: string | null;
  databaseUrls: { ingest: string; pipeline: string; maintenance: string; api: string };
  sampleDataDir: string;
  configPath: string | null;
  /** Process whose end must end this one too; null when the worker runs on its own (production). */
  parentPid: number | null;
  /** host:port of the SDK's own metrics; null: not asked for. */
  temporalMetricsAddress: string | null;
  /** Collector of traces; null: not asked for. */
  tracesUrl: string | null;
};

/** What a TypeScript worker needs. Throws an Error that names every variable that is missing. */
export function readWorkerEnv(source: NodeJS.ProcessEnv = process.env): WorkerEnv {
  const env = readEnv(source);
  const missing: string[] = [];
  const required = (name: keyof Env): string => {
    const value = env[name];
    if (typeof value === 'string') return value;
    missing.push(name);
    return '';
  };
  const dataDir = env.NIGHTSHIFT_DATA_DIR ?? '.nightshift';
  const worker: WorkerEnv = {
    workerName: env.NIGHTSHIFT_WORKER_NAME ?? 'worker',
    temporalNamespace: env.TEMPORAL_NAMESPACE ?? 'default',
    artifactUrl: required('ARTIFACT_URL'),
    dataDir,
    logDir: env.NIGHTSHIFT_LOG_DIR ?? `${dataDir}/logs`,
    ownLogFolder: ownLogFolder(env),
    databaseUrls: {
      ingest: required('NIGHTSHIFT_DB_URL_INGEST'),
      pipeline: required('NIGHTSHIFT_DB_URL_PIPELINE'),
      maintenance: required('NIGHTSHIFT_DB_URL_MAINTENANCE'),
      api: required('NIGHTSHIFT_DB_URL_API'),
    },
    sampleDataDir: archiveFolder(env),
    configPath: env.NIGHTSHIFT_CONFIG ?? null,
    parentPid: env.NIGHTSHIFT_PARENT_PID ?? null,
    temporalMetricsAddress: env.NIGHTSHIFT_TEMPORAL_METRICS_ADDRESS ?? null,
    tracesUrl: tracesUrl(env),
  };
  if (missing.length > 0) throw new Error(`environment: ${missing.join(', ')} missing`);
  return worker;
}

export type ApiProcessEnv = {
  host: string;
  port: number;
  databaseUrls: { api: string; pipeline: string };
  /** Our own server on loopback, or the cluster of the standard Temporal environment: both are in it. */
  temporalNamespace: string;
  configPath: string;
  /** Folder of log files to be read; null: there is none here. */
  logDir: string | null;
  /** Folder of the provider `archive`, as its workers have it. */
  sampleDataDir: string;
  requestsPerMinute: number;
  temporalUi: string | null;
  /** Collector of traces; null: not asked for. */
  tracesUrl: string | null;
  parentPid: number | null;
};

/** What the API process needs. Throws an Error that names every variable that is missing. */
export function readApiEnv(source: NodeJS.ProcessEnv = process.env): ApiProcessEnv {
  const env = readEnv(source);
  const { NIGHTSHIFT_DB_URL_API: api, NIGHTSHIFT_DB_URL_PIPELINE: pipeline } = env;
  if (api === undefined || pipeline === undefined) {
    const missing = [
      ...(api === undefined ? ['NIGHTSHIFT_DB_URL_API'] : []),
      ...(pipeline === undefined ? ['NIGHTSHIFT_DB_URL_PIPELINE'] : []),
    ];
    throw new Error(`environment: ${missing.join(', ')} missing`);
  }
  return {
    host: env.NIGHTSHIFT_API_HOST ?? '127.0.0.1',
    port: env.NIGHTSHIFT_API_PORT ?? 8710,
    databaseUrls: { api, pipeline },
    temporalNamespace: env.TEMPORAL_NAMESPACE ?? 'default',
    configPath: env.NIGHTSHIFT_CONFIG ?? join(projectRoot, 'config', 'scheduler_config.json'),
    logDir: env.NIGHTSHIFT_LOG_DIR ?? logsOf(env.NIGHTSHIFT_DATA_DIR),
    sampleDataDir: archiveFolder(env),
    requestsPerMinute: env.NIGHTSHIFT_API_REQUESTS_PER_MINUTE ?? 6_000,
    temporalUi: env.NIGHTSHIFT_TEMPORAL_UI ?? null,
    tracesUrl: tracesUrl(env),
    parentPid: env.NIGHTSHIFT_PARENT_PID ?? null,
  };
}

/** Where traces are posted; null: not asked for. */
export function tracesUrl(env: Env): string | null {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: disabled } = env;
  if (endpoint === undefined || disabled?.toLowerCase() === 'true') return null;
  return `${endpoint.replace(/\/+$/, '')}/v1/traces`;
}

function logsOf(dataDir: string | undefined): string | null {
  return dataDir === undefined ? null : join(dataDir, 'logs');
}

/** Two containers of one service have the same settings: without a name of its own the host tells them apart. */
function ownLogFolder(env: Env): string | null {
  const { NIGHTSHIFT_LOG_DIR: root, NIGHTSHIFT_PARENT_PID: parent, NIGHTSHIFT_WORKER_NAME: name } = env;
  if (root === undefined || parent !== undefined) return null;
  return join(root, folderName(name ?? `worker-${hostname()}`));
}

/** A name as one folder below another, whatever somebody called a worker. */
function folderName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '_').replace(/^\.+/, '_');
}

/**
 * The environment a child process inherits, with our additions; undefined removes a variable. The owner's
 * login stays behind: children work with the login of their role.
 */
export function childEnv(additions: Record<string, string | undefined> = {}): Record<string, string> {
  const merged: Record<string, string | undefined> = {
    ...process.env,
    DATABASE_URL: undefined,
    ...additions,
  };
  const present = Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(present);
}
