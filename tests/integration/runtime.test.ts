import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensureSchedules, temporalTarget } from '../../src/cli/app.ts';
import { createDatabase } from '../../src/db/client.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { attachRuntime, openRuntime, stopRunning } from '../../src/runtime/attach.ts';
import { currentVersion } from '../../src/runtime/data-folder.ts';
import { type Runtime, type RuntimeOptions, startRuntime } from '../../src/runtime/embedded.ts';
import { lockOwner } from '../../src/runtime/folder-lock.ts';
import { isRoot } from '../../src/runtime/postgres-user.ts';
import { identify, isRunning } from '../../src/runtime/process-identity.ts';
import { temporalBinary } from '../../src/runtime/temporal.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import { describeSchedules, setSchedulePaused } from '../../src/temporal/schedules.ts';
import { childrenOf, type InstanceProcess, startInstance } from '../support/instance.ts';

const run = promisify(execFile);
let dataDir: string;
let root: string;
const opened: Runtime[] = [];
const instances: InstanceProcess[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-runtime-'));
  dataDir = join(root, 'data');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((runtime) => runtime.stop()));
  for (const { process: child, exited } of instances.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
  // What a killed instance leaves goes by itself, and only then the folder can.
  await vi.waitFor(() => rm(root, { recursive: true, force: true }), { timeout: 30_000 });
});

const start = async (options: Partial<RuntimeOptions> = {}): Promise<Runtime> => {
  const runtime = await startRuntime({
    dataDir,
    command: 'test',
    workers: { typescript: 0, ml: 0 },
    ...options,
  });
  opened.push(runtime);
  return runtime;
};
const up = (folder = dataDir, more: Partial<Parameters<typeof startInstance>[0]> = {}): InstanceProcess => {
  const instance = startInstance({ args: ['up', '--no-workers', '--data-dir', folder], ...more });
  instances.push(instance);
  return instance;
};
const query = async (url: string, text: string): Promise<Record<string, unknown>[]> => {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(text);
  } finally {
    await sql.end();
  }
};
const temporalAnswers = async (address: string): Promise<boolean> => {
  const connection = await Connection.connect({ address, connectTimeout: 2000 });
  await connection.close();
  return true;
};
const expectGone = async (pids: { identity: Parameters<typeof isRunning>[0] }[]): Promise<void> => {
  for (const { identity } of pids) {
    await vi.waitFor(async () => expect(await isRunning(identity)).toBe(false), {
      timeout: 30_000,
      interval: 100,
    });
  }
};

