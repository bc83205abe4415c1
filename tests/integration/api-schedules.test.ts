import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';

import { coverageReader } from '../../src/api/provider-coverage.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { scheduleStates } from '../../src/db/queries/schedule-state.ts';
import { archiveFolder } from '../../src/runtime/env.ts';
import { applySchedules, setSchedulePaused } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { useApi } from './api-house.ts';
import { S } from './queue-house.ts';

const api = useApi();

type Page<Item> = { items: Item[] };
type Run = { runId: string };
type Night = { sessionDate: string; state: string };

/** Another program's change is seen within this time. */
const SECONDS_MS = 5_000;

describe('schedules', () => {
  it('are paused, unpaused and triggered by a named token with a reason', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    const act = (verb: string, body: object = { why: 'a holiday' }, id = 'nightly') =>
      api.ask('POST', `/api/v1/schedules/${id}/${verb}`, { token, body });
    expect((await act('pause')).status).toBe(404);
    await api.ask('POST', '/scheduler/start', { token });
    expect((await api.ask('GET', '/api/v1/schedules', { token })).body).toMatchObject({
      items: [
        { scheduleId: 'nightly', paused: false, nextTimes: expect.any(Array) as unknown },
        { scheduleId: 'weekly-maintenance', paused: false },
      ],
    });
    expect(await act('pause')).toMatchObject({
      status: 200,
      body: { paused: true, note: 'paused by the operator: a holiday' },
    });
    expect(await act('unpause', { why: 'back' })).toMatchObject({ status: 200, body: { paused: false } });
    expect((await act('trigger', { why: 'now' }, 'weekly-maintenance')).status).toBe(200);
    await eventually('the triggered maintenance has run', async () => {
      const { body } = await api.ask('GET', '/api/v1/runs?task=weeklyMaintenance&state=succeeded', { token });
      return (body as Page<Run>).items.length === 1;
    });
  });
});

