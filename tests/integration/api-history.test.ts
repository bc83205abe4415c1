import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it, vi } from 'vitest';

import { API_TIMES } from '../../src/api/deps.ts';
import { runReportSchema } from '../../src/contracts/schemas/report.ts';
import { MODELS, taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { beginAttempt, finishAttempt } from '../../src/db/queries/attempts.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { insertAudit, insertRunRequest, refuseRunRequest, reviewsOf } from '../../src/db/queries/requests.ts';
import { insertTaskRuns, listTaskRuns, transitionTaskRuns } from '../../src/db/queries/task-runs.ts';
import { reconcile } from '../../src/reconciler/reconcile.ts';
import { temporalAway } from '../support/api-away.ts';
import { fitPlan } from '../support/fakes.ts';
import { eventually } from '../support/rig.ts';
import { newNight, newTaskRun } from '../support/rows.ts';
import { useApi } from './api-house.ts';
import { request, S } from './queue-house.ts';

const api = useApi();

type Page<Item> = { items: Item[]; nextPageToken: string | null };
type Run = { runId: string; task: string; state: string };
type Entry = { kind: string; text: string; eventId: number | null };
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

/** A whole timeline, read in pages of at most `limit`. */
async function timeline(path: string, token: string, limit: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  let pageToken: string | null = null;
  do {
    const query: string = pageToken === null ? '' : `&pageToken=${encodeURIComponent(pageToken)}`;
    const answer = await api.ask('GET', `${path}/timeline?limit=${limit}${query}`, { token });
    expect(answer.status).toBe(200);
    const page = answer.body as Page<Entry>;
    expect(page.items.length).toBeLessThanOrEqual(limit);
    entries.push(...page.items);
    ({ nextPageToken: pageToken } = page);
  } while (pageToken !== null);
  return entries;
}

async function waitingRun(token: string): Promise<Run> {
  return await eventually('a run waits for a person', async () => {
    const { body } = await api.ask('GET', '/api/v1/runs?state=awaiting_review', { token });
    return (body as Page<Run>).items[0];
  });
}

describe('history', () => {
  it('lists nights and runs in pages that never skip or repeat a row', async () => {
    const rig = api.desk.prepare({ planFits: async () => fitPlan(MODELS) });
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
    const path = `/api/v1/nights/${newest?.runId ?? ''}`;
    const runs = await api.ask('GET', `${path}/runs`, { token });
    expect((runs.body as Page<Run>).items).toHaveLength(5);

    const training = (runs.body as Page<Run>).items.find(({ task }) => task === 'training');
    const run = `/api/v1/runs/${training?.runId ?? ''}`;
    expect((await api.ask('GET', run, { token })).body).toMatchObject({
      live: {
        note: null,
        status: 'COMPLETED',
        pending: [],
        steps: expect.arrayContaining([
          { activity: 'planFits', name: 'dataset', done: 1, total: 1 },
        ]) as unknown,
      },
      failureChain: [],
      webUrl: null,
    });
    const whole = await timeline(run, token, 200);
    expect(whole.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        'training begins',
        'asks for dataset',
        expect.stringMatching(/^dataset is done, in [\d.]+ s$/),
      ]),
    );
    expect(whole.at(-1)).toMatchObject({ kind: 'end', text: 'it ended succeeded', eventId: null });
    // No page reads more of the history than the server's page that it begins in, and the one after it.
    const asked = vi.spyOn(rig.client.workflowService, 'getWorkflowExecutionHistory');
    const handle = rig.client.workflow.getHandle(taskWorkflowId('training', S, 'tiny'));
    const { historyLength: events } = await handle.describe();
    expect(events).toBeGreaterThan(105);
    const sizes = () => asked.mock.calls.map(([request]) => request.maximumPageSize);
    await api.ask('GET', `${run}/timeline?limit=7`, { token });
    expect(sizes()).toEqual([100]);
    asked.mockClear();
    expect(await timeline(run, token, 7)).toEqual(whole);
    expect(new Set(sizes())).toEqual(new Set([100]));
    expect(sizes().length).toBeLessThanOrEqual(Math.ceil(whole.length / 7) + Math.ceil(events / 100));
    asked.mockRestore();
    const night = await timeline(path, token, 9);
    expect(night.map(({ text }) => text)).toEqual(
      expect.arrayContaining(['nightlyPipeline begins', 'driftMonitoring is done', 'is done']),
    );
    const first = (await api.ask('GET', `${run}/timeline?limit=1`, { token })).body as Page<Entry>;
    const foreign = await api.ask('GET', `${path}/timeline?pageToken=${first.nextPageToken ?? ''}`, {
      token,
    });
    expect(foreign).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'pageToken', message: 'is of another run' }] },
    });
  });

  it('has runs by hand that nobody has taken yet or that were refused, where they were asked for', async () => {
    const { sql } = api.desk.house.database;
    const { text: token } = await api.token('viewer');
    const ask = async (requestId: string) => {
      await insertRunRequest(sql, request({ requestId }));
      await insertTaskRuns(sql, [newTaskRun({ taskRunId: `after ${requestId}`, universe: 'tiny' })]);
    };
    for (const id of ['refused', 'waits', 'taken']) await ask(id);
    await refuseRunRequest(sql, { requestId: 'refused', reason: 'a sunday' });
    const ids = async (query = '') => {
      const { body } = await api.ask('GET', `/api/v1/runs?${query}`, { token });
      const { items, nextPageToken } = body as Page<Run>;
      return { ids: items.map(({ runId }) => runId), next: nextPageToken };
    };
    const all = ['after taken', 'taken', 'after waits', 'waits', 'after refused', 'refused'];
    expect((await ids()).ids).toEqual(all);
    expect((await ids('state=failed&task=ingestion')).ids).toEqual(['refused']);
    expect((await ids('state=pending&task=ingestion&universe=tiny')).ids).toEqual(['taken', 'waits']);
    expect((await ids('state=running')).ids).toEqual([]);
    // Taken between two pages it stays where it was.
    const first = await ids('limit=4');
    expect(first.ids).toEqual(all.slice(0, 4));
    await insertTaskRuns(sql, [newTaskRun({ taskRunId: 'waits' }), newTaskRun({ taskRunId: 'taken' })]);
    expect((await ids(`limit=4&pageToken=${first.next ?? ''}`)).ids).toEqual(all.slice(4));
    expect((await ids()).ids).toEqual(all);
  });

  it('has every act of people, in pages', async () => {
    const { sql } = api.desk.house.api;
    const { text: token } = await api.token('viewer');
    for (const why of ['1', '2', '3'])
      await insertAudit(sql, { actor: 'Ann', action: 'a', subject: 's', why });
    await insertAudit(sql, { actor: 'Ann', action: 'a', subject: 'other' });
    const seen: (string | null)[] = [];
    let pageToken: string | null = null;
    do {
      const query: string = pageToken === null ? '' : `&pageToken=${pageToken}`;
      const { body } = await api.ask('GET', `/api/v1/audit?subject=s&limit=2${query}`, { token });
      const page = body as Page<{ why: string }>;
      seen.push(...page.items.map(({ why }) => why));
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== null);
    expect(seen).toEqual(['3', '2', '1']);
  });

  it('tells from the rows what Temporal does not know any more, and when it does not answer', async () => {
    api.desk.prepare();
    const { sql } = api.desk.house.database;
    const { text: token } = await api.token('viewer');
    const run = newTaskRun();
    const fence = {
      taskRunId: run.taskRunId,
      workflowId: 'training/old/tiny',
      runId: randomUUID(),
      attempt: 1,
    };
    await insertTaskRuns(sql, [run]);
    await beginAttempt(sql, fence);
    const failure = {
      type: 'FitFailed',
      message: 'no rows',
      activity: 'fitFold',
      attempt: 1,
      nonRetryable: false,
    };
    await finishAttempt(sql, { fence, end: 'failed', failure, result: null });
    await transitionTaskRuns(sql, [
      { taskRunId: run.taskRunId, state: 'failed', reason: 'FitFailed: no rows' },
    ]);
    const path = `/api/v1/runs/${run.taskRunId}`;
    const look = async () => [
      (await api.ask('GET', path, { token })).body,
      (await api.ask('GET', `${path}/timeline?limit=2`, { token })).body,
      (await timeline(path, token, 3)).map(({ text }) => text),
    ];
    const texts = [
      'asked for by test',
      'attempt 1 begins',
      'attempt 1 failed in fitFold: FitFailed: no rows',
      'it ended failed: FitFailed: no rows',
    ];
    const chain = { failureChain: ['fold fit failed', 'FitFailed: no rows'] };
    expect(await look()).toMatchObject([
      { ...chain, live: { note: 'Temporal does not know this run any more', status: null, pending: [] } },
      { note: 'Temporal does not know training/old/tiny any more: the rows tell what they know' },
      texts,
    ]);
    const { client, close } = temporalAway();
    api.restart({ client, times: { ...API_TIMES, tokenMs: 0, callMs: 500 } });
    expect(await look()).toMatchObject([
      { ...chain, live: { note: 'Temporal does not answer' } },
      { note: 'Temporal does not answer about training/old/tiny: the rows tell what they know' },
      texts,
    ]);
    await close();
  });

  it('says so where there is no such thing', async () => {
    const { text: token } = await api.token('operator');
    const none = ['/api/v1/runs/none', '/api/v1/nights/none'];
    const parts = ['runs/none/timeline', 'nights/none/timeline', 'nights/none/runs', 'nights/none/live'];
    for (const path of [...none, ...parts.map((part) => `/api/v1/${part}`)]) {
      expect((await api.ask('GET', path, { token })).status, path).toBe(404);
    }
    const body = { decision: 'retry', why: 'x' };
    expect((await api.ask('POST', '/api/v1/runs/none/review', { token, body })).status).toBe(404);
    const acts = ['nights/none/cancel', 'nights/none/terminate', 'runs/none/cancel', 'runs/none/terminate'];
    for (const act of [...acts, 'runs/none/retry'])
      expect((await api.ask('POST', `/api/v1/${act}`, { token, body: { why: 'x' } })).status, act).toBe(404);
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

  it('is retried where it waits; after the end of its night by hand, with its needs; terminated, its rows are closed', async () => {
    prepareFailing(9);
    const { sql } = api.desk.house.api;
    const { text: token } = await api.token('operator');
    const handle = await api.desk.rig.startNight({ universe: 'tiny', sessionDate: S });
    const { runId } = await waitingRun(token);
    const seen = (await api.ask('GET', `/api/v1/runs/${runId}`, { token })).body;
    expect(seen).toMatchObject({
      failureChain: [
        'metrics and gate failed: such a failure is not tried again',
        'NumericFailure: folds differ (trying again would not help)',
      ],
      live: { status: 'FAILED' },
    });
    const retry = (id: string, headers = {}, query = '') =>
      api.ask('POST', `/api/v1/runs/${id}/retry${query}`, { token, headers, body: { why: 'once more' } });
    const key = { 'Idempotency-Key': 'mine' };
    expect(await retry(runId, key)).toMatchObject({ status: 202, body: { task_id: 2, run_id: runId } });
    await eventually('the second attempt has failed, too', async () => {
      const { body } = await api.ask('GET', `/api/v1/runs/${runId}`, { token });
      const { state, attemptsBegun } = body as { state: string; attemptsBegun: number };
      return state === 'awaiting_review' && attemptsBegun === 2;
    });
    expect(await retry(runId, key)).toMatchObject({ status: 202, body: { run_id: runId } });
    expect(await reviewsOf(sql, runId)).toHaveLength(1);

    const { items } = (await api.ask('GET', '/api/v1/nights', { token })).body as Page<Night>;
    const night = `/api/v1/nights/${items[0]?.runId ?? ''}`;
    expect((await api.ask('GET', `${night}/live`, { token })).body).toMatchObject({
      live: { status: 'RUNNING', note: null },
      tasks: [],
    });
    const own = await api.ask('POST', `/api/v1/runs/${runId}/cancel`, { token, body: { why: 'x' } });
    expect(own).toMatchObject({ status: 409, body: { type: 'urn:nightshift:problem:conflict' } });
    expect((await api.ask('POST', `${night}/cancel`, { token, body: { why: 'not tonight' } })).status).toBe(
      202,
    );
    await handle.result().catch(() => undefined);
    await eventually('the night is cancelled', async () => {
      const { body } = await api.ask('GET', '/api/v1/nights?state=cancelled', { token });
      return (body as Page<Night>).items.length === 1;
    });
    for (const act of ['cancel', 'terminate'])
      expect(await api.ask('POST', `${night}/${act}`, { token, body: { why: 'x' } })).toMatchObject({
        status: 409,
      });

    const [scan] = await listTaskRuns(sql, { task: 'overnightScan' });
    expect(await retry(scan?.taskRunId ?? '')).toMatchObject({
      status: 409,
      body: {
        type: 'urn:nightshift:problem:dependency-not-met',
        detail: expect.stringContaining('training') as unknown,
      },
    });
    const again = await retry(runId, { 'Idempotency-Key': 'another' });
    const { run_id: newId } = again.body as { run_id: string };
    expect(again).toMatchObject({ status: 202, body: { status_url: `/api/v1/runs/${newId}` } });
    expect(newId).not.toBe(runId);
    expect((await retry(runId, { 'Idempotency-Key': 'another' })).body).toEqual(again.body);
    expect((await waitingRun(token)).runId).toBe(newId);
    const { sql: pipeline } = api.desk.house.database;
    await refuseRunRequest(pipeline, { requestId: newId, reason: 'a sunday' });
    expect(await retry(runId, { 'Idempotency-Key': 'another' })).toMatchObject({
      status: 409,
      body: { detail: 'it was refused: a sunday' },
    });

    const end = () =>
      api.ask('POST', `/api/v1/runs/${newId}/terminate`, { token, body: { why: 'it hangs' } });
    expect(await end()).toMatchObject({ status: 202, body: { runId: newId } });
    await api.desk.house.owner.sql`update ops.task_runs set created_at = now() - interval '1 minute'`;
    await reconcile({ client: api.desk.rig.client, sql: api.desk.house.database.sql });
    expect((await api.ask('GET', `/api/v1/runs/${newId}`, { token })).body).toMatchObject({
      state: 'failed',
      nightRunId: null,
      reason: 'its workflow ended terminated: the operator: it hangs',
    });
    expect(await end()).toMatchObject({ status: 409 });
    const { body } = await api.ask('GET', '/api/v1/audit', { token });
    const told = (body as Page<{ action: string; subject: string; why: string }>).items;
    expect(told.map(({ action, subject, why }) => [action, subject, why])).toEqual(
      expect.arrayContaining([
        ['night.cancel', handle.workflowId, 'not tonight'],
        ['run.retry', runId, 'once more'],
        ['run.request', newId, 'once more'],
        ['run.terminate', newId, 'it hangs'],
      ]),
    );
  });
});
