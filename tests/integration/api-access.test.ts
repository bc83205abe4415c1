import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';

import { API_TIMES } from '../../src/api/deps.ts';
import { createDatabase } from '../../src/db/client.ts';
import { revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { testTemporal } from '../support/env.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { useApi } from './api-house.ts';

const api = useApi();

it('a revoked token does not work any more, and the audit says who ended it', async () => {
  const { text, tokenId } = await api.token('operator');
  expect((await api.ask('GET', '/scheduler/status', { token: text })).status).toBe(200);
  const { sql } = api.desk.house.api;
  expect(await revokeApiToken(sql, { tokenId, by: 'Ann', why: 'lost' })).toBe(true);
  expect(await revokeApiToken(sql, { tokenId, by: 'Bob', why: 'again' })).toBe(false);
  expect((await api.ask('GET', '/scheduler/status', { token: text })).status).toBe(401);
  const audit = await listAudit(sql, { subject: tokenId });
  expect(audit.map(({ action, actor }) => [action, actor])).toEqual([
    ['token.revoke', 'Ann'],
    ['token.create', 'Ann'],
  ]);
  expect(JSON.stringify([audit, api.lines])).not.toContain(text.split('_')[2]);
});

describe('a server behind it that goes away and comes back', () => {
  it('Postgres: 503 says so, and it recovers alone', async () => {
    const url = new URL(api.desk.house.urls.api);
    const proxy = await TcpProxy.to({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    const database = createDatabase(url.href, { max: 2 });
    api.restart({ sql: database.sql });
    const { text: token } = await api.token('viewer');
    const status = () => api.ask('GET', '/scheduler/status', { token });
    expect((await status()).status).toBe(200);
    await proxy.close();
    const answer = await status();
    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:nightshift:problem:database-down' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    await proxy.listen();
    await expect.poll(async () => (await status()).status, { interval: 10 }).toBe(200);
    await database.close();
    await proxy.close();
  });

  it('Temporal: /readyz says what is missing, the rest 503, and it recovers alone', async () => {
    api.desk.prepare();
    const [host = '', port] = testTemporal().address.split(':');
    const proxy = await TcpProxy.to({ host, port: Number(port) });
    const connection = Connection.lazy({
      address: `127.0.0.1:${proxy.port}`,
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 100 },
    });
    const { namespace } = api.desk.rig;
    const times = { ...API_TIMES, callMs: 300, checkMs: 300 };
    api.restart({ client: new Client({ connection, namespace }), times });
    const { text: token } = await api.token('operator');
    const ready = () => api.ask('GET', '/readyz', { token });
    const isReady = () =>
      expect.poll(ready, { timeout: 20_000, interval: 10 }).toMatchObject({
        status: 200,
        body: { ready: true },
      });
    await isReady();
    await proxy.close();
    const answer = await ready();
    expect(answer).toMatchObject({ status: 503, body: { ready: false } });
    const { checks } = answer.body as { checks: { part: string; ok: boolean }[] };
    expect(checks.filter(({ ok }) => ok).map(({ part }) => part)).toEqual(['postgres']);
    for (const [method, path] of [
      ['GET', '/scheduler/status'],
      ['POST', '/scheduler/stop'],
    ] as const) {
      expect(await api.ask(method, path, { token }), path).toMatchObject({
        status: 503,
        body: { type: 'urn:nightshift:problem:temporal-down' },
      });
    }
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    await proxy.listen();
    await isReady();
    await connection.close();
    await proxy.close();
  });
});
