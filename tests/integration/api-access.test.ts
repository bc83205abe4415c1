import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';

import { createDatabase } from '../../src/db/client.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { useApi } from './api-house.ts';

const api = useApi();

/** Nobody listens on the discard port of loopback. */
const NOWHERE = '127.0.0.1:9';

describe('who may ask', () => {
  it('anybody /healthz, nothing else without a token', async () => {
    expect(await api.ask('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    for (const path of ['/scheduler/status', '/readyz', '/openapi.json', '/nothing']) {
      const answer = await api.ask('GET', path);
      expect(answer, path).toMatchObject({
        status: 401,
        body: { type: 'urn:nightshift:problem:unauthorized' },
      });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="nightshift"');
    }
  });

  it('a token with a wrong secret, an unknown one and one that is no token are refused alike', async () => {
    const { text } = await api.token('admin');
    const wrong = `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`;
    for (const token of [wrong, `nst_${'0'.repeat(16)}_${'A'.repeat(43)}`, 'hello', `${text}x`]) {
      expect(await api.ask('GET', '/scheduler/status', { token })).toMatchObject({
        status: 401,
        body: { detail: 'this token is not known, or was revoked' },
      });
    }
    expect((await api.ask('GET', '/scheduler/status', { token: text })).status).toBe(200);
  });

  it('a viewer looks and cannot act; an operator does', async () => {
    const { text: viewer } = await api.token('viewer');
    expect((await api.ask('GET', '/scheduler/status', { token: viewer })).status).toBe(200);
    for (const path of [
      '/scheduler/start',
      '/scheduler/stop',
      '/scheduler/run_ingestion',
      '/scheduler/run_task/1',
    ]) {
      expect(await api.ask('POST', path, { token: viewer }), path).toMatchObject({
        status: 403,
        body: { detail: 'the viewer is viewer; this needs operator' },
      });
    }
  });

  it('a revoked token stops working within seconds, and the audit says who ended it', async () => {
    const { text, tokenId } = await api.token('operator');
    expect((await api.ask('GET', '/scheduler/status', { token: text })).status).toBe(200);
    const { sql } = api.desk.house.api;
    expect(await revokeApiToken(sql, { tokenId, by: 'Ann', why: 'lost' })).toBe(true);
    expect(await revokeApiToken(sql, { tokenId, by: 'Bob', why: 'again' })).toBe(false);
    await expect
      .poll(async () => (await api.ask('GET', '/scheduler/status', { token: text })).status, {
        timeout: 5_000,
      })
      .toBe(401);
    const audit = await listAudit(sql, { subject: tokenId });
    expect(audit.map(({ action, actor }) => [action, actor])).toEqual([
      ['token.revoke', 'Ann'],
      ['token.create', 'Ann'],
    ]);
    expect(JSON.stringify([audit, api.lines])).not.toContain(text.split('_')[2]);
  });

  it('too many guesses are answered 429, and so are too many requests of one token', async () => {
    api.restart({ limits: { tokenPerMinute: 3, anonymousPerMinute: 2 } });
    const statuses: number[] = [];
    for (let i = 0; i < 3; i += 1)
      statuses.push((await api.ask('GET', '/readyz', { token: 'guess' })).status);
    expect(statuses).toEqual([401, 401, 429]);
    const { text: token } = await api.token('viewer');
    const { text: other } = await api.token('viewer');
    const own: number[] = [];
    for (let i = 0; i < 4; i += 1) own.push((await api.ask('GET', '/scheduler/status', { token })).status);
    expect(own).toEqual([200, 200, 200, 429]);
    expect((await api.ask('GET', '/scheduler/status', { token: other })).status).toBe(200);
  });
});

describe('every answer', () => {
  it('has a request id and strict headers; a problem has its id, too', async () => {
    const { text: token } = await api.token('viewer');
    const answer = await api.ask('GET', '/nothing', { token });
    const requestId = answer.headers.get('x-request-id');
    expect(answer).toMatchObject({
      status: 404,
      body: { type: 'urn:nightshift:problem:not-found', instance: '/nothing', requestId },
    });
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(api.lines.at(-1)).toMatchObject({
      message: 'GET /nothing 404',
      fields: { requestId, caller: 'the viewer' },
    });
  });

  it('to a body that is too large or no JSON is a problem', async () => {
    const { text: token } = await api.token('operator');
    expect(
      await api.ask('POST', '/scheduler/stop', { token, body: { why: 'x'.repeat(70_000) } }),
    ).toMatchObject({ status: 413, body: { type: 'urn:nightshift:problem:body-too-large' } });
    expect(await api.ask('POST', '/scheduler/stop', { token, body: { why: '' } })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'why' }] },
    });
  });

  it('the OpenAPI document lists the paths and the token', async () => {
    const { text: token } = await api.token('viewer');
    const { body } = await api.ask('GET', '/openapi.json', { token });
    const document = body as { openapi: string; paths: Record<string, object> };
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/healthz', '/readyz', '/scheduler/status', '/scheduler/run_task/{task_id}']),
    );
    expect(document).toMatchObject({ components: { securitySchemes: { token: { scheme: 'bearer' } } } });
  });
});

describe('with something down', () => {
  it('/readyz says what is missing, /healthz still answers', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('viewer');
    expect(await api.ask('GET', '/readyz', { token })).toMatchObject({ status: 200, body: { ready: true } });
    const connection = Connection.lazy({ address: NOWHERE, connectTimeout: 500 });
    api.restart({ client: new Client({ connection }) });
    const answer = await api.ask('GET', '/readyz', { token });
    expect(answer.status).toBe(503);
    const { checks } = answer.body as { checks: { part: string; ok: boolean }[] };
    expect(checks.filter(({ ok }) => ok).map(({ part }) => part)).toEqual(['postgres']);
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    expect(await api.ask('GET', '/scheduler/status', { token })).toMatchObject({
      status: 503,
      body: { type: 'urn:nightshift:problem:temporal-down' },
    });
    const started = Date.now();
    const { text: operator } = await api.token('operator');
    expect(await api.ask('POST', '/scheduler/stop', { token: operator })).toMatchObject({
      status: 503,
      body: { type: 'urn:nightshift:problem:temporal-down' },
    });
    expect(Date.now() - started).toBeLessThan(10_000);
    await connection.close();
  });

  it('no request hangs for long: a database that takes connections and says nothing is 503', async () => {
    const { text: token } = await api.token('viewer');
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const url = new URL(api.desk.house.urls.api);
    url.port = String((silent.address() as AddressInfo).port);
    const away = createDatabase(url.href, { max: 1, connectTimeoutMs: 60_000 });
    api.restart({ sql: away.sql });
    const started = Date.now();
    expect(await api.ask('GET', '/scheduler/status', { token })).toMatchObject({
      status: 503,
      body: { type: 'urn:nightshift:problem:timed-out' },
    });
    expect(Date.now() - started).toBeLessThan(10_000);
    for (const socket of sockets) socket.destroy();
    await away.close();
    silent.close();
  });

  it('Postgres away is 503 without its words, and it recovers alone', async () => {
    const { text: token } = await api.token('viewer');
    const url = new URL(api.desk.house.urls.api);
    url.port = '9';
    const away = createDatabase(url.href, { max: 1, connectTimeoutMs: 1_000 });
    api.restart({ sql: away.sql });
    const answer = await api.ask('GET', '/scheduler/status', { token });
    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:nightshift:problem:database-down' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(answer.body)).not.toContain('ECONNREFUSED');
    await away.close();
    api.restart({});
    expect((await api.ask('GET', '/scheduler/status', { token })).status).toBe(200);
  });
});
