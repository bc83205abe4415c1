import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHere } from '../support/cli.ts';
import { childrenOf, type InstanceProcess, startInstance } from '../support/instance.ts';
import { copyFolder, sharedPreparedFolder, type TestFolder } from '../support/prepared-folder.ts';

let folder: TestFolder;
let up: InstanceProcess;
let api: string;
let token: string;

const start = async (): Promise<InstanceProcess> => {
  const process = startInstance({ args: ['up', '--no-workers', '--data-dir', folder.path] });
  await process.printed('Running. Ctrl-C stops it.');
  return process;
};
const status = async (
  as: string,
): Promise<{ code: number; body: { running?: boolean; detail?: string } }> => {
  const response = await fetch(`${api}/scheduler/status`, { headers: { authorization: `Bearer ${as}` } });
  return { code: response.status, body: (await response.json()) as { running?: boolean } };
};

beforeAll(async () => {
  folder = await copyFolder(await sharedPreparedFolder());
  up = await start();
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
    expect(scheduler).not.toContain(token.split('_')[2]);
  });

  it('knows tokens that are made and revoked on the command line', async () => {
    const made = await runHere(
      'token',
      'create',
      '--name',
      'Bob',
      '--role',
      'viewer',
      '--data-dir',
      folder.path,
    );
    const [text = ''] = /nst_\S+/.exec(made.output) ?? [];
    expect((await status(text)).code).toBe(200);
    const [, id = ''] = text.split('_');
    const list = await runHere('token', 'list', '--data-dir', folder.path);
    expect(list.output).toMatch(new RegExp(`${id} +Bob +viewer`));
    expect(list.output).not.toContain(text);
    await runHere('token', 'revoke', id, '--why', 'left', '--data-dir', folder.path);
    await expect.poll(async () => (await status(text)).code, { timeout: 5_000 }).toBe(401);
    expect(await runHere('token', 'revoke', 'nobody', '--why', 'x', '--data-dir', folder.path)).toMatchObject(
      {
        code: 2,
      },
    );
  });

  it('is seen paused by the command line, and sees what the command line pauses', async () => {
    await fetch(`${api}/scheduler/stop`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    const paused = await runHere('status', '--data-dir', folder.path);
    expect(paused.output).toMatch(/nightly +paused: paused by admin: POST \/scheduler\/stop/);
    const by = ['--by', 'Ann', '--why', 'back', '--data-dir', folder.path];
    await runHere('schedule', 'unpause', ...by);
    await expect.poll(async () => (await status(token)).body.running, { timeout: 5_000 }).toBe(true);
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

  it('keeps its address and its token over a restart, and is asked for no second one', async () => {
    up.process.kill('SIGTERM');
    await up.exited;
    up = await start();
    expect(up.output()).toContain(api);
    expect(up.output()).not.toContain('Admin token');
    expect((await status(token)).code).toBe(200);
  }, 60_000);
});
