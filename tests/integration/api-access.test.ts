import { type IncomingMessage, request } from 'node:http';
import { serve } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import * as fc from 'fast-check';
import { Client as PgClient } from 'pg';
import { describe, expect, it, vi } from 'vitest';

import { API_TIMES } from '../../src/api/deps.ts';
import { createDatabase } from '../../src/db/client.ts';
import { finishAttempt } from '../../src/db/queries/attempts.ts';
import { revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { listRunningNights } from '../../src/temporal/verbs.ts';
import { testTemporal, uniqueName } from '../support/env.ts';
import { hostileText, MARK } from '../support/hostile-words.ts';
import { beginStep, newTaskRun } from '../support/rows.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { useApi } from './api-house.ts';
import { S } from './queue-house.ts';

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
    const asked = await api.ask('POST', `/scheduler/run_ingestion?sessionDate=${S}`, { token });
    expect(asked).toMatchObject({
      status: 503,
      body: {
        type: 'urn:nightshift:problem:temporal-down',
        detail: expect.stringMatching(/run \S+ is stored and begins when it does/) as string,
      },
    });
    // Asked for all the same: whoever wants it may look, and need not ask again.
    const run = await api.ask('GET', asked.headers.get('location') ?? '', { token });
    expect(run).toMatchObject({ status: 200, body: { task: 'ingestion', state: 'pending' } });
    await proxy.listen();
    await isReady();
    await connection.close();
    await proxy.close();
  });
});

describe('a login that Postgres refuses', () => {
  it('is 503 and not our mistake; only the log has the words', async () => {
    const url = new URL(api.desk.house.urls.api);
    url.password = 'wrong-password-9Qk2';
    const database = createDatabase(url.href, { max: 1 });
    api.restart({ sql: database.sql });
    const { text: token } = await api.token('viewer');
    const answer = await api.ask('GET', '/scheduler/status', { token });
    expect(answer).toMatchObject({
      status: 503,
      body: {
        type: 'urn:nightshift:problem:database-down',
        detail: 'Postgres refuses the login of the API; its log says why',
      },
    });
    expect(api.lines.at(-1)?.fields['error']).toMatch(/password authentication failed/);
    expect(JSON.stringify([answer.body, api.lines])).not.toContain(url.password);
    await database.close();
  });
});

describe('a stream', () => {
  const SERIES = 20;
  const PATH = `/api/v1/backtests/${S}/equity?universe=tiny&format=ndjson`;

  /** 100,000 rows (17 MB), more than the sockets of both sides hold, and the API on a port with one connection to Postgres. */
  async function open(statementTimeoutMs: number) {
    const { house } = api.desk;
    const run = newTaskRun({ task: 'backtest', sessionDate: S, universe: 'tiny' });
    const step = await beginStep({ sql: house.database.sql, run, workflowId: uniqueName('backtest') });
    const result = { backtestId: 'large' };
    await finishAttempt(house.database.sql, { fence: step.fence, end: 'succeeded', failure: null, result });
    const { taskRunId } = run;
    await house.owner.sql`
      insert into turbomode.backtest_runs (backtest_id, task_run_id, session_date, universe, universe_version,
        feature_set_version, dataset_hash, oof_hash, meta_hash, parameters, summary)
      values ('large', ${taskRunId}, ${S}, 'tiny', 'v', 'f', 'd', 'o', 'm', '{}', '{}')`;
    await house.owner.sql`
      insert into turbomode.equity_curves (backtest_id, series, session_date, net_return)
      select 'large', 'series ' || series, date '2000-01-01' + day, day / 7.0
      from generate_series(1, ${SERIES}::int) as series, generate_series(1, 5000) as day`;
    const applicationName = uniqueName('streams');
    const database = createDatabase(house.urls.api, { max: 1, applicationName, statementTimeoutMs });
    const app = api.restart({ sql: database.sql });
    const { server, port } = await new Promise<{ server: ReturnType<typeof serve>; port: number }>(
      (resolve) => {
        const made = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, (at) =>
          resolve({ server: made, port: at.port }),
        );
      },
    );
    const { text: token } = await api.token('viewer');
    const headers = { authorization: `Bearer ${token}` };
    return {
      headers,
      url: `http://127.0.0.1:${port}`,
      /** What the one connection does, and when it began with its last statement. */
      connection: async () => {
        const [row] = await house.owner.sql<{ state: string; since: string }[]>`
          select state, query_start::text as since from pg_stat_activity where application_name = ${applicationName}`;
        return row;
      },
      close: async () => {
        await new Promise<void>((resolve) => server.close(() => resolve()));
        await database.close();
      },
    };
  }

  it('holds no connection while its client does not read, and reads no more when that goes', async () => {
    const streams = await open(5_000);
    const client = request(`${streams.url}${PATH}`, { headers: streams.headers });
    const response = await new Promise<IncomingMessage>((resolve) => client.on('response', resolve).end());
    expect(response.statusCode).toBe(200);
    response.pause();
    const since = async () => (await streams.connection())?.since;
    /** The sockets have filled, or there is nobody to send to: no statement begins any more. */
    const stands = async (): Promise<void> => {
      let before: string | undefined;
      const isStill = async (): Promise<boolean> => {
        const [last, now] = [before, await streams.connection()];
        before = now?.since;
        return now?.state === 'idle' && now.since === last;
      };
      await expect.poll(isStill, { timeout: 30_000, interval: 200 }).toBe(true);
    };
    await stands();
    const other = await fetch(`${streams.url}/scheduler/status`, { headers: streams.headers });
    expect(other.status).toBe(200);
    const stood = await since();
    response.resume();
    await expect.poll(since, { timeout: 10_000, interval: 10 }).not.toBe(stood);
    response.destroy();
    await stands();
    expect((await streams.connection())?.state).toBe('idle');
    await streams.close();
  });

  it('whose statement takes too long breaks off and frees the connection', async () => {
    const streams = await open(200);
    const response = await fetch(`${streams.url}${PATH}`, { headers: streams.headers });
    expect(response.status).toBe(200);
    const { owner } = api.desk.house;
    await owner.sql.begin(async (tx) => {
      await tx`lock table turbomode.equity_curves in access exclusive mode`;
      await expect(response.text()).rejects.toThrow();
      expect(api.lines.find(({ message }) => message === 'a stream broke')?.fields['error']).toMatch(
        /canceling statement due to statement timeout/,
      );
      const late = await fetch(`${streams.url}${PATH}`, { headers: streams.headers });
      expect([late.status, await late.json()]).toMatchObject([
        503,
        { type: 'urn:nightshift:problem:timed-out' },
      ]);
    });
    expect(
      (await fetch(`${streams.url}${PATH.replace('ndjson', 'json')}`, { headers: streams.headers })).status,
    ).toBe(200);
    await streams.close();
  });
});

