import { Context } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { API_TIMES } from '../../src/api/deps.ts';
import type { ApiRole } from '../../src/contracts/api-tokens.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase } from '../../src/db/client.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { localIso } from '../../src/domain/schedule-times.ts';
import { readBackfill } from '../../src/temporal/backfill.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { BROWSER, cookieOf, ORIGIN, toldBy, usePages, valueOf } from './page-house.ts';
import { deleteSchedules } from '../support/schedules.ts';

const pages = usePages();
const { desk, logIn } = pages;
const token = async (role: ApiRole): Promise<string> => (await pages.token(role)).text;

describe('a login', () => {
  it('is a cookie of 256 random bits of which the rows know the hash, and leads to our own pages only', async () => {
    const text = await token('viewer');
    const first = await logIn(text, '//evil.example/');
    expect([first.status, first.headers.get('location')]).toEqual([303, '/']);
    expect(first.headers.get('set-cookie')).toMatch(
      /^nightshift_session_\w+=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect((await logIn(text, '/drift?kind=anchored')).headers.get('location')).toBe('/drift?kind=anchored');
    const rows = await desk.house.owner.sql`select * from ops.api_sessions`;
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toContain(cookieOf(first).split('=')[1]);
    expect(cookieOf(first)).not.toBe(cookieOf(await logIn(text)));
  });

  it('lasts twelve hours from the last page on, and no longer', async () => {
    const { sql } = desk.house.owner;
    const cookie = cookieOf(await logIn(await token('viewer')));
    const open = async () => await pages.api.request('/settings', { headers: { cookie, ...BROWSER } });
    await sql`update ops.api_sessions set expires_at = now() + interval '1 hour'`;
    const renewed = await open();
    expect([renewed.status, renewed.headers.get('set-cookie')]).toEqual([
      200,
      expect.stringContaining('Max-Age=43200'),
    ]);
    const [row] = await sql<{ hours: number }[]>`
      select extract(epoch from expires_at - now())::float8 / 3600 as hours from ops.api_sessions`;
    expect(row?.hours).toBeGreaterThan(11.9);
    expect((await open()).headers.get('set-cookie')).toBeNull();
    await sql`update ops.api_sessions set expires_at = now() - interval '1 second'`;
    await expect
      .poll(async () => (await open()).headers.get('location'), { timeout: 5_000 })
      .toBe('/login?next=%2Fsettings');
  });

  it('refuses wrong tokens as often as the API does, and forms of other pages', async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) expect((await logIn('nst_wrong')).status).toBe(401);
    const late = await logIn('nst_wrong');
    expect([late.status, late.headers.get('content-type')]).toEqual([
      429,
      expect.stringContaining('text/html'),
    ]);
    // A cookie that is none of ours is a guess, too; without one nobody guesses.
    pages.restart();
    const guess = async (cookie?: string): Promise<number> => {
      const headers = { ...BROWSER, ...(cookie !== undefined && { cookie }) };
      return (await pages.api.request('/settings', { headers })).status;
    };
    for (const letter of ['a', 'b', 'c'])
      expect(await guess(`nightshift_session_web=${letter.repeat(43)}`)).toBe(303);
    expect(await guess(`nightshift_session_web=${'d'.repeat(43)}`)).toBe(429);
    expect(await guess()).toBe(303);
    const foreign = await pages.api.request('/login', {
      method: 'POST',
      headers: { origin: 'http://localhost:8080' },
      body: new URLSearchParams({ token: await token('admin') }),
    });
    expect(foreign.status).toBe(403);
  });
});

