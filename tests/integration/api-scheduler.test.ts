import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

import { describe, expect, it } from 'vitest';

import { API_TIMES } from '../../src/api/deps.ts';
import { TASK_PATHS } from '../../src/api/routes/scheduler-definitions.ts';
import { TASKS } from '../../src/contracts/wire/names.ts';
import { ConnectionError } from '../../src/db/errors.ts';
import { insertRunRequest, listAudit } from '../../src/db/queries/requests.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { createFakes } from '../support/fakes.ts';
import { eventually } from '../support/rig.ts';
import { useApi } from './api-house.ts';
import { request, S } from './queue-house.ts';

const api = useApi();

const EASTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0[45]:00$/;

describe('the documents’ endpoints', () => {
  it('status has their fields, before anything has run and after', async () => {
    const rig = api.desk.prepare({
      runIngestion: async () => ({ totalSymbols: 8, failed: 0, flagsByKind: { oneDayReversal: 2 } }),
    } as never);
    const { text: token } = await api.token('operator');
    const status = () => api.ask('GET', '/scheduler/status', { token });
    const names = (await status()).body as { jobs: { id: string; name: string; next_run: null }[] };
    expect(names).toMatchObject({
      running: false,
      version: '1.0',
      last_runs: {},
      last_results: {},
      errors: {},
    });
    expect(names.jobs.map(({ id, next_run }) => [id, next_run])).toEqual(
      TASKS.map((_, index) => [`task_${index + 1}`, null]),
    );
    expect(names.jobs[0]?.name).toBe('Master Market Data Ingestion');

    expect((await api.ask('POST', '/scheduler/start', { token })).body).toMatchObject({
      success: true,
      message: 'Unified scheduler started',
    });
    await api.desk.manual(rig, request({}));
    const after = (await status()).body as {
      running: boolean;
      jobs: { next_run: string | null }[];
      last_runs: Record<string, string>;
      last_results: Record<string, { status: string }>;
    };
    expect(after.running).toBe(true);
    for (const { next_run } of after.jobs) expect(next_run).toMatch(EASTERN);
    expect(Object.keys(after.last_runs)).toEqual(['1']);
    expect(after.last_runs['1']).toMatch(EASTERN);
    expect(after.last_results['1']?.status).toBe('success');
    const result = {
      totalSymbols: 83,
      successful: 82,
      totalCandles: 41500,
      verdict: null,
      failures: [{ symbol: 'A' }],
      coverage: { ratio: 1 },
    };
    await api.desk.house.owner.sql`update ops.task_runs set result = ${JSON.stringify(result)}::jsonb`;
    expect((await status()).body).toMatchObject({
      last_results: {
        1: {
          status: 'success',
          symbols_processed: 82,
          candles_ingested: 41500,
          total_symbols: 83,
          total_candles: 41500,
          verdict: null,
        },
      },
    });
    expect(JSON.stringify((await status()).body)).not.toMatch(/failures|coverage/);
  });

  it('stop pauses and start unpauses the schedules, with who and why', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/start', { token });
    const stopped = await api.ask('POST', '/scheduler/stop', { token, body: { why: 'a holiday' } });
    expect(stopped).toMatchObject({
      status: 200,
      body: {
        success: true,
        message: 'Unified scheduler stopped',
        changes: ['nightly: paused', 'weekly-maintenance: paused'],
      },
    });
    const described = await api.desk.rig.client.schedule.getHandle('nightly').describe();
    expect(described.state).toMatchObject({ paused: true, note: 'paused by the operator: a holiday' });
    // Paused elsewhere counts the same.
    expect((await api.ask('POST', '/scheduler/stop', { token })).body).toMatchObject({
      success: true,
      changes: [],
    });
    expect((await api.ask('POST', '/scheduler/start', { token })).body).toMatchObject({
      changes: ['nightly: unpaused', 'weekly-maintenance: unpaused'],
    });
    // What the API has done itself is seen at once, however long it keeps answers.
    api.restart({ times: { ...API_TIMES, freshMs: 60_000 } });
    const isRunning = async (): Promise<unknown> =>
      (await api.ask('GET', '/scheduler/status', { token })).body;
    expect(await isRunning()).toMatchObject({ running: true });
    await api.ask('POST', '/scheduler/stop', { token });
    expect(await isRunning()).toMatchObject({ running: false });
    await api.ask('POST', '/scheduler/start', { token });
    expect(await isRunning()).toMatchObject({ running: true });
    const audit = await listAudit(api.desk.house.api.sql, { subject: 'nightly' });
    expect(audit.map(({ actor, action, why }) => [actor, action, why])).toContainEqual([
      'the operator',
      'schedule.pause',
      'a holiday',
    ]);
  });

  it('run_* and run_task queue a task: 202 with where to look, or its result when it is waited for', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    const queued = await api.ask('POST', `/scheduler/run_ingestion?sessionDate=${S}`, { token });
    const { run_id: runId } = queued.body as { run_id: string };
    expect(queued).toMatchObject({
      status: 202,
      body: { success: true, task_id: 1, run_id: runId, status_url: `/api/v1/runs/${runId}` },
    });
    expect(queued.headers.get('location')).toBe(`/api/v1/runs/${runId}`);
    // Who reads the log finds the run and the audit row, and the other way round.
    const requestId = queued.headers.get('x-request-id');
    expect(api.lines.at(-1)).toMatchObject({
      message: 'POST /scheduler/run_ingestion 202',
      fields: { requestId, taskRunId: runId, sessionDate: S, caller: 'the operator' },
    });
    expect(await listAudit(api.desk.house.api.sql, { subject: runId })).toMatchObject([
      { actor: 'the operator', action: 'run.request', details: { httpRequestId: requestId } },
    ]);
    // Asked for before this one is over, the second could get the slot first.
    const run = await eventually('the first run is over', async () => {
      const answer = await api.ask('GET', `/api/v1/runs/${runId}`, { token });
      expect(answer.status).toBe(200);
      const { state } = answer.body as { state: string };
      return ['pending', 'waiting', 'running'].includes(state) ? undefined : answer;
    });
    expect(run).toMatchObject({
      status: 200,
      body: {
        runId,
        task: 'ingestion',
        state: 'succeeded',
        requestedBy: 'the operator',
        attempts: [{ attempt: 1 }],
      },
    });
    const done = await api.ask('POST', `/scheduler/run_task/1?sessionDate=${S}&wait=60`, { token });
    const [newest] = await listTaskRuns(api.desk.house.api.sql);
    expect(api.lines.at(-1)?.fields).toMatchObject({ taskRunId: newest?.taskRunId });
    expect(done).toMatchObject({ status: 200, body: { success: true, task_id: 1 } });
    expect(await listTaskRuns(api.desk.house.api.sql)).toHaveLength(2);
  });

  it('a run by hand is looked at while it works, and cancelled; also one that nobody has taken', async () => {
    api.desk.prepare({
      planIngestion: async () => {
        const context = Context.current();
        if (context.info.attempt === 1)
          throw ApplicationFailure.create({
            message: 'no connection',
            type: 'ProviderTransient',
            nextRetryDelay: 10,
            cause: new Error('socket closed'),
          });
        context.heartbeat({ phase: 'asking', done: 3, total: 8 });
        return await context.cancelled;
      },
    });
    const { text: token } = await api.token('operator');
    const ask = (query = '') =>
      api.ask('POST', `/scheduler/run_ingestion?sessionDate=${S}${query}`, {
        token,
        headers: { 'idempotency-key': 'wrong-day' },
      });
    const { run_id: runId } = (await ask()).body as { run_id: string };
    const path = `/api/v1/runs/${runId}`;
    const run = await eventually('its progress is seen', async () => {
      const { body } = await api.ask('GET', path, { token });
      const { live } = body as { live: { pending: { phase: string }[] } };
      return live.pending[0]?.phase === 'asking' ? body : undefined;
    });
    expect(run).toMatchObject({
      state: 'running',
      live: {
        status: 'RUNNING',
        pending: [
          {
            activity: 'planIngestion',
            name: 'plan of what is missing',
            state: 'running',
            attempt: 2,
            done: 3,
            total: 8,
            failureChain: ['ProviderTransient: no connection', 'socket closed'],
          },
        ],
      },
    });
    // Who waits for it hears where to look when the API stops.
    const stopping = new AbortController();
    api.restart({ stopping: stopping.signal });
    const waiting = ask('&wait=600');
    setTimeout(() => stopping.abort(), 300);
    expect(await waiting).toMatchObject({ status: 202, body: { run_id: runId } });
    api.restart({});
    const cancel = (id: string) =>
      api.ask('POST', `/api/v1/runs/${id}/cancel`, { token, body: { why: 'wrong day' } });
    expect(await cancel(runId)).toMatchObject({ status: 202, body: { runId } });
    await eventually('it is cancelled', async () => {
      const { body } = await api.ask('GET', path, { token });
      return (body as { state: string }).state === 'cancelled';
    });
    expect(await cancel(runId)).toMatchObject({ status: 409 });

    const { sql } = api.desk.house.api;
    await insertRunRequest(sql, request({ requestId: 'nobody-took-it' }));
    expect(await cancel('nobody-took-it')).toMatchObject({
      status: 202,
      body: { state: 'failed', reason: 'cancelled by the operator before it began: wrong day' },
    });
    expect(await cancel('nobody-took-it')).toMatchObject({ status: 409 });
    const { items } = (await api.ask('GET', '/api/v1/runs/nobody-took-it/timeline', { token })).body as {
      items: { text: string }[];
    };
    expect(items.map(({ text }) => text)).toEqual([
      'asked for by Ann',
      'is refused: cancelled by the operator before it began: wrong day',
    ]);
  });

  it('each of the six has its own path', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    for (const [index, path] of TASK_PATHS.entries()) {
      const answer = await api.ask('POST', `/scheduler/${path}?sessionDate=${S}&force=true`, { token });
      expect(answer).toMatchObject({ status: 202, body: { task_id: index + 1 } });
    }
  });

  it('the same Idempotency-Key of a token is the same run; another run under it is a conflict', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    const headers = { 'Idempotency-Key': 'tonight' };
    const ask = (path: string, as = token) => api.ask('POST', path, { token: as, headers });
    const first = await ask(`/scheduler/run_ingestion?sessionDate=${S}&wait=60`);
    const again = await ask(`/scheduler/run_ingestion?sessionDate=${S}&wait=60`);
    expect(again.body).toEqual(first.body);
    // What is left out is what it was the first time.
    expect((await ask('/scheduler/run_ingestion?wait=60')).body).toEqual(first.body);
    expect(await listTaskRuns(api.desk.house.api.sql)).toHaveLength(1);
    expect(await ask(`/scheduler/run_weekly_maintenance?sessionDate=${S}`)).toMatchObject({
      status: 409,
      body: { type: 'urn:nightshift:problem:conflict' },
    });
    const { text: other } = await api.token('operator');
    await ask(`/scheduler/run_ingestion?sessionDate=${S}&wait=60`, other);
    expect(await listTaskRuns(api.desk.house.api.sql)).toHaveLength(2);
  });

  it('a need that is not met is 409 and says which; force runs it anyway', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    const refused = await api.ask('POST', `/scheduler/run_overnight_scanner?sessionDate=${S}&universe=tiny`, {
      token,
    });
    expect(refused).toMatchObject({
      status: 409,
      body: {
        type: 'urn:nightshift:problem:dependency-not-met',
        detail: `training did not succeed for ${S} (tiny); force=true runs overnightScan anyway`,
      },
    });
    const forced = await api.ask(
      'POST',
      `/scheduler/run_overnight_scanner?sessionDate=${S}&universe=tiny&force=true&wait=60`,
      { token },
    );
    expect(forced).toMatchObject({ status: 200, body: { success: true, task_id: 3 } });
    const [row] = await listTaskRuns(api.desk.house.api.sql);
    expect(row).toMatchObject({ forced: true, requestedBy: 'the operator' });
  });

  it('a universe that is not configured is refused', async () => {
    const { text: token } = await api.token('operator');
    const path = '/scheduler/run_ingestion?sessionDate=2018-02-07&universe=other';
    expect(await api.ask('POST', path, { token })).toMatchObject({
      status: 400,
      body: { type: 'urn:nightshift:problem:invalid-input', errors: [{ field: 'universe' }] },
    });
    expect(await listTaskRuns(api.desk.house.api.sql)).toEqual([]);
  });

  it('a run that was refused is refused again under its key', async () => {
    api.desk.prepare();
    const { text: token } = await api.token('operator');
    const headers = { 'idempotency-key': 'a sunday' };
    const ask = () => api.ask('POST', '/scheduler/run_ingestion?sessionDate=2018-02-04', { token, headers });
    expect(await ask()).toMatchObject({ status: 202 });
    const again = await eventually('it is refused', async () => {
      const answer = await ask();
      return answer.status !== 202 && answer;
    });
    expect(again).toMatchObject({
      status: 409,
      body: { detail: 'it was refused: XNYS is closed on 2018-02-04' },
    });
  });
});

describe('a run that is waited for', () => {
  const gone = new ConnectionError('CONNECTION_CLOSED', 'Postgres is gone');

  it('outlives a short outage, and is named at the end of the time in a long one', async () => {
    let isDown = false;
    let backInMs: number | null = 1_000;
    api.desk.prepare({
      planIngestion: async () => {
        isDown = true;
        if (backInMs !== null) setTimeout(() => (isDown = false), backInMs);
        return createFakes().activities.planIngestion({} as never);
      },
    });
    const { sql } = api.desk.house.api;
    const failing = new Proxy(sql, {
      apply: (target, self, args) => {
        if (isDown) throw gone;
        return Reflect.apply(target, self, args) as unknown;
      },
    });
    api.restart({ sql: failing });
    const { text: token } = await api.token('operator');
    const ask = (wait: number) =>
      api.ask('POST', `/scheduler/run_ingestion?sessionDate=${S}&wait=${wait}`, { token });
    expect(await ask(60)).toMatchObject({ status: 200, body: { success: true } });
    backInMs = null;
    const late = await ask(3);
    expect(late).toMatchObject({ status: 202, body: { run_id: expect.any(String) as string } });
    expect(late.headers.get('location')).toContain('/api/v1/runs/');
    isDown = false;
  });
});
