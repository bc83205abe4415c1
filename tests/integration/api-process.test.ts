import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHere } from '../support/cli.ts';
import { childrenOf, type InstanceProcess, startInstance } from '../support/instance.ts';
import { copyFolder, sharedPreparedFolder, type TestFolder } from '../support/prepared-folder.ts';

let folder: TestFolder;
let up: InstanceProcess;
let api: string;
let token: string;
let bob: string;

const status = async (
  as: string,
): Promise<{ code: number; body: { running?: boolean; detail?: string } }> => {
  const response = await fetch(`${api}/scheduler/status`, { headers: { authorization: `Bearer ${as}` } });
  return { code: response.status, body: (await response.json()) as { running?: boolean } };
};
const here = (...args: string[]) => runHere(...args, '--data-dir', folder.path);

beforeAll(async () => {
  folder = await copyFolder(await sharedPreparedFolder());
  up = startInstance({ args: ['up', '--no-workers', '--data-dir', folder.path] });
  await up.printed('Running. Ctrl-C stops it.');
  [, api = ''] = /API +(http:\/\/127\.0\.0\.1:\d+)/.exec(up.output()) ?? [];
  [, token = ''] = /Admin token +(nst_\S+)/.exec(up.output()) ?? [];
}, 120_000);
afterAll(async () => {
  up.process.kill('SIGTERM');
  await up.exited;
  await folder.dispose();
}, 60_000);

describe('the API of an instance', () => {
  it('answers to the token that the first start printed and kept for its owner only', async () => {
    expect(await status(token)).toMatchObject({ code: 200, body: { running: true } });
    const path = join(folder.path, 'admin-token');
    expect((await readFile(path, 'utf8')).trim()).toBe(token);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const scheduler = await readFile(join(folder.path, 'logs', 'scheduler.log'), 'utf8');
    expect(scheduler).toContain('nightshift.api - INFO - GET /scheduler/status 200');
    await fetch(`${api}/api/v1/runs/${token}`, { headers: { authorization: `Bearer ${token}` } });
    const pasted = (): Promise<string> => readFile(join(folder.path, 'logs', 'scheduler.log'), 'utf8');
    await expect.poll(pasted).toContain(`GET /api/v1/runs/nst_${token.split('_')[1]}_… 404`);
    expect(await pasted()).not.toContain(token.split('_')[2]);
  });

  it('knows tokens that are made on the command line, which lists and revokes them', async () => {
    const made = await here('token', 'create', '--name', 'Bob', '--role', 'viewer');
    [bob = ''] = /nst_\S+/.exec(made.output) ?? [];
    expect((await status(bob)).code).toBe(200);
    const [, id = ''] = bob.split('_');
    const list = await here('token', 'list');
    expect(list.output).toMatch(new RegExp(`${id} +Bob +viewer`));
    expect(list.output).not.toContain(bob);
    await here('token', 'revoke', id, '--why', 'left');
    expect(await here('token', 'revoke', 'nobody', '--why', 'x')).toMatchObject({ code: 2 });
  });

  it('is seen paused by the command line, and sees what the command line pauses', async () => {
    await fetch(`${api}/scheduler/stop`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    const paused = await here('status');
    expect(paused.output).toMatch(/nightly +paused: paused by admin: POST \/scheduler\/stop/);
    await here('schedule', 'unpause', '--by', 'Ann', '--why', 'back');
    await expect.poll(async () => (await status(token)).body.running, { timeout: 5_000 }).toBe(true);
  });

  it('knows a revoked token for two seconds more at most', async () => {
    // Revoked two tests ago, which is the wait.
    await expect.poll(async () => (await status(bob)).code, { timeout: 3_000 }).toBe(401);
    expect((await status(token)).code).toBe(200);
  });

  it('is examined by the doctor, with its token and what it lacks', async () => {
    const path = join(folder.path, 'admin-token');
    await chmod(path, 0o640);
    const { code, output } = await here('doctor');
    expect(code).toBe(1);
    expect(output).toMatch(/^FAIL {2}admin token: mode 640, others may read it$/m);
    expect(output).toMatch(
      /^FAIL {2}api: http:\S+ answers and is not ready: workers on pipeline: no worker/m,
    );
    expect(output).not.toContain(token);
    await chmod(path, 0o600);
  });

  it('comes back after kill -9', async () => {
    const { api: child } = await childrenOf(folder.path);
    process.kill(child?.identity.pid ?? 0, 'SIGKILL');
    await expect
      .poll(
        () =>
          status(token).then(
            ({ code }) => code,
            () => 0,
          ),
        { timeout: 20_000, interval: 100 },
      )
      .toBe(200);
    expect((await childrenOf(folder.path))['api']?.identity.pid).not.toBe(child?.identity.pid);
  });
});