describe('backfill', () => {
  const PATH = '/api/v1/schedules/nightly/backfill';
  type Preview = { token: string; sessions: { sessionDate: string; runs: boolean }[] };
  type Backfill = { runId: string; state: string; ended: number; current: string | null };
  const range = { from: '2018-02-01', to: '2018-02-05', universe: 'tiny' };
  const preview = async (token: string, more = '') => {
    const { from, to, universe } = range;
    return await api.ask('GET', `${PATH}/preview?from=${from}&to=${to}&universe=${universe}${more}`, {
      token,
    });
  };
  const start = (token: string, body: object) =>
    api.ask('POST', PATH, { token, body: { ...range, why: 'a new feature', ...body } });
  const state = async (token: string) => (await api.ask('GET', PATH, { token })).body as Backfill;
  const nights = async (token: string) => {
    const { body } = await api.ask('GET', '/api/v1/nights?trigger=backfill', { token });
    return (body as Page<Night & { startedAt: string; completedAt: string }>).items.toReversed();
  };

  it('shows the sessions first, and runs those that were shown: each a night, in order, one at a time', async () => {
    const rig = api.desk.prepare();
    const { text: token } = await api.token('operator');
    expect(await api.ask('GET', PATH, { token })).toMatchObject({ status: 404 });
    const first = await preview(token, '&onlyMissing=true');
    const all = ['2018-02-01', '2018-02-02', '2018-02-05'];
    expect(first).toMatchObject({
      status: 200,
      body: {
        sessions: all.map((sessionDate) => ({ sessionDate, lastState: null, succeeded: false, runs: true })),
        nights: 3,
        nightSeconds: null,
        totalSeconds: null,
        notOver: [],
      },
    });
    await rig.night({ universe: 'tiny', sessionDate: '2018-02-02' });
    const { token: confirmed } = first.body as Preview;
    expect(await start(token, { token: confirmed, onlyMissing: true })).toMatchObject({
      status: 409,
      body: { type: 'urn:nightshift:problem:conflict' },
    });
    const second = await preview(token, '&onlyMissing=true');
    const { sessions, token: shown } = second.body as Preview;
    expect(second.body).toMatchObject({ nights: 2, measuredSessions: 1 });
    expect((second.body as { nightSeconds: number }).nightSeconds).toBeGreaterThan(0);
    const asked = sessions.filter(({ runs }) => runs).map(({ sessionDate }) => sessionDate);
    expect(asked).toEqual(all.filter((date) => date !== '2018-02-02'));
    expect(await start((await api.token('viewer')).text, { token: shown })).toMatchObject({ status: 403 });

    const begun = await start(token, { token: shown, onlyMissing: true });
    expect(begun).toMatchObject({
      status: 202,
      body: { from: '2018-02-01', to: '2018-02-05', sessions: 2, requestedBy: 'the operator' },
    });
    const ended = await eventually('its end', async () => {
      const now = await state(token);
      return now.state !== 'running' && now;
    });
    expect(ended).toMatchObject({ state: 'succeeded', ended: 2, current: null });
    const ran = await nights(token);
    expect(ran.map(({ sessionDate, state }) => [sessionDate, state])).toEqual(
      asked.map((date) => [date, 'succeeded']),
    );
    for (const [index, { startedAt }] of ran.slice(1).entries())
      expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(ran[index]?.completedAt ?? ''));
    expect(await listAudit(api.desk.house.api.sql, { subject: 'nightly' })).toMatchObject([
      { actor: 'the operator', action: 'backfill.start', why: 'a new feature', details: { sessions: asked } },
    ]);
  });

  it('is one at a time, outlives the API, and stops when it is cancelled, with its night', async () => {
    api.desk.prepare({ planIngestion: () => Context.current().cancelled });
    const { text: token } = await api.token('operator');
    const { token: shown } = (await preview(token)).body as Preview;
    const begun = (await start(token, { token: shown })).body as Backfill;
    await eventually('its first night runs', async () => (await nights(token))[0]?.state === 'running');
    // Asked for again after an answer that was lost, it is the same; anything else waits for its end.
    expect(await start(token, { token: shown })).toMatchObject({ status: 202, body: { runId: begun.runId } });
    const missing = (await preview(token, '&onlyMissing=true')).body as Preview;
    expect(missing.token).toBe(shown);
    const other = (await api.ask('GET', `${PATH}/preview?from=${S}&to=${S}&universe=tiny`, { token })).body;
    expect(await start(token, { from: S, to: S, token: (other as Preview).token })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('a backfill runs already (2018-02-01 to 2018-02-05') },
    });
    api.restart({});
    expect(await state(token)).toMatchObject({ state: 'running', ended: 0, current: '2018-02-01' });
    const cancel = () => api.ask('POST', `${PATH}/cancel`, { token, body: { why: 'the wrong universe' } });
    expect(await cancel()).toMatchObject({ status: 202 });
    await eventually('its end', async () => (await state(token)).state === 'cancelled');
    expect((await nights(token)).map(({ state }) => state)).toEqual(['cancelled']);
    expect(await cancel()).toMatchObject({ status: 409, body: { detail: 'no backfill runs' } });
  });

  it('refuses a range that cannot be', async () => {
    const { text: token } = await api.token('operator');
    for (const [query, field] of [
      ['from=2018-02-06&to=2018-02-01', 'to'],
      ['from=2016-01-04&to=2018-02-01', 'to'],
      ['from=1901-01-01&to=1901-01-02', 'from'],
      ['from=2018-02-01&to=2018-02-02&universe=other', 'universe'],
      ['from=2018-02-31&to=2018-03-02', 'from'],
    ])
      expect(await api.ask('GET', `${PATH}/preview?${query}`, { token })).toMatchObject({
        status: 400,
        body: { errors: [{ field }] },
      });
    const weekend = { from: '2018-02-03', to: '2018-02-04' };
    const none = (
      await api.ask('GET', `${PATH}/preview?from=${weekend.from}&to=${weekend.to}&universe=tiny`, { token })
    ).body as Preview;
    expect(await start(token, { ...weekend, token: none.token })).toMatchObject({ status: 409 });
  });

  it('names the sessions that the provider cannot have, and does not run them', async () => {
    api.restart({ coverageOf: coverageReader(archiveFolder()) });
    const { text: token } = await api.token('operator');
    const look = async (from: string, to: string) =>
      (await api.ask('GET', `${PATH}/preview?from=${from}&to=${to}&universe=tiny`, { token }))
        .body as Preview;
    expect(await look('2018-02-06', '2018-02-09')).toMatchObject({
      coverage: { provider: 'archive', lastSession: '2018-02-07' },
      sessions: [{ sessionDate: '2018-02-06' }, { sessionDate: '2018-02-07' }],
      notCovered: ['2018-02-08', '2018-02-09'],
      nights: 2,
    });
    const none = { from: '2018-02-08', to: '2018-02-09' };
    const { token: shown } = await look(none.from, none.to);
    expect(await start(token, { ...none, token: shown })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('to 2018-02-07: it cannot have 2018-02-08') as string },
    });
    // Where the folder is not, nothing is known, and nothing is left out.
    api.restart({ coverageOf: coverageReader('/nowhere') });
    expect(await look(none.from, none.to)).toMatchObject({ coverage: null, notCovered: [], nights: 2 });
  });
});

