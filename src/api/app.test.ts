import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { isOfTheApi } from '../../tests/support/api-asker.ts';
import { NOWHERE, openApiAway } from '../../tests/support/api-away.ts';
import { createDatabase } from '../db/client.ts';
import { PostgresError } from '../db/errors.ts';
import { API_TIMES } from './deps.ts';
import { keyText } from './key-pages.ts';

const api = openApiAway();
afterAll(() => api.close());
const { text: viewer } = api.token('viewer');
const { text: operator } = api.token('operator');

const FOR_ADMINS = ['/api/v1/alerts/test'];

/** Every route, its parameters filled in. */
const routes = [
  ...new Set(
    api.app.routes
      .filter(({ method, path }) => method !== 'ALL' && isOfTheApi(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/g, '1')}`),
  ),
].map((route) => route.split(' ') as [string, string]);

describe('who may ask', () => {
  it('anybody /healthz, nothing else without a token', async () => {
    expect(await api.ask('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    const closed = routes.filter(([, path]) => path !== '/healthz');
    expect(closed.length).toBeGreaterThan(20);
    for (const [method, path] of [...closed, ['GET', '/nothing'], ['DELETE', '/healthz']] as const) {
      const answer = await api.ask(method, path);
      expect(answer, `${method} ${path}`).toMatchObject({
        status: 401,
        body: { type: 'urn:nightshift:problem:unauthorized' },
      });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="nightshift"');
    }
  });

  it('a token with a wrong secret, an unknown one and one that is no token are refused alike', async () => {
    const { text } = api.token('admin');
    const wrong = `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`;
    for (const token of [wrong, `nst_${'0'.repeat(16)}_${'A'.repeat(43)}`, 'hello', `${text}x`]) {
      expect(await api.ask('GET', '/openapi.json', { token })).toMatchObject({
        status: 401,
        body: { detail: 'this token is not known, or was revoked' },
      });
    }
    for (const scheme of ['Bearer', 'bearer']) {
      const headers = { authorization: `${scheme} ${text}` };
      expect((await api.ask('GET', '/openapi.json', { headers })).status).toBe(200);
    }
    const basic = { authorization: `Basic ${text}` };
    expect((await api.ask('GET', '/openapi.json', { headers: basic })).status).toBe(401);
  });

  it('a viewer looks and cannot act; an operator does', async () => {
    const acts = routes.filter(([method]) => method !== 'GET');
    expect(acts.length).toBeGreaterThan(10);
    for (const [method, path] of acts) {
      expect(await api.ask(method, path, { token: viewer }), path).toMatchObject({
        status: 403,
        body: {
          detail: expect.stringMatching(/^the viewer is viewer; this needs (operator|admin)$/) as string,
        },
      });
      expect(FOR_ADMINS.includes(path) ? [403] : [400, 503], path).toContain(
        (await api.ask(method, `${path}?sessionDate=soon`, { token: operator })).status,
      );
    }
  });

  it('too many guesses are answered 429, and so are too many requests of one token', async () => {
    const strict = openApiAway({ limits: { tokenPerMinute: 3, anonymousPerMinute: 2 } });
    const times = async (count: number, token: string): Promise<number[]> => {
      const statuses: number[] = [];
      while (statuses.length < count)
        statuses.push((await strict.ask('GET', '/openapi.json', { token })).status);
      return statuses;
    };
    const { text } = strict.token('viewer');
    // A token that was not seen before is looked up like a guess; then it is known.
    expect(await times(1, text)).toEqual([200]);
    expect(await times(2, 'guess')).toEqual([401, 429]);
    expect(await times(3, text)).toEqual([200, 200, 429]);
    // Nothing of this address is looked up any more.
    expect(await times(1, strict.token('viewer').text)).toEqual([429]);
    await strict.close();
    const other = openApiAway({ limits: { tokenPerMinute: 1, anonymousPerMinute: 2 } });
    const of = async (token: string): Promise<number> =>
      (await other.ask('GET', '/openapi.json', { token })).status;
    const [one, two] = [other.token('viewer').text, other.token('viewer').text];
    expect([await of(one), await of(one), await of(two)]).toEqual([200, 429, 200]);
    await other.close();
  });
});

describe('guesses of one address', () => {
  it('keep nobody from /healthz, and cookies are counted before Postgres is asked', async () => {
    const strict = openApiAway({ limits: { tokenPerMinute: 9, anonymousPerMinute: 1 } });
    const headers = (letter: string) => ({ cookie: `nightshift_session_web=${letter.repeat(43)}` });
    const statuses: number[] = [];
    for (const letter of ['a', 'b'])
      statuses.push((await strict.ask('GET', '/api/v1/runs', { headers: headers(letter) })).status);
    // Postgres is away: only who has asked it hears so.
    expect(statuses).toEqual([503, 429]);
    expect((await strict.app.request('/', { headers: headers('c') })).status).toBe(429);
    expect((await strict.ask('GET', '/openapi.json', { token: 'guess' })).status).toBe(429);
    for (const _ of [1, 2]) expect((await strict.ask('GET', '/healthz')).status).toBe(200);
    await strict.close();
  });
});

describe('every answer', () => {
  it('has a request id and strict headers; a problem has its id, too', async () => {
    const answer = await api.ask('GET', '/nothing', { token: viewer });
    const requestId = answer.headers.get('x-request-id');
    expect(answer).toMatchObject({
      status: 404,
      body: { type: 'urn:nightshift:problem:not-found', instance: '/nothing', requestId },
    });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(api.lines.at(-1)).toMatchObject({
      message: 'GET /nothing 404',
      fields: { requestId, caller: 'the viewer' },
    });
  });

  it('to a method that a path does not have is 405, and says which it has', async () => {
    const ask = (method: string, path: string) => api.ask(method, path, { token: viewer });
    for (const [method, path, allow] of [
      ['PUT', '/scheduler/status', 'GET, HEAD'],
      ['OPTIONS', '/scheduler/stop', 'POST'],
      ['DELETE', '/api/v1/runs/one', 'GET, HEAD'],
      ['PATCH', '/healthz', 'GET, HEAD'],
      ['DELETE', '/login', 'GET, HEAD, POST'],
    ] as const) {
      const answer = await ask(method, path);
      const type = 'urn:nightshift:problem:method-not-allowed';
      expect(answer, `${method} ${path}`).toMatchObject({ status: 405, body: { type } });
      expect(answer.headers.get('allow')).toBe(allow);
    }
    expect((await ask('PUT', '/nothing')).status).toBe(404);
    expect((await api.ask('PUT', '/scheduler/status')).status).toBe(401);
  });

  it('to what nobody foresaw is 500 without its words, which are in the log', async () => {
    const broken = openApiAway({ findToken: () => Promise.reject(new RangeError('the moon is full')) });
    const answer = await broken.ask('GET', '/readyz', { token: viewer });
    expect(answer).toMatchObject({ status: 500, body: { type: 'urn:nightshift:problem:internal-error' } });
    expect(JSON.stringify(answer.body)).not.toMatch(/moon|RangeError/);
    const [line] = broken.lines;
    expect(line).toMatchObject({
      level: 'ERROR',
      fields: { requestId: answer.headers.get('x-request-id') },
    });
    expect(line?.fields['error']).toContain('RangeError: the moon is full');
    await broken.close();
  });

  it.each([
    ['57014', 503, 'timed-out'],
    ['22021', 400, 'invalid-input'],
    ['57P03', 503, 'database-down'],
    ['42703', 500, 'internal-error'],
  ])('to an error %s of Postgres is %i', async (code, status, kind) => {
    const refusal = new PostgresError('words of the server', { code });
    const broken = openApiAway({ findToken: () => Promise.reject(refusal) });
    const answer = await broken.ask('GET', '/api/v1/runs', { token: viewer });
    expect(answer).toMatchObject({ status, body: { type: `urn:nightshift:problem:${kind}` } });
    expect(JSON.stringify(answer.body)).not.toContain('words of the server');
    await broken.close();
  });
});

describe('input', () => {
  it.each([
    ['a body that is too large', { body: { why: 'x'.repeat(70_000) } }, 413, 'body-too-large'],
    ['a body that is no JSON', { body: '{"why":' }, 400, 'invalid-input'],
    [
      'a body of another type',
      { body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported-media-type',
    ],
    ['a body without what it needs', { body: {} }, 400, 'invalid-input'],
    ['no body', {}, 400, 'invalid-input'],
  ])('%s is refused', async (_what, asked, status, kind) => {
    const path = '/api/v1/schedules/nightly/pause';
    expect(await api.ask('POST', path, { token: operator, ...asked })).toMatchObject({
      status,
      body: { type: `urn:nightshift:problem:${kind}`, status },
    });
  });

  it.each([
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-30', 'sessionDate'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&force=maybe', 'force'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&wait=-1', 'wait'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&wait=601', 'wait'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&wait=', 'wait'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&wait=1e2', 'wait'],
    ['POST', '/scheduler/run_ingestion?sessionDate=2018-02-07&universe=../secret', 'universe'],
    ['POST', '/scheduler/run_task/7?sessionDate=2018-02-07', 'task_id'],
    ['POST', '/scheduler/run_task/one?sessionDate=2018-02-07', 'task_id'],
    ['GET', '/api/v1/runs?pageToken=zzz', 'pageToken'],
    ['GET', '/api/v1/runs?limit=0', 'limit'],
    ['GET', '/api/v1/runs?limit=1.5', 'limit'],
    ['GET', '/api/v1/runs?task=lunch', 'task'],
    ['GET', '/api/v1/runs?sessionDate=0000-01-01', 'sessionDate'],
    ['GET', `/api/v1/runs?pageToken=${keyText(['0000-01-01T00:00:00Z', 'x'])}`, 'pageToken'],
    ['GET', `/api/v1/nights?pageToken=${keyText(['2018-02-07T00:00:00Z', 'a\0b'])}`, 'pageToken'],
    ['GET', '/api/v1/nights?sessionDate=soon', 'sessionDate'],
    ['GET', `/api/v1/nights?universe=${encodeURIComponent("x' or 1=1 --")}`, 'universe'],
    ['GET', '/api/v1/audit?limit=501', 'limit'],
    ['GET', '/api/v1/audit?subject=a%00b', 'subject'],
    ['GET', `/api/v1/audit?pageToken=${keyText([0])}`, 'pageToken'],
    ['GET', `/api/v1/symbols/AAPL/bars?pageToken=${keyText(['2018-02-07'])}`, 'pageToken'],
    ['GET', '/api/v1/runs/a%00b', 'runId'],
  ])('%s %s is refused and names %s', async (method, path, field) => {
    const answer = await api.ask(method, path, { token: operator });
    expect(answer).toMatchObject({
      status: 400,
      body: { type: 'urn:nightshift:problem:invalid-input', status: 400, errors: [{ field }] },
    });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('of a decision and of a schedule is checked before anything is looked up', async () => {
    for (const [path, body, field] of [
      ['/api/v1/runs/one/review', { decision: 'retry', why: ' ' }, 'why'],
      ['/api/v1/runs/one/review', { decision: 'maybe', why: 'x' }, 'decision'],
      ['/api/v1/nights/one/cancel', {}, 'why'],
      ['/api/v1/schedules/other/pause', { why: 'x' }, 'scheduleId'],
      ['/scheduler/stop', { why: '' }, 'why'],
      ['/api/v1/runs/one/review', { decision: 'retry', why: 'a\0b' }, 'why'],
    ] as const) {
      expect(await api.ask('POST', path, { token: operator, body }), path).toMatchObject({
        status: 400,
        body: { errors: [{ field }] },
      });
    }
  });
});

describe('with Postgres away', () => {
  it('the answer is 503 without its words', async () => {
    const answer = await api.ask('GET', '/api/v1/runs', { token: viewer });
    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:nightshift:problem:database-down' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(answer.body)).not.toMatch(new RegExp(`ECONNREFUSED|${NOWHERE}`));
  });

  it('no request hangs: one that takes connections and says nothing is 503, too', async () => {
    expect(API_TIMES.requestMs).toBeLessThan(10_000);
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const database = createDatabase(`postgres://nobody@127.0.0.1:${port}/none`, { max: 1 });
    const waiting = openApiAway({ sql: database.sql, times: { ...API_TIMES, requestMs: 100 } });
    const { text: token } = waiting.token('viewer');
    // Nothing is waited for there, whatever the query says.
    expect(await waiting.ask('GET', '/api/v1/runs?wait=600', { token })).toMatchObject({
      status: 503,
      body: { type: 'urn:nightshift:problem:timed-out' },
    });
    for (const socket of sockets) socket.destroy();
    await Promise.all([database.close(), waiting.close()]);
    silent.close();
  });
});
