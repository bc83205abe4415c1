import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { lockOwner } from '../../src/runtime/folder-lock.ts';
import { identify } from '../../src/runtime/process-identity.ts';
import { childrenOf, type InstanceProcess } from '../support/instance.ts';
import { expectGone, query, RuntimeRig, temporalAnswers } from '../support/runtime-rig.ts';

const run = promisify(execFile);
const CHILDREN = ['api', 'postgres', 'temporal'];
let rig: RuntimeRig;
/** One folder through all its crashes: each test takes over what the one before has left. */
let dataDir: string;
let instance: InstanceProcess;
let runtime: Runtime;

beforeAll(async () => {
  rig = await RuntimeRig.create();
  dataDir = await rig.prepared();
});
afterAll(() => rig.dispose());

describe('one instance a folder', () => {
  it('lets exactly one of two that start together own the folder; who comes later attaches to it', async () => {
    const both = [rig.up(dataDir, { api: true }), rig.up(dataDir, { api: true })];
    await Promise.any(both.map((one) => one.printed('Running. Ctrl-C stops it.')));
    const [owner, second] = both.toSorted((a, b) => Number(isOwner(b)) - Number(isOwner(a)));
    if (owner === undefined || second === undefined) throw new Error('two were started');
    const attached = await rig.open(dataDir);
    expect(attached.owned).toBe(false);
    expect(await query(attached.urls.api, 'select current_user as role')).toEqual([
      { role: 'nightshift_api' },
    ]);
    expect((await attached.children()).map(({ name }) => name).sort()).toEqual(CHILDREN);
    expect(await apiAnswers(attached.api, '/healthz')).toBe(200);
    expect(await second.exited, second.output()).toBe(0);
    expect(second.output()).toContain('Already running');
    expect(isOwner(second)).toBe(false);
    await attached.stop();
    expect(await temporalAnswers(attached.temporal)).toBe(true);
    const later = await rig.open(dataDir);
    expect(later.temporal).toBe(attached.temporal);
    expect(owner.output()).not.toContain('Already running');
    expect(owner.output()).toMatch(/^Admin token +nst_/m);
    instance = owner;
  });
});

describe('crashes', () => {
  it('takes every child along when the parent is killed, tells who is attached, and starts again on the same folder', async () => {
    const children = await childrenOf(dataDir);
    expect(Object.keys(children).sort()).toEqual(CHILDREN);
    const attached = await attachRuntime(dataDir);
    instance.process.kill('SIGKILL');
    await expect(attached?.failed).rejects.toThrow('ended');
    await instance.exited;
    await expectGone(Object.values(children));
    await expect(apiAnswers(attached?.api ?? null, '/healthz')).rejects.toThrow('fetch failed');
    expect(await lockOwner(dataDir)).toBeNull();

    instance = rig.up(dataDir, { api: true });
    await instance.printed('Running.');
    const again = await attachRuntime(dataDir);
    expect(await query(again?.urls.owner ?? '', 'select 1 as one')).toEqual([{ one: 1 }]);
    // The API has the address and the token that it had before the crash.
    expect(again?.api).toBe(attached?.api);
    expect(instance.output()).not.toContain('Admin token');
    const token = (await readFile(dataFolderAt(dataDir).adminToken, 'utf8')).trim();
    expect(await apiAnswers(attached?.api ?? null, '/scheduler/status', token)).toBe(200);
    await again?.stop();
  });

  it('starts at once after a kill, while the old children are still going', async () => {
    instance.process.kill('SIGKILL');
    // Until it is gone there is an instance to attach to; its children take longer to notice.
    await instance.exited;
    runtime = await rig.open(dataDir);
    expect(runtime.owned).toBe(true);
    expect(await temporalAnswers(runtime.temporal)).toBe(true);
  });

  it('starts a killed Postgres again on the same port, with everything that was committed', async () => {
    // Enough for a recovery that takes a moment: who asks too early then is sent away.
    await query(runtime.urls.owner, 'create table kept (answer int)');
    await query(runtime.urls.owner, 'insert into kept select generate_series(1, 300000)');
    const log = join(dataFolderAt(dataDir).logs, 'postgres.log');
    const { length } = await readFile(log, 'utf8');
    const before = (await runtime.children()).find(({ name }) => name === 'postgres');
    process.kill(before?.identity.pid ?? 0, 'SIGKILL');
    const recovered = async (): Promise<string> => (await readFile(log, 'utf8')).slice(length);
    await expect.poll(recovered, { timeout: 30_000, interval: 100 }).toContain('ready to accept connections');
    expect(await query(runtime.urls.owner, 'select max(answer) as last from kept')).toEqual([
      { last: 300_000 },
    ]);
    // It recovered from its log, and nobody was sent away meanwhile.
    expect(await recovered()).toContain('not properly shut down');
    expect(await recovered()).not.toContain('CRITICAL');
    const after = (await runtime.children()).find(({ name }) => name === 'postgres');
    expect(after).toMatchObject({ restarts: 1 });
    expect(after?.identity.pid).not.toBe(before?.identity.pid);
  });

  it('starts a killed Temporal again on the same port', async () => {
    const before = (await runtime.children()).find(({ name }) => name === 'temporal');
    process.kill(before?.identity.pid ?? 0, 'SIGKILL');
    await vi.waitFor(() => temporalAnswers(runtime.temporal), { timeout: 30_000, interval: 100 });
    expect((await runtime.children()).find(({ name }) => name === 'temporal')).toMatchObject({ restarts: 1 });
    await runtime.stop();
  });

  it('ends servers that lost both parent and guardian', async () => {
    instance = rig.up(dataDir);
    await instance.printed('Running.');
    const children = await childrenOf(dataDir);
    expect(Object.keys(children).sort()).toEqual(['postgres', 'temporal']);
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
    runtime = await rig.start(dataDir, { onNote: (text) => notes.push(text) });
    expect(notes.join()).toContain('left behind by an earlier start');
    expect(await query(runtime.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
    await expectGone(Object.values(children));
    await runtime.stop();
  });
});

/** Status of a GET. */
async function apiAnswers(url: string | null, path: string, token = ''): Promise<number> {
  return (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;
}

function isOwner(one: InstanceProcess): boolean {
  return one.output().includes('Running. Ctrl-C stops it.');
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
