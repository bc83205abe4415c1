import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, readlink, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { createDatabase } from '../db/client.ts';
import { childEnv } from './env.ts';
import { exists } from './files.ts';
import type { GuardedOptions } from './guardian.ts';
import { requireFreePort } from './ports.ts';
import {
  ensurePostgresUser,
  isRoot,
  type PostgresPrograms,
  type PostgresUser,
  programsFor,
} from './postgres-user.ts';
import { commandOf, endProcess, identify } from './process-identity.ts';
import type { SupervisedSpec } from './supervisor.ts';

export const OWNER_ROLE = 'nightshift_owner';
export const DATABASE = 'nightshift';
const READY_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 20_000;

export type EmbeddedPostgresOptions = {
  /** Folder of the cluster; made when it is not there. */
  dataDir: string;
  /** Existing folder for files of a moment. */
  tempDir: string;
  port: number;
  ownerPassword: string;
  /** Server settings beside or instead of ours. */
  settings?: Record<string, string>;
  onLine: GuardedOptions['onLine'];
};

/** URL of the owner's login (a superuser of the embedded server). */
export function ownerUrl(options: { port: number; ownerPassword: string; database?: string }): string {
  const { port, ownerPassword, database = DATABASE } = options;
  return `postgres://${OWNER_ROLE}:${encodeURIComponent(ownerPassword)}@127.0.0.1:${port}/${database}`;
}

/** The embedded Postgres as a supervised child: made, recovered, started, its database created. */
export async function postgresSpec(options: EmbeddedPostgresOptions): Promise<SupervisedSpec> {
  const user = isRoot() ? await ensurePostgresUser() : null;
  const programs = await programsFor(user);
  if (!(await exists(join(options.dataDir, 'PG_VERSION')))) await createCluster({ options, programs, user });
  const directory = openForChild(options.dataDir, user);
  return {
    name: 'postgres',
    onLine: options.onLine,
    readyTimeoutMs: READY_TIMEOUT_MS,
    prepare: async () => {
      await removeForeignPidFile(options.dataDir);
      await requireFreePort({ port: options.port, purpose: 'Postgres', waitMs: 2000 });
      return {
        command: programs.postgres,
        args: ['-D', directory.path, ...settingFlags({ ...settings(options.port), ...options.settings })],
        cwd: '/',
        env: { LC_ALL: 'C', LC_MESSAGES: 'C' },
        // A fast shutdown: open transactions are rolled back, a checkpoint is written.
        stopSignal: 'SIGINT',
        graceMs: STOP_GRACE_MS,
        descriptors: directory.descriptors,
        ...(user === null ? {} : { user }),
      };
    },
    ready: (signal) => waitForDatabase(options, signal),
  };
}

/** Server settings: loopback only, durable, sized for a desk's night on the machine it shares with the models. */
function settings(port: number): Record<string, string> {
  const memoryMiB = totalmem() / 1024 ** 2;
  const sharedMiB = Math.round(Math.min(512, Math.max(128, memoryMiB / 16)));
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // No socket file: its path can be longer than the system allows, and the loopback port is enough.
    unix_socket_directories: '',
    max_connections: '120',
    shared_buffers: `${sharedMiB}MB`,
    effective_cache_size: `${Math.round(Math.max(512, memoryMiB / 4))}MB`,
    work_mem: '32MB',
    maintenance_work_mem: '128MB',
    // Bulk loads must not wait for a checkpoint every few seconds.
    max_wal_size: '2GB',
    min_wal_size: '256MB',
    checkpoint_timeout: '15min',
    // Nobody replicates the embedded server: less WAL for the same durability.
    wal_level: 'minimal',
    max_wal_senders: '0',
    random_page_cost: '1.1',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    log_line_prefix: '',
  };
}

