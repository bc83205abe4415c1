import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { chooseFreePorts } from '../../src/runtime/ports.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import { HookReceiver } from '../support/alert-receivers.ts';
import { runHere } from '../support/cli.ts';
import { collectedSpans } from '../support/collected-spans.ts';
import { childrenOf, type InstanceProcess, startInstance } from '../support/instance.ts';
import { copyFolder, sharedPreparedFolder, type TestFolder } from '../support/prepared-folder.ts';
import {
  filesBelow,
  type Found,
  placesOf,
  rowsOfOperations,
  saidByTemporal,
} from '../support/secret-hunt.ts';
import {
  answersToNonsense,
  type FailingChannels,
  openFailingChannels,
  passwordsOf,
  startWithWrongPasswords,
} from './api-secrets.ts';

let folder: TestFolder;
let up: InstanceProcess;
let channels: FailingChannels;
let api: string;
let token: string;
let bob: string;
let collector: HookReceiver;

const status = async (
  as: string,
): Promise<{ code: number; body: { running?: boolean; detail?: string } }> => {
  const response = await fetch(`${api}/scheduler/status`, { headers: { authorization: `Bearer ${as}` } });
  return { code: response.status, body: (await response.json()) as { running?: boolean } };
};
const answers = (): Promise<number> =>
  status(token).then(
    ({ code }) => code,
    () => 0,
  );
const here = (...args: string[]) => runHere(...args, '--data-dir', folder.path);

