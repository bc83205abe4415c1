import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { runReportSchema } from '../../src/contracts/schemas/report.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { reviewsOf } from '../../src/db/queries/requests.ts';
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
