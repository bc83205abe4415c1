import { readFile, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { z } from 'zod';
import { TEMPORAL_SERVER_VERSION } from '../../scripts/lib/paths.mjs';
import { migrate } from '../db/migrate.ts';
import { appliedMigrations, knownMigrations } from '../db/transfer.ts';
import { type Addresses, resolveAddresses } from './addresses.ts';
import { type ChildEntry, childEntries, childrenWriter, endLeftovers } from './children-file.ts';
import {
  checkVersion,
  createFolders,
  type DataFolder,
  dataFolderAt,
  ensurePorts,
  type FolderVersion,
  FolderVersionError,
  type Ports,
  requireFreeDisk,
  resolveDataDir,
  writeVersion,
} from './data-folder.ts';
import { readEnv } from './env.ts';
import { writeFileWhole } from './files.ts';
import { type FolderLock, lockFolder } from './folder-lock.ts';
import { LogFiles, type LogLimits } from './log-files.ts';
import { type LogRecord, parseLogLine } from './log-record.ts';
import { postgresSpec } from './postgres.ts';
import { databasesOf } from './same-addresses.ts';
import { ensureSecrets, type Secrets } from './secrets.ts';
import { Supervised, type SupervisedSpec, type SupervisorEvents } from './supervisor.ts';
import { temporalSpec } from './temporal.ts';
import { prepareTemporalUpgrade } from './temporal-upgrade.ts';
import { withDatabase } from './with-database.ts';
import { apiSpec, pythonWorkerSpec, typescriptWorkerSpec, type WorkerOptions } from './workers.ts';

export type RuntimeOptions = {
  /** Data folder; default `.nightshift` in the project. */
  dataDir?: string;
  /** What this process is, for those who find the folder in use ("nightly", "up"). */
  command: string;
  /** `database`: Postgres alone, not migrated and not for others to attach to (backup, restore). */
  only?: 'database';
  /** Closes runs that a Temporal upgrade would lose, instead of refusing to start. */
  abandonRuns?: boolean;
  /** Workers to start (default one each). */
  workers?: { typescript: number; ml: number };
  /** Starts the HTTP API too. */
  api?: boolean;
  /** More variables for the workers. */
  extraEnv?: Record<string, string>;
  sampleDataDir?: string;
  configPath?: string;
  /** Free space under which nothing starts (default 2 GiB). */
  minFreeBytes?: number;
  /** Every log record, as it is written to its file. */
  onLog?: (record: LogRecord) => void;
  /** One line for a person: what starts, died, was restarted. */
  onNote?: (text: string) => void;
  /** Gives up a start that is under way; an instance that runs is not touched. */
  signal?: AbortSignal;
};

/** A start that somebody gave up: everything it began is stopped again. */
export class StartInterruptedError extends Error {
  override name = 'StartInterruptedError';
  constructor() {
    super('the start was interrupted: everything is stopped again');
  }
}

export type Runtime = Addresses & {
  dataDir: string;
  logDir: string;
  ports: Ports;
  /** Address of the HTTP API; null: it was not started. */
  api: string | null;
  /** False: another process owns the instance, and `stop` only lets go of it. */
  owned: boolean;
  /** Processes that run now, by name: postgres, temporal, worker-1, ml-1. */
  children(): Promise<ChildEntry[]>;
  /** Sizes of the log files from now on; whoever attached does not write them. */
  limitLogs(limits: LogLimits): void;
  /** A line of the process that owns the instance, beside those of its children. */
  writeLog(record: LogRecord): void;
  /** Rejects when a child is dead for good; never resolves. */
  failed: Promise<never>;
  /** Stops workers, then Temporal and Postgres, and frees the folder. */
  stop(): Promise<void>;
};

const stateSchema = z.object({
  pid: z.number().int(),
  command: z.string(),
  startedAt: z.string(),
  temporal: z.string(),
  namespace: z.string(),
  temporalUi: z.string().nullable(),
  postgres: z.string(),
  /** host:port/database of each login. */
  databases: z.record(z.string(), z.string()).optional(),
  artifactUrl: z.string(),
  api: z.string().nullable().optional(),
});
/** What a running instance says about itself; no secrets. */
export type RuntimeState = z.infer<typeof stateSchema>;

/** The state file of a folder, or null. It may be that of an instance that is gone: ask the lock. */
export async function readRuntimeState(folder: DataFolder): Promise<RuntimeState | null> {
  const text = await readFile(folder.state, 'utf8').catch(() => null);
  if (text === null) return null;
  const parsed = stateSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}

/**
 * Starts everything that the environment does not name: Postgres (migrated), Temporal, the workers.
 * Throws FolderLockedError when a living instance has the folder, PortTakenError, FolderVersionError,
 * StartInterruptedError.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const folder = dataFolderAt(resolveDataDir(options.dataDir));
  await createFolders(folder);
  const lock = await lockFolder(folder.root, options.command);
  const instance = new Instance(options, folder, lock);
  const giveUp = (): void => instance.giveUp();
  options.signal?.addEventListener('abort', giveUp);
  try {
    if (options.signal?.aborted === true) giveUp();
    const runtime = await instance.start();
    if (options.signal?.aborted === true) throw new StartInterruptedError();
    return runtime;
  } catch (error) {
    await instance.stop();
    // Whatever failed then failed because its servers were stopped.
    throw options.signal?.aborted === true ? new StartInterruptedError() : error;
  } finally {
    options.signal?.removeEventListener('abort', giveUp);
  }
}

type ServerInput = { addresses: Addresses; ports: Ports; secrets: Secrets; found: FolderVersion | null };

class Instance {
  private readonly options: RuntimeOptions;
  private readonly folder: DataFolder;
  private readonly lock: FolderLock;
  private readonly logs: LogFiles;
  private readonly unwritten: LogRecord[] = [];
  private readonly servers: Supervised[] = [];
  private readonly workers: Supervised[] = [];
  private readonly writeChildren: () => Promise<void>;
  private readonly failed: Promise<never>;
  private fail: (error: Error) => void = () => undefined;
  private stopping: Promise<void> | null = null;
  private givenUp = false;

  constructor(options: RuntimeOptions, folder: DataFolder, lock: FolderLock) {
    this.options = options;
    this.folder = folder;
    this.lock = lock;
    this.logs = new LogFiles(folder.logs);
    this.writeChildren = childrenWriter(folder.children, () => this.entries());
    this.failed = new Promise<never>((_resolve, reject) => {
      this.fail = reject;
    });
    // Whoever does not look at it must not be ended by it.
    this.failed.catch(() => undefined);
  }

  async start(): Promise<Runtime> {
    const { folder } = this;
    // The state of an instance that is gone must not look like ours: in a container even the pid is the same.
    await rm(folder.state, { force: true });
    const found = await checkVersion(folder);
    // A backup may be what makes room.
    if (this.options.only !== 'database') await requireFreeDisk(folder, this.options.minFreeBytes);
    const [ports, secrets, left] = await Promise.all([
      ensurePorts(folder),
      ensureSecrets(folder.secrets),
      endLeftovers(folder.children),
    ]);
    for (const name of left) this.note(`ended ${name}, left behind by an earlier start`);
    const addresses = resolveAddresses({ env: readEnv(), folder, ports, secrets });
    if (this.options.only === 'database') {
      await this.startPostgres({ addresses, ports, secrets });
    } else {
      await this.startServers({ addresses, ports, secrets, found });
      await this.startWorkers(addresses, ports);
      await writeVersion(folder);
      await this.writeState(addresses, ports);
    }
    return {
      ...addresses,
      ports,
      api: this.apiUrl(ports),
      dataDir: folder.root,
      logDir: folder.logs,
      owned: true,
      children: () => Promise.resolve(this.entries()),
      limitLogs: (limits) => this.logs.limit(limits),
      writeLog: (record) => this.log(record),
      failed: this.failed,
      stop: () => this.stop(),
    };
  }

  /** Side by side, except that a Temporal upgrade asks Postgres first whether runs are open. */
  private async startServers(input: ServerInput): Promise<void> {
    const { addresses, found } = input;
    const upgrade =
      addresses.embedded.temporal && found !== null && found.temporalServer !== TEMPORAL_SERVER_VERSION;
    const database = this.startPostgres(input).then(() => migrateKnown(addresses));
    if (!upgrade) {
      await all([database, this.startTemporal(input)]);
      return;
    }
    await database;
    const abandoned = await prepareTemporalUpgrade({
      root: this.folder.root,
      from: found,
      to: TEMPORAL_SERVER_VERSION,
      ownerUrl: addresses.urls.owner,
      abandonRuns: this.options.abandonRuns ?? false,
      by: userInfo().username,
    });
    for (const workflowId of abandoned) this.note(`gave up ${workflowId}: Temporal was upgraded`, 'WARNING');
    await this.startTemporal(input);
  }

  private async startPostgres(input: {
    addresses: Addresses;
    ports: Ports;
    secrets: Secrets;
  }): Promise<void> {
    if (!input.addresses.embedded.postgres) return;
    // Making a cluster takes a second: not after Ctrl-C.
    if (this.givenUp) throw new StartInterruptedError();
    const spec = await postgresSpec({
      dataDir: this.folder.postgres,
      tempDir: this.folder.temp,
      port: input.ports.postgres,
      ownerPassword: input.secrets.owner,
      onLine: this.lineWriter('postgres'),
    });
    await this.startChild(spec, this.servers);
  }

  private async startTemporal(input: { addresses: Addresses; ports: Ports }): Promise<void> {
    if (!input.addresses.embedded.temporal) return;
    const spec = await temporalSpec({
      port: input.ports.temporal,
      uiPort: input.ports.temporalUi,
      databaseFile: this.folder.temporalDatabase,
      onLine: this.lineWriter('temporal'),
    });
    await this.startChild(spec, this.servers);
  }

  private async startWorkers(addresses: Addresses, ports: Ports): Promise<void> {
    const { typescript, ml } = this.options.workers ?? { typescript: 1, ml: 1 };
    const optionsFor = (name: string): WorkerOptions => ({
      name,
      addresses,
      folder: this.folder,
      sampleDataDir: this.options.sampleDataDir,
      configPath: this.options.configPath,
      extraEnv: this.options.extraEnv ?? {},
      onLine: this.lineWriter(name),
    });
    const names = (prefix: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
    await all([
      ...names('worker', typescript).map((name) =>
        this.startChild(typescriptWorkerSpec(optionsFor(name)), this.workers),
      ),
      ...names('ml', ml).map((name) => this.startChild(pythonWorkerSpec(optionsFor(name)), this.workers)),
      ...(this.options.api === true
        ? [this.startChild(apiSpec({ ...optionsFor('api'), port: ports.api }), this.workers)]
        : []),
    ]);
  }

  private async startChild(spec: SupervisedSpec, list: Supervised[]): Promise<void> {
    if (this.givenUp) throw new StartInterruptedError();
    const child = new Supervised(spec, this.events());
    list.push(child);
    await child.start();
  }

  private events(): SupervisorEvents {
    return {
      onNote: (name, text) => this.note(`${name}: ${text}`, 'WARNING'),
      onChange: () => void this.writeChildren(),
      onGivenUp: (_name, error) => {
        this.note(error.message, 'CRITICAL');
        this.fail(error);
      },
    };
  }

  private lineWriter(source: string): SupervisedSpec['onLine'] {
    return (line, stream) => this.log(parseLogLine({ line, source, stream }));
  }

  private note(text: string, level: LogRecord['level'] = 'INFO'): void {
    this.options.onNote?.(text);
    this.log({
      time: new Date(),
      level,
      logger: 'nightshift.runtime',
      message: text,
      source: 'runtime',
      task: null,
      fields: {},
    });
  }

  private log(record: LogRecord): void {
    this.options.onLog?.(record);
    this.unwritten.push(record);
    if (this.unwritten.length === 1) queueMicrotask(() => this.writeLogs());
  }

  /** What a child printed in one piece is written in one piece. */
  private writeLogs(): void {
    try {
      this.logs.write(...this.unwritten.splice(0));
    } catch (error) {
      // A full disk must not end the night; whoever watches the records still sees them.
      this.options.onNote?.(
        `log line not written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  private entries(): ChildEntry[] {
    return childEntries([...this.servers, ...this.workers]);
  }

  private apiUrl(ports: Ports): string | null {
    return this.options.api === true ? `http://127.0.0.1:${ports.api}` : null;
  }

  private async writeState(addresses: Addresses, ports: Ports): Promise<void> {
    const { temporal, namespace, temporalUi, postgres, artifactUrl, urls } = addresses;
    const state: RuntimeState = {
      pid: process.pid,
      command: this.options.command,
      startedAt: new Date().toISOString(),
      temporal,
      namespace,
      temporalUi,
      postgres,
      databases: databasesOf(urls),
      artifactUrl,
      api: this.apiUrl(ports),
    };
    await writeFileWhole(this.folder.state, `${JSON.stringify(state, null, 2)}\n`);
  }

  /** Ends what the start has begun and lets nothing more begin: `start` fails, and its caller stops the rest. */
  giveUp(): void {
    this.givenUp = true;
    for (const child of [...this.workers, ...this.servers]) void child.stop();
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopAll();
    return this.stopping;
  }

  /** Workers first: what they do ends or is handed back while the servers still answer. */
  private async stopAll(): Promise<void> {
    await rm(this.folder.state, { force: true });
    await Promise.all(this.workers.map((child) => child.stop()));
    await Promise.all(this.servers.map((child) => child.stop()));
    await this.writeChildren();
    await this.lock.release();
  }
}

/** Migrates a database that no newer product has migrated further. */
async function migrateKnown({ urls, rolePasswords }: Addresses): Promise<void> {
  const applied = await withDatabase(urls.owner, appliedMigrations);
  const known = await knownMigrations();
  if (applied > known) {
    throw new FolderVersionError(
      `the database was written by a newer Nightshift: it has ${applied} migrations, this version knows ${known}`,
    );
  }
  await migrate({ ownerUrl: urls.owner, ...(rolePasswords === null ? {} : { rolePasswords }) });
}

/** Waits for all, then throws the first failure: nothing is left half started behind our back. */
async function all(starts: Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(starts);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
