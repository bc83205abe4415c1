import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkAdminToken, checkApi } from './doctor-api.ts';

type Answer = { status: number; body: unknown };
const READY = { status: 200, body: { ready: true, checks: [{ part: 'postgres', ok: true, detail: '18' }] } };
const NOT_READY = {
  status: 503,
  body: {
    ready: false,
    checks: [
      { part: 'postgres', ok: true, detail: '18' },
      { part: 'workers on ml', ok: false, detail: 'no worker asks for work' },
    ],
  },
};

let folder: string;
let tokenPath: string;
let server: Server;
let url: string;
let healthz: Answer;
let readyz: Answer;
const asked: (string | undefined)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-doctor-'));
  tokenPath = join(folder, 'admin-token');
  server = createServer((request, response) => {
    const isReadiness = request.url === '/readyz';
    if (isReadiness) asked.push(request.headers.authorization);
    const { status, body } = isReadiness ? readyz : healthz;
    response.writeHead(status).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

it('says whether the API answers, whether it is ready, and what is missing', async () => {
  const look = (at: string | null = url) => checkApi({ url: at, tokenPath }).look();
  [healthz, readyz] = [{ status: 200, body: {} }, READY];
  expect(await look(null)).toMatch(/^this instance has none/);
  expect(await look()).toMatch(/ answers; its readiness needs a token/);
  expect(asked).toEqual([]);
  await writeFile(tokenPath, 'nst_1_secret\n');
  expect(await look()).toBe(`${url} answers and is ready`);
  expect(asked).toEqual(['Bearer nst_1_secret']);
  readyz = NOT_READY;
  await expect(look()).rejects.toThrow(
    `${url} answers and is not ready: workers on ml: no worker asks for work`,
  );
  readyz = { status: 401, body: {} };
  expect(await look()).toMatchObject([{ level: 'warning', part: 'api' }]);
  readyz = { status: 503, body: { type: 'urn:nightshift:problem:database-down' } };
  await expect(look()).rejects.toThrow('/readyz answers 503, and not what is missing');
  healthz = { status: 500, body: {} };
  await expect(look()).rejects.toThrow('/healthz answers 500');
  await expect(look('http://127.0.0.1:9')).rejects.toThrow(/cannot be reached/);
});

it('says whether others may read the token of the administrator', async () => {
  await writeFile(tokenPath, 'nst_1_secret\n');
  await chmod(tokenPath, 0o644);
  await expect(checkAdminToken(tokenPath).look()).rejects.toThrow('mode 644, others may read it');
  await chmod(tokenPath, 0o600);
  expect(await checkAdminToken(tokenPath).look()).toBe('mode 600');
  await rm(tokenPath);
  expect(await checkAdminToken(tokenPath).look()).toMatch(/^none in this folder/);
});
