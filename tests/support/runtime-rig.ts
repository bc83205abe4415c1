import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { expect, vi } from 'vitest';
import { openRuntime } from '../../src/runtime/attach.ts';
import { type Runtime, type RuntimeOptions, startRuntime } from '../../src/runtime/embedded.ts';
import { isRunning } from '../../src/runtime/process-identity.ts';
import { withDatabase } from '../../src/runtime/with-database.ts';
import { type InstanceOptions, type InstanceProcess, startInstance } from './instance.ts';
import { copyFolder, sharedPreparedFolder } from './prepared-folder.ts';

const NO_WORKERS = { typescript: 0, ml: 0 };

/** Runtimes of this process and commands of their own on folders below one root; all of it goes with `dispose`. */
export class RuntimeRig {
  readonly root: string;
  private readonly runtimes: Runtime[] = [];
  private readonly instances: InstanceProcess[] = [];

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<RuntimeRig> {
    return new RuntimeRig(await mkdtemp(join(tmpdir(), 'nightshift-runtime-')));
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** A data folder with cluster, migrations and namespace: for tests whose subject is not the making of them. */
  async prepared(name = 'data'): Promise<string> {
    return (await copyFolder(await sharedPreparedFolder(), this.path(name))).path;
  }

  /** Servers without workers, owned by this process. */
  async start(dataDir: string, options: Partial<RuntimeOptions> = {}): Promise<Runtime> {
    const runtime = await startRuntime({ dataDir, command: 'test', workers: NO_WORKERS, ...options });
    this.runtimes.push(runtime);
    return runtime;
  }

  /** The same, or what runs there already. */
  async open(dataDir: string): Promise<Runtime> {
    const runtime = await openRuntime({ dataDir, command: 'test', workers: NO_WORKERS });
    this.runtimes.push(runtime);
    return runtime;
  }

  /** The command as a process of its own. */
  run(args: string[], more: Omit<InstanceOptions, 'args'> = {}): InstanceProcess {
    const instance = startInstance({ args, ...more });
    this.instances.push(instance);
    return instance;
  }

  /** Starts `up` as a process of its own: the servers, and the API only where a test is about it. */
  up(dataDir: string, more: Omit<InstanceOptions, 'args'> & { api?: boolean } = {}): InstanceProcess {
    const { api = false, ...options } = more;
    return this.run(['up', '--no-workers', ...(api ? [] : ['--no-api']), '--data-dir', dataDir], options);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.runtimes.splice(0).map((runtime) => runtime.stop()));
    for (const { process: child, exited } of this.instances.splice(0)) {
      child.kill('SIGKILL');
      await exited;
    }
    // What a killed instance leaves goes by itself, and only then the folder can.
    await vi.waitFor(() => rm(this.root, { recursive: true, force: true }), { timeout: 30_000 });
  }
}

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  return await withDatabase(url, (sql) => sql.unsafe(text));
}

/** True when the Temporal server answers; rejects otherwise. */
export async function temporalAnswers(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  // A refused gRPC channel waits a second before it tries again; a refused socket says so at once.
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection({ host: host ?? '', port: Number(port) });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
  const connection = await Connection.connect({ address, connectTimeout: 2000 });
  await connection.close();
  return true;
}

/** Waits until none of these processes runs any more. */
export async function expectGone(pids: { identity: Parameters<typeof isRunning>[0] }[]): Promise<void> {
  for (const { identity } of pids) {
    await vi.waitFor(async () => expect(await isRunning(identity)).toBe(false), {
      timeout: 30_000,
      interval: 50,
    });
  }
}