describe('input of any kind', () => {
  type Parameter = { in: string; name: string };
  type Operation = { parameters?: Parameter[]; requestBody?: unknown };

  it('reaches neither the text of a statement nor a query of Temporal, and breaks nothing', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('admin');
    const { paths } = (await api.ask('GET', '/openapi.json', { token })).body as {
      paths: Record<string, Record<string, Operation>>;
    };
    const places = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, { parameters = [], requestBody }]) =>
        [...parameters, ...(requestBody === undefined ? [] : [{ in: 'body', name: 'why' }])].map((place) => ({
          method: method.toUpperCase(),
          path,
          place,
        })),
      ),
    );
    expect(places.length).toBeGreaterThan(100);
    const statements = vi.spyOn(PgClient.prototype, 'query');
    const { workflowService } = api.desk.rig.client;
    const visibility = (['listWorkflowExecutions', 'countWorkflowExecutions', 'listSchedules'] as const).map(
      (name) => vi.spyOn(workflowService, name),
    );
    /** Asks once, with what is hostile in one place and what is usual in the others. */
    const ask = async ({ method, path, place }: (typeof places)[number], words: string): Promise<number> => {
      const value = (name: string): string => (place.name === name ? words : 'none');
      const url = new URL(
        path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(value(name))),
        'http://localhost',
      );
      if (place.in === 'query') url.searchParams.set(place.name, words);
      const headers = place.in === 'header' ? { [place.name]: encodeURIComponent(words) } : {};
      const body = place.in === 'body' ? { body: { why: words, decision: words, channel: words } } : {};
      const answer = await api.ask(method, url.pathname + url.search, { token, headers, ...body });
      return answer.status;
    };
    try {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...places), hostileText, async (place, words) => {
          expect(await ask(place, words)).toBeLessThan(500);
        }),
        { numRuns: 400 },
      );
      const texts = statements.mock.calls.map(([statement]: readonly unknown[]) =>
        typeof statement === 'object' && statement !== null && 'text' in statement
          ? String(statement.text)
          : JSON.stringify(statement),
      );
      expect(texts.length).toBeGreaterThan(400);
      expect(texts.filter((text) => text.includes(MARK))).toEqual([]);
      // It did come as far as the database, as a value.
      expect(JSON.stringify(statements.mock.calls)).toContain(MARK);
      // The one query of our own, to see that none would be missed.
      await listRunningNights(api.desk.rig.client);
      const queries = visibility.flatMap(({ mock }) =>
        mock.calls.map(([request]) => JSON.stringify(request)),
      );
      expect(queries.at(-1)).toContain('nightlyPipeline');
      expect(queries.filter((query) => query.includes(MARK))).toEqual([]);
    } finally {
      vi.restoreAllMocks();
    }
    const [left] = await api.desk.house.owner.sql<
      { rows: number }[]
    >`select count(*)::int as rows from ops.audit`;
    expect(left?.rows).toBeGreaterThan(0);
  });
});