describe('schedules beside other programs', () => {
  const nightly = async (token: string) => {
    const { body } = await api.ask('GET', '/api/v1/schedules', { token });
    const { items } = body as { items: { scheduleId: string; paused: boolean; note: string | null }[] };
    const found = items.find(({ scheduleId }) => scheduleId === 'nightly');
    return { paused: found?.paused, note: found?.note };
  };

  it('see what the `temporal` command line does, and it sees what they do', async () => {
    api.desk.prepare();
    const cli = temporalCli(api.desk.rig.namespace);
    const schedule = (act: string, ...args: string[]) => cli('schedule', act, '-s', 'nightly', ...args);
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/start', { token });
    const isRunning = async (): Promise<boolean> =>
      ((await api.ask('GET', '/scheduler/status', { token })).body as { running: boolean }).running;
    expect(await isRunning()).toBe(true);

    await schedule('toggle', '--pause', '--reason', 'quarter end');
    await eventually('the pause', async () => !(await isRunning()), SECONDS_MS);
    expect(await nightly(token)).toEqual({ paused: true, note: 'quarter end' });
    await schedule('toggle', '--unpause', '--reason', 'it is over');
    await eventually('its end', isRunning, SECONDS_MS);
    expect(await nightly(token)).toEqual({ paused: false, note: 'it is over' });

    const before = (await api.desk.rig.client.schedule.getHandle('nightly').describe()).raw.schedule;
    await api.ask('POST', '/api/v1/schedules/nightly/pause', { token, body: { why: 'a holiday' } });
    const state = { paused: true, notes: 'paused by the operator: a holiday' };
    expect(JSON.parse(await schedule('describe', '-o', 'json'))).toMatchObject({ schedule: { state } });
    const after = (await api.desk.rig.client.schedule.getHandle('nightly').describe()).raw.schedule;
    expect({ ...after, state: null }).toEqual({ ...before, state: null });

    const nights = async () => {
      const { body } = await api.ask('GET', '/api/v1/nights?trigger=schedule', { token });
      return (body as { items: { workflowId: string; completedAt: string | null }[] }).items;
    };
    await api.ask('POST', '/api/v1/schedules/nightly/trigger', { token, body: { why: 'try' } });
    const [night] = await eventually('its night', async () => {
      const ended = (await nights()).filter(({ completedAt }) => completedAt !== null);
      return ended.length === 1 && ended;
    });
    expect(await schedule('describe', '-o', 'json')).toContain(`"${night?.workflowId}"`);
    expect((await api.ask('GET', '/api/v1/schedules', { token })).body).toMatchObject({
      items: [{ recentRuns: [{ workflowId: night?.workflowId }] }, { scheduleId: 'weekly-maintenance' }],
    });
    // Two triggers within one second would share a workflow id.
    await sleep(1_000);
    await schedule('trigger');
    await eventually('a second night', async () => (await nights()).length === 2);
  });

  it('refuse what is based on a state that somebody has changed since, and keep what does not concern it', async () => {
    const { client } = api.desk.rig;
    const { sql } = api.desk.house.database;
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/start', { token });
    const pause = (why: string) =>
      api.ask('POST', '/api/v1/schedules/nightly/pause', { token, body: { why } });

    const bob = { paused: true, by: 'Bob', why: 'quarter end' };
    api.restart({
      client: withBeforeUpdate(client, () =>
        setSchedulePaused({ client, sql, scheduleId: 'nightly', ...bob }),
      ),
    });
    expect(await pause('a holiday')).toMatchObject({
      status: 409,
      body: { detail: 'nightly was changed at the same time: paused by Bob: quarter end' },
    });
    const note = 'paused by Bob: quarter end';
    expect(await nightly(token)).toEqual({ paused: true, note });
    expect((await scheduleStates(sql))[0]).toMatchObject({ scheduleId: 'nightly', paused: true, note });

    const file = parseConfigFile(testConfig({ tasks: { 1: { schedule: { hour: 21, minute: 15 } } } }));
    api.restart({
      client: withBeforeUpdate(client, async () => {
        await applySchedules({ client, sql, file, by: 'Bob' });
      }),
    });
    expect(await pause('a holiday')).toMatchObject({
      status: 200,
      body: { paused: true, note: 'paused by the operator: a holiday' },
    });
    const { spec } = await client.schedule.getHandle('nightly').describe();
    expect(spec.calendars?.[0]?.hour).toEqual([{ start: 21, end: 21, step: 1 }]);
  });
});

/** The same client; before its first update of a schedule is sent, somebody else acts. */
function withBeforeUpdate(client: Client, act: () => Promise<void>): Client {
  let acted = false;
  const service = overriding(client.workflowService, 'updateSchedule', async (request: never) => {
    if (!acted) {
      acted = true;
      await act();
    }
    return await client.workflowService.updateSchedule(request);
  });
  return overriding(client, 'workflowService', service);
}

function overriding<T extends object>(target: T, name: keyof T, value: unknown): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === name) return value;
      const own: unknown = Reflect.get(target, key, target);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}
