import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { runReportSchema } from '../../src/contracts/schemas/report.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { listAudit, reviewsOf } from '../../src/db/queries/requests.ts';
import { insertTaskRuns } from '../../src/db/queries/task-runs.ts';
import { eventually } from '../support/rig.ts';
import { newNight, newTaskRun } from '../support/rows.ts';
import { useApi } from './api-house.ts';
import { S } from './queue-house.ts';

const api = useApi();

type Page<Item> = { items: Item[]; nextPageToken: string | null };
type Run = { runId: string; task: string; state: string };
type Night = { runId: string; sessionDate: string; state: string };

/** Training fails the first `failures` times. */
function prepareFailing(failures: number): void {
  let failed = 0;
  api.desk.prepare({
    registerTraining: async () => {
      failed += 1;
      if (failed <= failures) throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
      return { version: 'v2' };
    },
  });
}

async function waitingRun(token: string): Promise<Run> {
  return await eventually('a run waits for a person', async () => {
    const { body } = await api.ask('GET', '/api/v1/runs?state=awaiting_review', { token });
    return (body as Page<Run>).items[0];
  });
}

describe('history', () => {
  it('lists nights and runs in pages that never skip or repeat a row', async () => {
    const rig = api.desk.prepare();
    const { sql } = api.desk.house.database;
    const { text: token } = await api.token('viewer');
    for (const sessionDate of ['2018-02-05', '2018-02-06']) await claimNight(sql, newNight({ sessionDate }));
    await rig.night({ universe: 'tiny', sessionDate: S });
    // Of one statement: they are of the same instant, and a page ends among them.
    await insertTaskRuns(
      sql,
      Array.from({ length: 10 }, () => newTaskRun()),
    );
    const seen: string[] = [];
    let pageToken: string | null = null;
    do {
      const query: string = pageToken === null ? '' : `&pageToken=${pageToken}`;
      const { body } = await api.ask('GET', `/api/v1/runs?limit=4${query}`, { token });
      const page = body as Page<Run>;
      expect(page.items.length).toBeLessThanOrEqual(4);
      seen.push(...page.items.map(({ runId }) => runId));
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== null);
    const all = await sql<{ taskRunId: string }[]>`
      select task_run_id from ops.task_runs order by created_at desc, task_run_id desc`;
    expect(seen).toEqual(all.map(({ taskRunId }) => taskRunId));
    expect(seen).toHaveLength(15);

    const scans = (await api.ask('GET', `/api/v1/runs?task=overnightScan&sessionDate=${S}`, { token }))
      .body as Page<Run>;
    expect(scans.items).toMatchObject([{ task: 'overnightScan', state: 'succeeded', sessionDate: S }]);
    const nights = (await api.ask('GET', '/api/v1/nights?limit=2', { token })).body as Page<Night>;
    expect(nights.items.map(({ sessionDate }) => sessionDate)).toEqual([S, '2018-02-06']);
    const rest = await api.ask('GET', `/api/v1/nights?limit=2&pageToken=${nights.nextPageToken ?? ''}`, {
      token,
    });
    expect(rest.body).toMatchObject({ items: [{ sessionDate: '2018-02-05' }], nextPageToken: null });
    const [newest] = nights.items;
    const report = await api.ask('GET', `/api/v1/nights/${newest?.runId ?? ''}`, { token });
    expect(report.status).toBe(200);
    expect(runReportSchema.parse(report.body)).toMatchObject({ sessionDate: S, status: 'succeeded' });
    const runs = await api.ask('GET', `/api/v1/nights/${newest?.runId ?? ''}/runs`, { token });
    expect((runs.body as Page<Run>).items).toHaveLength(5);
  });

  it('says so where there is no such thing', async () => {
    const { text: token } = await api.token('operator');
    for (const path of ['/api/v1/runs/none', '/api/v1/nights/none', '/api/v1/nights/none/runs']) {
      expect((await api.ask('GET', path, { token })).status, path).toBe(404);
    }
    const body = { decision: 'retry', why: 'x' };
    expect((await api.ask('POST', '/api/v1/runs/none/review', { token, body })).status).toBe(404);
    expect((await api.ask('POST', '/api/v1/nights/none/cancel', { token, body: { why: 'x' } })).status).toBe(
      404,
    );
  });
});

describe('a run that waits for a person', () => {
  it('is decided once, by the name of the token; a second decision is a conflict', async () => {
    prepareFailing(1);
    const { text: token } = await api.token('operator');
    const handle = await api.desk.rig.startNight({ universe: 'tiny', sessionDate: S });
    const { runId } = await waitingRun(token);
    const decide = (decision: string) =>
      api.ask('POST', `/api/v1/runs/${runId}/review`, { token, body: { decision, why: 'looked at it' } });
    expect(await decide('retry')).toMatchObject({
      status: 200,
      body: { runId, decision: 'retry', decidedBy: 'the operator', why: 'looked at it' },
    });
    // The same again is the same decision; another one comes too late.
    expect((await decide('retry')).status).toBe(200);
    expect(await decide('abort')).toMatchObject({
      status: 409,
      body: { type: 'urn:nightshift:problem:conflict' },
    });
    await handle.result();
    expect(await reviewsOf(api.desk.house.api.sql, runId)).toMatchObject([
      { decision: 'retry', decidedBy: 'the operator' },
    ]);
    const run = await api.ask('GET', `/api/v1/runs/${runId}`, { token });
    expect(run.body).toMatchObject({
      state: 'succeeded',
      attempts: [{ attempt: 1, state: 'failed', failure: { message: 'folds differ' } }, { attempt: 2 }],
      reviews: [{ decision: 'retry' }],
    });
  });

  it('ends with its night when that is cancelled, which the audit tells', async () => {
    prepareFailing(9);
    const { text: token } = await api.token('operator');
    const handle = await api.desk.rig.startNight({ universe: 'tiny', sessionDate: S });
    await waitingRun(token);
    const { items } = (await api.ask('GET', '/api/v1/nights', { token })).body as Page<Night>;
    const path = `/api/v1/nights/${items[0]?.runId ?? ''}/cancel`;
    expect((await api.ask('POST', path, { token, body: { why: 'not tonight' } })).status).toBe(202);
    await handle.result().catch(() => undefined);
    await eventually('the night is cancelled', async () => {
      const { body } = await api.ask('GET', '/api/v1/nights?state=cancelled', { token });
      return (body as Page<Night>).items.length === 1;
    });
    expect(await api.ask('POST', path, { token, body: { why: 'again' } })).toMatchObject({ status: 409 });
    const audit = (await api.ask('GET', '/api/v1/audit', { token })).body as Page<{
      action: string;
      why: string;
    }>;
    expect(audit.items).toContainEqual(
      expect.objectContaining({
        action: 'night.cancel',
        actor: 'the operator',
        why: 'not tonight',
      }) as object,
    );
  });
});

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
      ['from=1801-01-01&to=1801-01-02', 'from'],
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
});
