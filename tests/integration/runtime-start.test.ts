import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { lockOwner } from '../../src/runtime/folder-lock.ts';
import { isRoot } from '../../src/runtime/postgres-user.ts';
import { identify } from '../../src/runtime/process-identity.ts';
import { temporalBinary } from '../../src/runtime/temporal.ts';
import { childrenOf } from '../support/instance.ts';
import { expectGone, query, RuntimeRig, temporalAnswers } from '../support/runtime-rig.ts';

const run = promisify(execFile);
let rig: RuntimeRig;
/** Two new folders, both running; in the second, of which the database is enough, a start was killed while it made the cluster. */
let runtime: Runtime;
let other: Runtime;
let firstMs = 0;
const notes: string[] = [];

beforeAll(async () => {
  rig = await RuntimeRig.create();
  await mkdir(join(rig.path('other'), 'postgres.new', 'base'), { recursive: true });
  const startedAt = Date.now();
  runtime = await rig.start(rig.path('data'), { onNote: (text) => notes.push(text) });
  firstMs = Date.now() - startedAt;
  other = await rig.start(rig.path('other'), { only: 'database' });
});
afterAll(() => rig.dispose());

describe('a new folder', () => {
  it('has real servers on loopback with secrets of their own', async () => {
    const [row] = await query(runtime.urls.pipeline, 'select current_user as role');
    expect(row).toEqual({ role: 'nightshift_pipeline' });
    expect(await temporalAnswers(runtime.temporal)).toBe(true);
    expect((await fetch(runtime.temporalUi ?? '')).status).toBe(200);
    expect((await stat(join(runtime.dataDir, 'secrets.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(runtime.dataDir)).mode & 0o777).toBe(0o700);
    const children = await runtime.children();
    expect(children.map(({ name }) => name).sort()).toEqual(['postgres', 'temporal']);
    if (process.platform === 'linux') await expectLoopbackOnly(children.map(({ identity }) => identity.pid));
  });

  it('has other secrets and ports than the next', async () => {
    const secrets = await Promise.all(
      [runtime, other].map(({ dataDir }) => readFile(join(dataDir, 'secrets.json'), 'utf8')),
    );
    const values = secrets.flatMap((text) => Object.values(JSON.parse(text)));
    expect(new Set(values).size).toBe(12);
    expect(new Set([...Object.values(runtime.ports), ...Object.values(other.ports)]).size).toBe(8);
  });

  it('says which version it has, and has log files', async () => {
    expect(await readFile(join(runtime.logDir, 'postgres.log'), 'utf8')).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] postgres - INFO - starting PostgreSQL 18/,
    );
    expect(JSON.parse(await readFile(join(runtime.dataDir, 'version.json'), 'utf8'))).toMatchObject({
      schema: 1,
      postgresMajor: 18,
      temporalServer: '1.31.2',
    });
    expect(notes).toEqual([]);
  });

  it('keeps closed runs for 30 days', async () => {
    const connection = await Connection.connect({ address: runtime.temporal });
    const { config } = await connection.workflowService.describeNamespace({ namespace: runtime.namespace });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
    await connection.close();
  });

  it('has its cluster made anew when an earlier start was killed while it made one', async () => {
    expect(await query(other.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await readdir(other.dataDir)).not.toContain('postgres.new');
  });
});

describe('a folder that was used before', () => {
  it('is left without a trace; the second start has the same ports, secrets and rows, and is not fooled by a lock or a postmaster.pid whose pid belongs to another process', async () => {
    const children = await runtime.children();
    await query(runtime.urls.owner, 'create table kept as select 42 as answer');
    await runtime.stop();
    await expectGone(children);
    expect(await lockOwner(runtime.dataDir)).toBeNull();

    const stranger = process.ppid;
    const lock = {
      pid: stranger,
      startedAt: 'another boot',
      host: (await identify(process.pid))?.host,
      command: 'up',
    };
    await writeFile(join(runtime.dataDir, 'lock.json'), JSON.stringify(lock));
    const pidFile = join(runtime.dataDir, 'postgres', 'postmaster.pid');
    await writeFile(pidFile, `${stranger}\n`);
    if (isRoot()) await run('chown', ['postgres', pidFile]);
    const secondAt = Date.now();
    const again = await rig.start(runtime.dataDir);
    const secondMs = Date.now() - secondAt;
    console.log(`runtime start: ${firstMs} ms new folder, ${secondMs} ms second start`);
    expect(again.ports).toEqual(runtime.ports);
    expect(again.urls).toEqual(runtime.urls);
    expect(await query(again.urls.owner, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(secondMs).toBeLessThan(15_000);
    expect(await identify(stranger)).not.toBeNull();
  });
});

it.runIf(isRoot())('works as an ordinary user too', async () => {
  const home = rig.path('home');
  await mkdir(home);
  const binary = join(home, 'temporal');
  await copyFile(await temporalBinary(), binary);
  // The user has to get to its own folder.
  await run('chmod', ['711', rig.root]);
  await run('chown', ['-R', '65534:65534', home]);
  const dataDir = join(home, 'data');
  const env = { HOME: home, XDG_CACHE_HOME: join(home, 'cache'), NIGHTSHIFT_TEMPORAL_BIN: binary };
  const instance = rig.up(dataDir, { user: { uid: 65_534, gid: 65_534 }, env });
  await instance.printed('Running.');
  const children = await childrenOf(dataDir);
  const owner = await readFile(`/proc/${children['postgres']?.identity.pid}/status`, 'utf8');
  expect(owner).toMatch(/^Uid:\s+65534/m);
  instance.process.kill('SIGTERM');
  expect(await instance.exited).toBe(0);
  await expectGone(Object.values(children));
});

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