describe('settings', () => {
  const page = (cookie: string, path = '/settings'): Promise<string> => pages.page(cookie, path);

  it('show within seconds what the `temporal` command line does to a schedule', async () => {
    const { client, namespace } = desk.rig;
    const { sql } = desk.house.database;
    const cookie = cookieOf(await logIn(await token('viewer')));
    const file = parseConfigFile(testConfig({ timezone: 'Europe/Berlin' }));
    await applySchedules({ client, sql, file, by: 'Ann', enable: true });
    const html = await page(cookie);
    // The configuration's zone is not the exchange's.
    expect(html).toContain('Times are in Europe/Berlin');
    const [, at = '', shown] =
      /<th[^>]*>Exchange<.*?<time[^>]* datetime="([^"]+)"[^>]*>([^<]+)</s.exec(html) ?? [];
    expect(shown).toBe(localIso(Date.parse(at), 'America/New_York').slice(0, 16).replace('T', ' '));
    expect(localIso(Date.parse(at), 'Europe/Berlin')).toContain('T22:45:00');
    const nightly = async () => /<h3>nightly.*?<table/s.exec(await page(cookie))?.[0] ?? '';
    expect(await nightly()).toContain('enabled by Ann');
    const toggle = (...args: string[]) =>
      temporalCli(namespace)('schedule', 'toggle', '-s', 'nightly', ...args);
    const tonight = async () =>
      /data-part="schedules".*?<\/section>/s.exec(await page(cookie, '/'))?.[0] ?? '';
    expect(await tonight()).toContain('enabled by Ann');
    await toggle('--pause', '--reason', 'quarter end');
    await expect.poll(tonight, { timeout: 2_500 }).toMatch(/paused.*quarter end/s);
    await expect.poll(nightly, { timeout: 5_000 }).toMatch(/paused<.*quarter end.*if it were not paused/s);
    await toggle('--unpause', '--reason', 'it is over');
    await expect.poll(nightly, { timeout: 5_000 }).toMatch(/on<.*it is over/s);
    await deleteSchedules(client);
  });

  it('are the same to the API at once when somebody switched a schedule here or there', async () => {
    const { client } = desk.rig;
    const { sql } = desk.house.database;
    await adoptFileAtStart(sql, { path: desk.house.deps.configPath, named: true });
    await applySchedules({ client, sql, file: parseConfigFile(testConfig()), by: 'Ann', enable: true });
    pages.restart({ times: { ...API_TIMES, freshMs: 60_000 } });
    const cookie = cookieOf(await logIn(await token('operator')));
    const csrf = valueOf(await page(cookie, '/'), 'csrf');
    const isRunning = async () => {
      const answer = await pages.api.request('/scheduler/status', { headers: { cookie } });
      return ((await answer.json()) as { running: boolean }).running;
    };
    expect(await isRunning()).toBe(true);
    const paused = await pages.act(cookie, '/acts/schedule', {
      csrf,
      scheduleId: 'nightly',
      verb: 'pause',
      why: 'quarter end',
    });
    expect([paused.status, await isRunning()]).toEqual([303, false]);
    const unpaused = await pages.api.request('/api/v1/schedules/nightly/unpause', {
      method: 'POST',
      headers: { cookie, 'x-csrf-token': csrf, 'content-type': 'application/json' },
      body: JSON.stringify({ why: 'it is over' }),
    });
    expect([unpaused.status, await isRunning()]).toEqual([200, true]);
    await deleteSchedules(client);
  });

  it('preview a backfill, and begin what was confirmed by a form of this login, with a reason', async () => {
    desk.prepare({ planIngestion: () => Context.current().cancelled });
    await adoptFileAtStart(desk.house.database.sql, { path: desk.house.deps.configPath, named: true });
    const cookie = cookieOf(await logIn(await token('operator')));
    expect(await page(cookie)).toContain('action="/settings/backfill"');
    expect(await page(cookie, '/settings/backfill?from=2018-02-06&to=2018-02-01&universe=tiny')).toContain(
      '2018-02-01 is before 2018-02-06',
    );
    const preview = await page(cookie, '/settings/backfill?from=2018-02-01&to=2018-02-05&universe=tiny');
    expect(preview).toMatch(/Run these 3 nights/);
    expect(preview).toContain('How long it takes is not known');
    const [csrf, shown] = [valueOf(preview, 'csrf'), valueOf(preview, 'token')];
    const range = {
      from: '2018-02-01',
      to: '2018-02-05',
      universe: 'tiny',
      onlyMissing: 'false',
      token: shown,
    };
    const why = 'a new feature';
    expect((await pages.act(cookie, '/acts/backfill', { ...range, why, csrf: 'x'.repeat(43) })).status).toBe(
      403,
    );
    await pages.act(cookie, '/acts/backfill', { ...range, why: '', csrf });
    expect(await readBackfill(desk.rig.client)).toBeNull();
    const begun = await pages.act(cookie, '/acts/backfill', { ...range, why, csrf, back: '/settings' });
    expect([begun.status, begun.headers.get('location')]).toEqual([303, '/settings']);
    await expect
      .poll(() => page(cookie), { timeout: 10_000 })
      .toMatch(/2018-02-01 to 2018-02-05, tiny.*now 2018-02-01.*Cancel it/s);
    await pages.act(cookie, '/acts/cancel-backfill', { csrf, why: 'the wrong week' });
    await expect.poll(() => page(cookie), { timeout: 10_000 }).toMatch(/tiny.*cancelled.*0 of 3/s);
    expect(await listAudit(desk.house.api.sql, { subject: 'nightly' })).toMatchObject([
      { action: 'backfill.cancel', why: 'the wrong week', actor: 'operator' },
      { action: 'backfill.start', why, actor: 'operator' },
    ]);
  });
});