describe('start and stop', () => {
  it('starts real servers on loopback with secrets of their own, and stops without a trace', async () => {
    const startedAt = Date.now();
    const runtime = await start();
    const firstMs = Date.now() - startedAt;
    const [row] = await query(runtime.urls.pipeline, 'select current_user as role');
    expect(row).toEqual({ role: 'nightshift_pipeline' });
    expect(await temporalAnswers(runtime.temporal)).toBe(true);
    expect((await fetch(runtime.temporalUi ?? '')).status).toBe(200);
    expect((await stat(join(dataDir, 'secrets.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    const children = await runtime.children();
    expect(children.map(({ name }) => name).sort()).toEqual(['postgres', 'temporal']);
    if (process.platform === 'linux') await expectLoopbackOnly(children.map(({ identity }) => identity.pid));
    await query(runtime.urls.owner, 'create table kept as select 42 as answer');
    await runtime.stop();
    await expectGone(children);
    expect(await lockOwner(dataDir)).toBeNull();

    const secondAt = Date.now();
    const again = await start();
    const secondMs = Date.now() - secondAt;
    console.log(`runtime start: ${firstMs} ms new folder, ${secondMs} ms second start`);
    expect(again.ports).toEqual(runtime.ports);
    expect(again.urls).toEqual(runtime.urls);
    expect(await query(again.urls.owner, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(secondMs).toBeLessThan(15_000);
  });

  it('gives every folder other secrets and ports', async () => {
    const first = await start();
    const second = await start({ dataDir: join(root, 'other') });
    const secrets = await Promise.all(
      [dataDir, join(root, 'other')].map((dir) => readFile(join(dir, 'secrets.json'), 'utf8')),
    );
    const values = secrets.flatMap((text) => Object.values(JSON.parse(text)));
    expect(new Set(values).size).toBe(12);
    expect(new Set([...Object.values(first.ports), ...Object.values(second.ports)]).size).toBe(8);
  });

  it('says which processes and addresses it has, and writes its log files', async () => {
    const notes: string[] = [];
    const runtime = await start({ onNote: (text) => notes.push(text) });
    expect(await readFile(join(runtime.logDir, 'postgres.log'), 'utf8')).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] postgres - INFO - starting PostgreSQL 18/,
    );
    expect(JSON.parse(await readFile(join(dataDir, 'version.json'), 'utf8'))).toMatchObject({
      schema: 1,
      postgresMajor: 18,
      temporalServer: '1.31.2',
    });
    expect(notes).toEqual([]);
  });

  it.runIf(isRoot())('works as an ordinary user too', async () => {
    const user = { uid: 65_534, gid: 65_534 };
    const binary = join(root, 'temporal');
    await copyFile(await temporalBinary(), binary);
    await run('chown', ['-R', '65534:65534', root]);
    const env = { HOME: root, XDG_CACHE_HOME: join(root, 'cache'), NIGHTSHIFT_TEMPORAL_BIN: binary };
    const instance = up(dataDir, { user, env });
    await instance.printed('Running.');
    const children = await childrenOf(dataDir);
    const owner = await readFile(`/proc/${children['postgres']?.identity.pid}/status`, 'utf8');
    expect(owner).toMatch(/^Uid:\s+65534/m);
    instance.process.kill('SIGTERM');
    expect(await instance.exited).toBe(0);
    await expectGone(Object.values(children));
  });
});

describe('crashes', () => {
  it('takes every child along when the parent is killed, and starts again on the same folder', async () => {
    const instance = up();
    await instance.printed('Running.');
    const children = await childrenOf(dataDir);
    expect(Object.keys(children).sort()).toEqual(['postgres', 'temporal']);
    instance.process.kill('SIGKILL');
    await instance.exited;
    await expectGone(Object.values(children));
    expect(await lockOwner(dataDir)).toBeNull();
    const runtime = await start();
    expect(await query(runtime.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('starts at once after a kill, while the old children are still going', async () => {
    const instance = up();
    await instance.printed('Running.');
    instance.process.kill('SIGKILL');
    // Until it is gone there is an instance to attach to; its children take longer to notice.
    await instance.exited;
    const runtime = await openRuntime({ dataDir, command: 'test', workers: { typescript: 0, ml: 0 } });
    opened.push(runtime);
    expect(runtime.owned).toBe(true);
    expect(await temporalAnswers(runtime.temporal)).toBe(true);
  });

  it('ends servers that lost both parent and guardian', async () => {
    const instance = up();
    await instance.printed('Running.');
    const children = await childrenOf(dataDir);
    const postgresPid = children['postgres']?.identity.pid ?? 0;
    const temporalPid = children['temporal']?.identity.pid ?? 0;
    const guardians = await Promise.all([postgresPid, temporalPid].map(guardianOf));
    // The parent first: it would notice that a guardian is gone.
    process.kill(instance.process.pid ?? 0, 'SIGSTOP');
    for (const leader of guardians) await killShells(leader, [postgresPid, temporalPid]);
    instance.process.kill('SIGKILL');
    await instance.exited;
    expect(await identify(postgresPid)).not.toBeNull();
    expect(await identify(temporalPid)).not.toBeNull();
    const notes: string[] = [];
    const runtime = await start({ onNote: (text) => notes.push(text) });
    expect(notes.join()).toContain('left behind by an earlier start');
    expect(await query(runtime.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
    await expectGone(Object.values(children));
  });

  it('starts a killed Postgres again on the same port, with everything that was committed', async () => {
    const runtime = await start();
    await query(runtime.urls.owner, 'create table kept as select 1 as answer');
    const before = (await runtime.children()).find(({ name }) => name === 'postgres');
    process.kill(before?.identity.pid ?? 0, 'SIGKILL');
    await vi.waitFor(
      async () => expect(await query(runtime.urls.owner, 'select answer from kept')).toEqual([{ answer: 1 }]),
      {
        timeout: 30_000,
        interval: 200,
      },
    );
    const after = (await runtime.children()).find(({ name }) => name === 'postgres');
    expect(after).toMatchObject({ restarts: 1 });
    expect(after?.identity.pid).not.toBe(before?.identity.pid);
  });

  it('starts a killed Temporal again on the same port', async () => {
    const runtime = await start();
    const before = (await runtime.children()).find(({ name }) => name === 'temporal');
    process.kill(before?.identity.pid ?? 0, 'SIGKILL');
    await vi.waitFor(() => temporalAnswers(runtime.temporal), { timeout: 30_000, interval: 200 });
    expect((await runtime.children()).find(({ name }) => name === 'temporal')).toMatchObject({ restarts: 1 });
  });

  it('makes a cluster anew that was killed half made, and is not fooled by a lock or a postmaster.pid whose pid belongs to another process', async () => {
    await mkdir(join(dataDir, 'postgres.new', 'base'), { recursive: true });
    const first = await start();
    await first.stop();
    const stranger = process.ppid;
    const lock = {
      pid: stranger,
      startedAt: 'another boot',
      host: (await identify(process.pid))?.host,
      command: 'up',
    };
    await writeFile(join(dataDir, 'lock.json'), JSON.stringify(lock));
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), `${stranger}\n`);
    if (isRoot()) await run('chown', ['postgres', join(dataDir, 'postgres', 'postmaster.pid')]);
    const second = await start();
    expect(await query(second.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await identify(stranger)).not.toBeNull();
  });
});

describe('one instance a folder', () => {
  it('attaches to the running instance instead of starting', async () => {
    const instance = up();
    await instance.printed('Running.');
    const attached = await openRuntime({ dataDir, command: 'test' });
    expect(attached.owned).toBe(false);
    expect(await query(attached.urls.api, 'select current_user as role')).toEqual([
      { role: 'nightshift_api' },
    ]);
    expect((await attached.children()).map(({ name }) => name).sort()).toEqual(['postgres', 'temporal']);
    const second = up();
    expect(await second.exited).toBe(0);
    expect(second.output()).toContain('Already running');
    await attached.stop();
    expect(await temporalAnswers(attached.temporal)).toBe(true);

    const children = await childrenOf(dataDir);
    expect(await stopRunning(dataDir)).toBe(instance.process.pid);
    expect(await instance.exited).toBe(0);
    await expectGone(Object.values(children));
    expect(await attachRuntime(dataDir)).toBeNull();
    expect(await stopRunning(dataDir)).toBeNull();
  });

  it('lets exactly one of two that start together own the folder', async () => {
    const open = (): Promise<Runtime> =>
      openRuntime({ dataDir, command: 'test', workers: { typescript: 0, ml: 0 } });
    const outside = up();
    const inside = await open();
    opened.push(inside);
    await outside.printed(inside.owned ? 'Already running' : 'Running. Ctrl-C stops it.');
    const attached = await open();
    expect(attached.temporal).toBe(inside.temporal);
    expect(outside.output().includes('Already running')).toBe(inside.owned);
  });

  it('tells who is attached that the instance ended', async () => {
    const instance = up();
    await instance.printed('Running.');
    const attached = await attachRuntime(dataDir);
    instance.process.kill('SIGKILL');
    await expect(attached?.failed).rejects.toThrow('ended');
  });
});

describe('refusals', () => {
  it('names port and owner when a stored port is taken', async () => {
    const runtime = await start();
    await runtime.stop();
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(runtime.ports.temporal, '127.0.0.1', resolve));
    const failure = start();
    await expect(failure).rejects.toThrow(
      `port ${runtime.ports.temporal} (Temporal) is taken by pid ${process.pid}`,
    );
    await new Promise((resolve) => squatter.close(resolve));
    // Nothing of the failed start is left: the next one works.
    await start();
  });

  it.each([
    ['schema', 99, 'layout'],
    ['temporalServer', '99.0.0', 'Temporal server'],
    ['postgresMajor', 99, 'Postgres'],
  ])('refuses a folder of a newer product (%s)', async (key, value, part) => {
    await mkdir(dataDir);
    const version = { ...(await currentVersion()), [key]: value };
    await writeFile(join(dataDir, 'version.json'), JSON.stringify(version));
    await expect(start()).rejects.toThrow(`newer Nightshift`);
    await expect(start()).rejects.toThrow(part);
    expect((await readdir(dataDir)).includes('postgres')).toBe(false);
  });

  it('does not lose open runs to an upgrade of Temporal, unless told to, and brings its schedules along', async () => {
    const first = await start();
    await ensureSchedules({ runtime: first, enable: true });
    const night = {
      workflowId: 'nightly/2018-02-06/tiny',
      runId: 'r1',
      sessionDate: '2018-02-06',
      universe: 'tiny',
      universeVersion: 'v1',
      trigger: 'cli' as const,
      configHash: 'c1',
      requestedBy: null,
      nominalInstant: null,
      plan: {},
    };
    const database = createDatabase(first.urls.owner, { max: 1 });
    await insertConfig(database.sql, { configHash: 'c1', body: {} });
    await claimNight(database.sql, night);
    const before = await withClient(first, async (client) => {
      const pause = { scheduleId: 'nightly', paused: true, by: 'Bob', why: 'quarter end' };
      await setSchedulePaused({ client, sql: database.sql, ...pause });
      return scheduleStates(client);
    });
    expect(before).toEqual({
      nightly: { paused: true, note: 'paused by Bob: quarter end' },
      'weekly-maintenance': { paused: false, note: 'enabled by nightshift up' },
    });
    await database.close();
    await first.stop();
    // As the other version left it: its server's database has that version in its name.
    const temporal = join(dataDir, 'temporal');
    for (const name of await readdir(temporal)) {
      await rename(join(temporal, name), join(temporal, name.replace('1.31.2', '1.30.4')));
    }
    const version = { ...(await currentVersion()), temporalServer: '1.30.4' };
    await writeFile(join(dataDir, 'version.json'), JSON.stringify(version));

    const command = startInstance({ args: ['nightly', '--universe', 'tiny', '--data-dir', dataDir] });
    instances.push(command);
    expect(await command.exited).toBe(1);
    expect(command.output()).toContain(
      `nightshift: ${dataDir} was used with Temporal 1.30.4; this version brings 1.31.2, which starts empty, ` +
        'and 1 run is still open (nightly/2018-02-06/tiny). Let Nightshift 0.1.0 finish, or give up what is ' +
        `open: \`nightshift up --abandon-runs --data-dir ${dataDir}\`.`,
    );

    // The very command it names.
    const instance = startInstance({
      args: ['up', '--abandon-runs', '--no-workers', '--data-dir', dataDir],
    });
    instances.push(instance);
    await instance.printed('Running.');
    expect(instance.output()).toContain('gave up nightly/2018-02-06/tiny');
    const second = await attachRuntime(dataDir);
    if (second === null) throw new Error('it runs');
    const [row] = await query(second.urls.owner, 'select state, reason from ops.nights');
    expect(row).toMatchObject({
      state: 'cancelled',
      reason: 'abandoned: Temporal 1.30.4 was replaced by 1.31.2',
    });
    expect(
      await query(second.urls.owner, `select actor, subject from ops.audit where action = 'run.abandon'`),
    ).toMatchObject([{ actor: userInfo().username, subject: 'nightly/2018-02-06/tiny' }]);
    expect(await withClient(second, scheduleStates)).toEqual(before);
    expect(await readdir(temporal)).toEqual(
      expect.arrayContaining(['temporal-1.30.4.db', 'temporal-1.31.2.db']),
    );
    expect(JSON.parse(await readFile(join(dataDir, 'version.json'), 'utf8'))).toEqual(await currentVersion());
  });

  it('takes a folder of an older Temporal without a question when no run is open', async () => {
    const first = await start();
    await first.stop();
    const version = { ...(await currentVersion()), temporalServer: '1.30.4' };
    await writeFile(join(dataDir, 'version.json'), JSON.stringify(version));
    await start();
    expect(JSON.parse(await readFile(join(dataDir, 'version.json'), 'utf8'))).toEqual(await currentVersion());
  });

  it.runIf(canMount())('starts no night under 2 GiB of free disk, but the database of a backup', async () => {
    await mkdir(dataDir);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=800m', 'tmpfs', dataDir]);
    try {
      const command = startInstance({ args: ['nightly', '--universe', 'tiny', '--data-dir', dataDir] });
      instances.push(command);
      expect(await command.exited).toBe(1);
      expect(command.output()).toMatch(
        new RegExp(
          `only 0\\.\\d\\d GiB free on the disk of ${dataDir}: a night needs 2 GiB\\. Free some space, or use --data-dir`,
        ),
      );
      expect(await readdir(dataDir)).not.toContain('postgres');
      const database = await start({ only: 'database' });
      expect(await query(database.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
      await database.stop();
    } finally {
      // Lazily: this process keeps the folder of Postgres open.
      await run('umount', ['-l', dataDir]);
    }
  });

  it('says what is wrong with the environment', async () => {
    vi.stubEnv('DATABASE_URL', 'mysql://x/y');
    await expect(start()).rejects.toThrow('DATABASE_URL');
    vi.unstubAllEnvs();
  });
});

async function withClient<T>(runtime: Runtime, work: (client: Client) => Promise<T>): Promise<T> {
  const temporal = connectClient(temporalTarget(runtime));
  try {
    return await work(temporal.client);
  } finally {
    await temporal.close();
  }
}

async function scheduleStates(client: Client): Promise<Record<string, unknown>> {
  const found = await describeSchedules(client);
  return Object.fromEntries(found.map(({ scheduleId, paused, note }) => [scheduleId, { paused, note }]));
}

/** A disk of a size of our own needs more rights than most have. */
function canMount(): boolean {
  if (!isRoot() || process.platform !== 'linux') return false;
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}

/** Guardian of a child: its parent process. */
async function guardianOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Kills the shells of a guardian's process group and spares the servers. */
async function killShells(leader: number, spared: number[]): Promise<void> {
  const { stdout } = await run('ps', ['-eo', 'pid,pgid']);
  for (const line of stdout.split('\n')) {
    const [pid, group] = line.trim().split(/\s+/).map(Number);
    if (group === leader && pid !== undefined && !spared.includes(pid)) process.kill(pid, 'SIGKILL');
  }
}

/** Every TCP port the processes listen on belongs to 127.0.0.1 (or ::1). */
async function expectLoopbackOnly(pids: number[]): Promise<void> {
  const inodes = new Set<string>();
  for (const pid of pids) {
    const { stdout } = await run('ls', ['-l', `/proc/${pid}/fd`]);
    for (const [, inode] of stdout.matchAll(/socket:\[(\d+)\]/g)) inodes.add(inode ?? '');
  }
  const listening: string[] = [];
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (await readFile(table, 'utf8')).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && inodes.has(fields[9] ?? '')) listening.push(fields[1]?.split(':')[0] ?? '');
    }
  }
  expect(listening.length).toBeGreaterThan(2);
  const loopback = ['0100007F', '00000000000000000000000001000000', '0000000000000000FFFF00000100007F'];
  expect(listening.filter((address) => !loopback.includes(address))).toEqual([]);
}