beforeAll(async () => {
  folder = await copyFolder(await sharedPreparedFolder());
  [channels, collector] = await Promise.all([openFailingChannels(folder.path), HookReceiver.start()]);
  const args = ['up', '--no-workers', '--config', channels.configPath, '--data-dir', folder.path];
  up = startInstance({ args, env: { ...channels.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  await up.printed('Running. Ctrl-C stops it.');
  [, api = ''] = /API +(http:\/\/127\.0\.0\.1:\d+)/.exec(up.output()) ?? [];
  [, token = ''] = /Admin token +(nst_\S+)/.exec(up.output()) ?? [];
}, 120_000);
afterAll(async () => {
  up.process.kill('SIGTERM');
  await up.exited;
  await Promise.all([channels.close(), collector.stop()]);
  await folder.dispose();
}, 60_000);

describe('the API of an instance', () => {
  it('answers to the token that the first start printed and kept for its owner only', async () => {
    expect(await status(token)).toMatchObject({ code: 200, body: { running: true } });
    expect((await fetch(`${api}/healthz`)).headers.get('keep-alive')).toBe('timeout=65');
    const path = join(folder.path, 'admin-token');
    expect((await readFile(path, 'utf8')).trim()).toBe(token);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await fetch(`${api}/api/v1/runs/${token}`, { headers: { authorization: `Bearer ${token}` } });
    const scheduler = (): Promise<string> => readFile(join(folder.path, 'logs', 'scheduler.log'), 'utf8');
    await expect.poll(scheduler).toContain(`GET /api/v1/runs/nst_${token.split('_')[1]}_… 404`);
    expect(await scheduler()).toContain('nightshift.api - INFO - GET /scheduler/status 200');
    // The secret may have an underscore of its own.
    expect(await scheduler()).not.toContain(token.slice(-40));
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
    await expect.poll(answers, { timeout: 20_000, interval: 100 }).toBe(200);
    expect((await childrenOf(folder.path))['api']?.identity.pid).not.toBe(child?.identity.pid);
  });

  it('and all beside it keep their secrets, whatever fails', async () => {
    const runtime = await attachRuntime(folder.path);
    if (runtime === null) throw new Error('nothing runs');
    const [apiPort = 0] = await chooseFreePorts(1);
    const alone = await startWithWrongPasswords(runtime, { apiPort, env: channels.env });
    const found: Found[] = [];
    const ask = async (path: string, init: RequestInit = {}, at = api): Promise<string> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const text = await (await fetch(`${at}${path}`, { headers, ...init })).text();
      found.push({ where: path, text });
      return text;
    };
    const post = (path: string, body = '{}') => ask(path, { method: 'POST', body });
    const login = await fetch(`${api}/login`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: api },
      body: new URLSearchParams({ token }),
    });
    const [, cookie = ''] =
      /nightshift_session_\w+=([\w-]{43})/.exec(login.headers.get('set-cookie') ?? '') ?? [];
    try {
      // A source that cannot be read, a login that Postgres refuses, channels of which none works.
      const night = 'sessionDate=2018-02-07&universe=tiny&wait=120';
      expect(await post(`/scheduler/run_ingestion?${night}`)).toMatch(
        /"status":"error".*bars\.parquet does not have the checksum/,
      );
      expect(await post(`/scheduler/run_weekly_maintenance?${night}`)).toMatch(
        /password authentication failed/,
      );
      expect(await post('/api/v1/alerts/test')).toMatch(
        /answered 500.*ECONNREFUSED|the connection failed.*EAUTH/,
      );
      await post('/scheduler/stop', '{"why":"a holiday"}');
      const wrong = `http://127.0.0.1:${apiPort}`;
      await expect
        .poll(() => ask('/healthz', {}, wrong).catch(() => ''), { timeout: 20_000 })
        .toContain('ok');
      expect(await ask('/readyz', {}, wrong)).toContain('Postgres refuses the login of the API');
      await expect
        .poll(() => up.output(), { timeout: 45_000, interval: 100 })
        .toContain('did not reach mail');
      found.push({ where: 'wrong questions', text: await answersToNonsense(api, token) });
      const client = connectClient({
        address: runtime.temporal,
        namespace: runtime.namespace,
        embedded: true,
      });
      found.push(...(await saidByTemporal(client.client)));
      await client.close();
      found.push(...(await rowsOfOperations(runtime.urls.owner)));
    } finally {
      await alone.stop();
      await runtime.stop();
    }
    const { secrets, adminToken, logs, root } = dataFolderAt(folder.path);
    const files = (await filesBelow(logs)).concat(
      await Promise.all(
        ['children.json', 'lock.json', 'ports.json', 'runtime.json', 'version.json'].map(async (name) => ({
          where: name,
          text: await readFile(join(root, name), 'utf8'),
        })),
      ),
    );
    found.push(...files, ...alone.processes.map((one, i) => ({ where: `process ${i}`, text: one.output() })));
    // Its token was printed once, on purpose.
    found.push({ where: 'up', text: up.output().replace(token, '') });
    const all = found.map(({ text }) => text).join('\n');
    // What is looked through does hold what failed, by name.
    const failures = [
      'password authentication failed for user "nightshift_maintenance"',
      'password authentication failed for user "nightshift_api"',
      'bars.parquet does not have the checksum',
      'an alert did not reach slack',
      'an alert did not reach mail',
      'an alert did not reach hook',
      'paused by admin: a holiday',
    ];
    expect(failures.filter((words) => !all.includes(words))).toEqual([]);
    expect(found.filter(({ where }) => where.startsWith('history of')).length).toBeGreaterThan(3);
    const known = {
      'token of the admin': (await readFile(adminToken, 'utf8')).trim().slice(-43),
      'token of Bob': bob.slice(-43),
      'cookie of a login': cookie,
      ...channels.secrets,
      ...alone.secrets,
      ...(await passwordsOf(secrets)),
    };
    expect(Object.entries(known).filter(([, secret]) => secret.length < 24)).toEqual([]);
    expect(placesOf(known, found)).toEqual([]);
  });

  it('sends its last traces to the collector that the environment names when it stops', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { authorization: `Bearer ${token}`, traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    expect((await fetch(`${api}/api/v1/nights`, { headers })).status).toBe(200);
    up.process.kill('SIGTERM');
    await up.exited;
    expect(collectedSpans(collector).filter((span) => span.traceId === traceId)).toMatchObject([
      { name: 'GET /api/v1/nights', service: 'nightshift-api', parentSpanId: '00f067aa0ba902b7' },
    ]);
    const scheduler = await readFile(join(folder.path, 'logs', 'scheduler.log'), 'utf8');
    expect(scheduler).toContain(`"trace_id":"${traceId}"`);
  });
});