describe('the pages', () => {
  it('say what is down when Postgres is away, and nothing of how', async () => {
    const away = createDatabase('postgres://nobody:secret@127.0.0.1:1/none', { connectTimeoutMs: 500 });
    pages.restart({ sql: away.sql, pipelineSql: away.sql });
    const cookie = `nightshift_session_web=${'a'.repeat(43)}`;
    const answer = await pages.api.request('/', { headers: { cookie, ...BROWSER } });
    const text = await answer.text();
    expect(answer.status).toBe(503);
    expect(text).toContain('Postgres does not answer');
    expect(text).toMatch(/Postgres<\/dt>.*?is down.*?Temporal<\/dt>.*?answers/s);
    expect(text).not.toContain('secret');
    await away.close();
  });

  it('are errors as pages for browsers, as problem details for everybody else', async () => {
    const cookie = cookieOf(await logIn(await token('viewer')));
    const page = await pages.api.request('/runs/nothing', { headers: { cookie, ...BROWSER } });
    expect([page.status, await page.text()]).toEqual([404, expect.stringContaining('there is no such run')]);
    const problem = await pages.api.request('/runs/nothing', { headers: { cookie } });
    expect([problem.status, problem.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("form-action 'self'");
    expect(policy).not.toContain('unsafe');
  });

  it('start nothing of a universe that they do not offer: a name could be a file', async () => {
    const cookie = cookieOf(await logIn(await token('operator')));
    const page = await (await pages.api.request('/', { headers: { cookie, ...BROWSER } })).text();
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page) ?? [];
    for (const of of ['night', 'task']) {
      const path = `/acts/${of}`;
      const [select = ''] = new RegExp(`<select id="universe-${of}".*?</select>`, 's').exec(page) ?? [];
      const offered = [...select.matchAll(/<option value="([^"]+)"/g)].map(([, name]) => name);
      expect(offered.length).toBeGreaterThan(0);
      const answer = await pages.api.request(path, {
        method: 'POST',
        headers: { origin: ORIGIN, cookie, ...BROWSER },
        body: new URLSearchParams({
          csrf,
          universe: '/etc/passwd',
          sessionDate: '2018-02-07',
          task: 'ingestion',
          key: crypto.randomUUID(),
          why: 'to see what is in it',
        }),
      });
      expect([answer.status, toldBy(answer)]).toEqual([
        303,
        { kind: 'refused', text: `/etc/passwd is none of the universes ${offered.join(', ')}` },
      ]);
    }
    expect(await listNights(desk.house.api.sql)).toEqual([]);
  });

  it('keep what they are told to one instance: a cookie does not know ports', async () => {
    const switched = await pages.api.request('http://localhost:4001/theme', {
      method: 'POST',
      headers: { origin: 'http://localhost:4001' },
      body: new URLSearchParams({ theme: 'dark' }),
    });
    const told = Buffer.from(JSON.stringify({ kind: 'done', text: 'the night is asked for' }));
    const cookie = `${cookieOf(switched)}; nightshift_told_4001=${told.toString('base64url')}`;
    const seen = async (port: number) => {
      const answer = await pages.api.request(`http://localhost:${port}/login`, {
        headers: { cookie, ...BROWSER },
      });
      const html = await answer.text();
      return [html.includes('data-theme="dark"'), html.includes('the night is asked for')];
    };
    expect(await seen(4001)).toEqual([true, true]);
    expect(await seen(4002)).toEqual([false, false]);
  });

  it('stream the board to who is logged in until the process stops', async () => {
    expect((await pages.api.request('/live')).status).toBe(401);
    const cookie = cookieOf(await logIn(await token('operator')));
    const page = await (await pages.api.request('/', { headers: { cookie, ...BROWSER } })).text();
    const [, csrf = 'none'] = /name="csrf" value="([^"]+)"/.exec(page) ?? [];
    const live = await pages.api.request('/live', { headers: { cookie } });
    const reader = live.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader?.read();
    expect(first?.value).toMatch(/^event: board\ndata: <div data-part="trouble">/);
    expect(first?.value).not.toContain('csrf-of-this-login');
    expect(live.headers.get('ratelimit')).toContain('limit=1000');
    expect(csrf).toMatch(/^[\w-]{43}$/);
    pages.stop();
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read());
  });
});