function settingFlags(values: Record<string, string>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * A folder as a child of another user can reach it. The data folder is closed to others (0700), so root
 * hands the open folder over: `/proc/self/fd/N` leads into it without a walk through its parents.
 */
function openForChild(
  path: string,
  user: PostgresUser | null,
  fd = 4,
): { path: string; descriptors: number[] } {
  if (user === null || process.platform !== 'linux') return { path, descriptors: [] };
  return { path: `/proc/self/fd/${fd}`, descriptors: [openSync(path, 'r')] };
}

/** initdb into a temporary folder, then one rename: a start killed halfway leaves no half cluster. */
async function createCluster(input: {
  options: EmbeddedPostgresOptions;
  programs: PostgresPrograms;
  user: PostgresUser | null;
}): Promise<void> {
  const { options, programs, user } = input;
  const cluster = `${options.dataDir}.new`;
  await rm(cluster, { recursive: true, force: true });
  await mkdir(cluster, { mode: 0o700 });
  const secretDir = await mkdtemp(join(options.tempDir, 'initdb-'));
  const passwordFile = join(secretDir, 'password');
  await writeFile(passwordFile, `${options.ownerPassword}\n`, { mode: 0o600 });
  if (user !== null) {
    for (const path of [cluster, secretDir, passwordFile]) await chown(path, user.uid, user.gid);
  }
  const data = openForChild(cluster, user, 3);
  const secret = openForChild(secretDir, user, 4);
  try {
    await runInitdb({
      program: programs.initdb,
      args: [
        `--pgdata=${data.path}`,
        `--username=${OWNER_ROLE}`,
        `--pwfile=${join(secret.path, 'password')}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // The same order of text on every machine, whatever locales it has.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
      ],
      user,
      descriptors: [...data.descriptors, ...secret.descriptors],
    });
    await rename(cluster, options.dataDir);
  } finally {
    for (const descriptor of [...data.descriptors, ...secret.descriptors]) closeSync(descriptor);
    await rm(secretDir, { recursive: true, force: true });
  }
}

function runInitdb(input: {
  program: string;
  args: string[];
  user: PostgresUser | null;
  descriptors: number[];
}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(input.program, input.args, {
      ...input.user,
      cwd: '/',
      env: childEnv({ LC_ALL: 'C' }),
      stdio: ['ignore', 'pipe', 'pipe', ...input.descriptors],
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`initdb ended with code ${code}:\n${output}`));
    });
  });
}

/**
 * After a crash postmaster.pid names a process that is gone, which Postgres sorts out itself, or one that
 * is not: a server that lost its guardian (ended here), or another program that got the pid (file removed).
 */
async function removeForeignPidFile(dataDir: string): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8').catch(() => null);
  const pid = Number.parseInt(text ?? '', 10);
  if (Number.isNaN(pid) || pid <= 0) return;
  const identity = await identify(pid);
  if (identity === null) return;
  if (await servesFolder(pid, dataDir))
    await endProcess({ identity, signal: 'SIGINT', graceMs: STOP_GRACE_MS });
  else await rm(pidFile, { force: true });
}

async function servesFolder(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform === 'linux') {
    // A server's working directory is its data folder.
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null);
    return cwd === (await realpath(dataDir));
  }
  return (await commandOf(pid))?.includes(dataDir) ?? false;
}

/** Waits until the server takes logins (crash recovery included) and holds our database. */
async function waitForDatabase(options: EmbeddedPostgresOptions, signal: AbortSignal): Promise<void> {
  for (;;) {
    // Asked earlier, it refuses, and its log tells of a CRITICAL that nobody needs to look at.
    while (!(await saysReady(options.dataDir))) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const server = createDatabase(ownerUrl({ ...options, database: 'postgres' }), {
      max: 1,
      connectTimeoutMs: 5000,
    });
    try {
      const [known] = await server.sql`select 1 from pg_database where datname = ${DATABASE}`;
      if (known === undefined) await server.sql.unsafe(`create database ${DATABASE}`);
      return;
    } catch (error) {
      if (signal.aborted || !isStartingUp(error)) throw error;
    } finally {
      await server.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/**
 * What pg_ctl waits for too: the eighth line of postmaster.pid is the server's own word about its state. A file that a
 * crash left still says what was true before: its process is gone.
 */
async function saysReady(dataDir: string): Promise<boolean> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const [pid = '', , , , , , , state = ''] = text.split('\n');
  return state.trim() === 'ready' && (await identify(Number(pid))) !== null;
}

function isStartingUp(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  // 57P03: cannot connect now. The rest: not listening yet, or the crash handler just cut the connection.
  return ['57P03', 'ECONNREFUSED', 'ECONNRESET', 'CONNECTION_CLOSED', 'CONNECT_TIMEOUT'].includes(
    String(code),
  );
}
