import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence } from '../../src/contracts/activities.ts';
import { createDatabase, type Database, type Queryable } from '../../src/db/client.ts';
import { attemptsOf } from '../../src/db/queries/attempts.ts';
import { applyConfig, currentConfigHash, findConfig, insertConfig } from '../../src/db/queries/configs.ts';
import { readActsAbout, readManualRuns } from '../../src/db/queries/dashboard-tonight.ts';
import { insertEvents, markEventsHandled, openEvents } from '../../src/db/queries/events.ts';
import { claimNight, findNight, listNights, setNightState } from '../../src/db/queries/nights.ts';
import { closeGoneStarter, openStarters, withLeaderLock } from '../../src/db/queries/reconcile.ts';
import {
  insertReview,
  insertRunRequest,
  listAudit,
  reviewsOf,
  takeRunRequest,
  untakenRunRequests,
} from '../../src/db/queries/requests.ts';
import { findNightByRun, readNightPage, readRunPage } from '../../src/db/queries/run-pages.ts';
import { readPauseFacts } from '../../src/db/queries/alerts.ts';
import { onSince, saveScheduleState, scheduleStates } from '../../src/db/queries/schedule-state.ts';
import {
  findTaskRun,
  insertTaskRuns,
  latestTaskRuns,
  type NewTaskRun,
  succeededTasks,
  transitionTaskRuns,
} from '../../src/db/queries/task-runs.ts';
import { queryableOn } from '../../src/db/query.ts';
import { createTestDatabase, type TestDatabase, uniqueName } from '../support/env.ts';
import { beginStep, newNight, newTaskRun } from '../support/rows.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDatabase(database.urls.pipeline, { max: 6 });
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

async function startedRun(overrides: Partial<NewTaskRun> = {}): Promise<{ run: NewTaskRun; fence: Fence }> {
  const run = newTaskRun(overrides);
  const { fence } = await beginStep({ sql: db.sql, run, workflowId: 'w' });
  return { run, fence };
}

describe('the claim of a night', () => {
  it('lets one open night per session and universe through and names the owner to the others', async () => {
    const first = newNight();
    const others = Array.from({ length: 5 }, () => newNight({ universe: first.universe }));
    const claims = await Promise.all([first, ...others].map((one) => claimNight(db.sql, one)));
    expect(claims.filter((claim) => claim.outcome === 'claimed')).toHaveLength(1);
    const winner = [first, ...others][claims.findIndex((claim) => claim.outcome === 'claimed')];
    for (const claim of claims) {
      if (claim.outcome === 'already_running') expect(claim.owner.runId).toBe(winner?.runId);
    }
    expect(await claimNight(db.sql, winner ?? first)).toEqual({ outcome: 'claimed' });
    expect(
      await claimNight(db.sql, newNight({ universe: first.universe, sessionDate: '2018-02-06' })),
    ).toEqual({
      outcome: 'claimed',
    });
  });

  it('is free again once the night has ended, and an ended night stays ended', async () => {
    const first = newNight();
    await claimNight(db.sql, first);
    const task = newTaskRun({ nightWorkflowId: first.workflowId, nightRunId: first.runId });
    await insertTaskRuns(db.sql, [task]);
    expect(await setNightState(db.sql, { ...first, state: 'awaiting_review', reason: 'training' })).toBe(
      true,
    );
    expect(await claimNight(db.sql, newNight({ universe: first.universe }))).toMatchObject({
      outcome: 'already_running',
    });
    expect(await setNightState(db.sql, { ...first, state: 'partial', reason: null })).toBe(true);
    expect(await setNightState(db.sql, { ...first, state: 'running', reason: null })).toBe(false);
    expect(await findTaskRun(db.sql, task.taskRunId)).toMatchObject({
      state: 'cancelled',
      reason: 'the night ended partial',
    });
    const second = newNight({ universe: first.universe });
    expect(await claimNight(db.sql, second)).toEqual({ outcome: 'claimed' });
    expect(await findNight(db.sql, first)).toMatchObject({ state: 'partial', plan: { tasks: [] } });
    expect(
      (await listNights(db.sql, { universe: first.universe, open: true })).map((row) => row.runId),
    ).toEqual([second.runId]);
  });
});

describe('transitions', () => {
  it('go forward, come back only from running or review, and end once', async () => {
    const run = newTaskRun();
    await insertTaskRuns(db.sql, [run]);
    await insertTaskRuns(db.sql, [{ ...run, state: 'failed' }]);
    const to = async (state: Parameters<typeof transitionTaskRuns>[1][number]['state'], reason?: string) =>
      (await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state, ...(reason && { reason }) }]))
        .refused.length === 0;
    expect(await to('waiting', 'for a slot')).toBe(true);
    expect(await to('running')).toBe(true);
    expect(await to('awaiting_review', 'fit failed')).toBe(true);
    expect(await to('waiting')).toBe(true);
    expect(await to('failed', 'review expired')).toBe(true);
    expect(await to('failed')).toBe(true);
    expect(await to('running')).toBe(false);
    expect(await to('succeeded')).toBe(false);
    const row = await findTaskRun(db.sql, run.taskRunId);
    expect(row).toMatchObject({ state: 'failed', reason: 'review expired' });
    expect(row?.completedAt).not.toBeNull();
  });

  it('of two with an order the later one stays, whichever comes last', async () => {
    const run = newTaskRun();
    await insertTaskRuns(db.sql, [run]);
    const waits = { taskRunId: run.taskRunId, state: 'waiting', reason: 'for a slot', order: 11 } as const;
    await transitionTaskRuns(db.sql, [waits]);
    await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state: 'running', order: 12 }]);
    expect(await transitionTaskRuns(db.sql, [waits])).toEqual({ refused: [run.taskRunId] });
    expect(await findTaskRun(db.sql, run.taskRunId)).toMatchObject({ state: 'running' });
    // An end without an order is a person's or the reconciler's: it counts.
    await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state: 'cancelled', reason: 'gone' }]);
    expect(await findTaskRun(db.sql, run.taskRunId)).toMatchObject({ state: 'cancelled' });
  });

  it('the newest run of a task counts, and any success satisfies a dependency', async () => {
    const universe = uniqueName('u');
    await insertTaskRuns(db.sql, [newTaskRun({ universe, task: 'ingestion', state: 'succeeded' })]);
    await insertTaskRuns(db.sql, [newTaskRun({ universe, task: 'ingestion', state: 'failed' })]);
    const key = { sessionDate: '2018-02-07', universe };
    expect(await succeededTasks(db.sql, key)).toEqual(['ingestion']);
    expect((await latestTaskRuns(db.sql, key)).map((row) => row.state)).toEqual(['failed']);
  });
});

describe('people', () => {
  it('a decision is one review and one audit row, however often it arrives', async () => {
    const { run } = await startedRun();
    const review = { taskRunId: run.taskRunId, decision: 'retry', by: 'ann', why: 'disk was full' } as const;
    await Promise.all([insertReview(db.sql, review), insertReview(db.sql, review)]);
    expect(await reviewsOf(db.sql, run.taskRunId)).toHaveLength(1);
    expect(await listAudit(db.sql, { subject: run.taskRunId })).toMatchObject([
      { actor: 'ann', action: 'review.retry', why: 'disk was full', role: 'nightshift_pipeline' },
    ]);
  });

  it('a request is stored once, taken once, and missed when nobody takes it', async () => {
    const request = {
      requestId: uniqueName('request'),
      task: 'backtest',
      sessionDate: '2018-02-07',
      universe: 'u',
      force: true,
      trigger: 'manual',
      configHash: null,
      requestedBy: 'ann',
    } as const;
    expect(await insertRunRequest(db.sql, request)).toBe(true);
    expect(await insertRunRequest(db.sql, request)).toBe(false);
    expect((await untakenRunRequests(db.sql, 0)).map((row) => row.requestId)).toContain(request.requestId);
    const taken = await takeRunRequest(db.sql, { requestId: request.requestId, workflowId: 'w' });
    expect(taken).toMatchObject({ force: true, takenByWorkflow: 'w' });
    expect(await takeRunRequest(db.sql, { requestId: request.requestId, workflowId: 'x' })).toEqual(taken);
    expect(await untakenRunRequests(db.sql, 0)).toEqual([]);
    expect(await takeRunRequest(db.sql, { requestId: 'nobody', workflowId: 'x' })).toBeNull();
  });
});

describe('what is gone', () => {
  it('the rows of a dead starter are closed with the reason, once', async () => {
    const dead = newNight();
    await claimNight(db.sql, dead);
    const { run } = await startedRun({
      nightWorkflowId: dead.workflowId,
      nightRunId: dead.runId,
      starterWorkflowId: dead.workflowId,
      starterRunId: dead.runId,
    });
    expect(await openStarters(db.sql)).toContainEqual(
      expect.objectContaining({ workflowId: dead.workflowId, runId: dead.runId, kind: 'night' }),
    );
    const close = { ...dead, state: 'failed', reason: 'the workflow was terminated' } as const;
    expect(await closeGoneStarter(db.sql, close)).toBe(2);
    expect(await closeGoneStarter(db.sql, close)).toBe(0);
    expect(await findTaskRun(db.sql, run.taskRunId)).toMatchObject({ state: 'failed', reason: close.reason });
    expect((await attemptsOf(db.sql, [run.taskRunId]))[0]?.state).toBe('failed');
    expect((await openStarters(db.sql)).map((one) => one.runId)).not.toContain(dead.runId);
  });

  it('one process leads at a time', async () => {
    const key = 424_242;
    let inner: unknown = 'not asked';
    const outer = await withLeaderLock(db.sql, key, async () => {
      inner = await withLeaderLock(db.sql, key, async () => 'second');
      return 'first';
    });
    expect(outer).toEqual({ result: 'first' });
    expect(inner).toBeNull();
    expect(await withLeaderLock(db.sql, key, async () => 'again')).toEqual({ result: 'again' });
  });
});

describe('small tables', () => {
  it('configurations are stored once and applied by name', async () => {
    const name = uniqueName('u');
    const config = { configHash: uniqueName('hash'), body: { a: [1, { b: null }] } };
    await insertConfig(db.sql, config);
    await insertConfig(db.sql, { ...config, body: { other: true } });
    expect(await findConfig(db.sql, config.configHash)).toEqual(config);
    expect(await currentConfigHash(db.sql, name)).toBeNull();
    expect(await applyConfig(db.sql, { name, config, appliedBy: 'ann' })).toEqual({ changed: true });
    expect(await applyConfig(db.sql, { name, config, appliedBy: 'bob' })).toEqual({ changed: false });
    expect(await currentConfigHash(db.sql, name)).toBe(config.configHash);
  });

  it('events wait until somebody has handled them', async () => {
    const kind = uniqueName('kind');
    const event = { kind, subject: 'AAPL', sessionDate: '2018-02-07', details: { x: 1 }, taskRunId: null };
    await insertEvents(db.sql, [event, { ...event, subject: 'IBM', sessionDate: null }]);
    const open = await openEvents(db.sql, kind);
    expect(open).toMatchObject([event, { subject: 'IBM', sessionDate: null }]);
    await markEventsHandled(db.sql, { eventIds: [open[0]?.eventId ?? 0], handledBy: 'pipeline' });
    expect((await openEvents(db.sql, kind)).map((row) => row.subject)).toEqual(['IBM']);
  });

  it('a schedule remembers its pause and when it was first enabled', async () => {
    const scheduleId = uniqueName('schedule');
    const state = { scheduleId, paused: true, note: 'holidays', specHash: 's' };
    await saveScheduleState(db.sql, state);
    const find = async () => (await scheduleStates(db.sql)).find((row) => row.scheduleId === scheduleId);
    expect(await find()).toMatchObject({ ...state, firstEnabledAt: null });
    await saveScheduleState(db.sql, { ...state, paused: false, note: null });
    const enabled = await find();
    expect(enabled?.firstEnabledAt).not.toBeNull();
    await saveScheduleState(db.sql, state);
    expect(await find()).toMatchObject({ paused: true, firstEnabledAt: enabled?.firstEnabledAt });
    const pausedSince = async () =>
      (await readPauseFacts(db.sql)).find((fact) => fact.scheduleId === scheduleId)?.pausedSinceMs;
    const began = await pausedSince();
    expect(began).toBeGreaterThan(0);
    // Somebody who is known did it, although the row was faster; nobody is not asked again.
    await saveScheduleState(db.sql, { ...state, by: 'Ann', why: 'a holiday' });
    await saveScheduleState(db.sql, state);
    expect(await pausedSince()).toBe(began);
    const acts = await listAudit(db.sql, { subject: scheduleId });
    expect(acts.map(({ actor, action, why }) => [actor, action, why])).toEqual([
      ['Ann', 'schedule.pause', 'a holiday'],
      ['unknown (Temporal)', 'schedule.pause', 'holidays'],
      ['unknown (Temporal)', 'schedule.unpause', null],
    ]);
    // What was on already is on since then.
    const on = { ...state, paused: false, by: 'Ann' };
    await saveScheduleState(db.sql, on);
    const since = await onSince(db.sql, scheduleId);
    expect(since).not.toBeNull();
    await saveScheduleState(db.sql, { ...on, note: 'to be sure' });
    expect(await onSince(db.sql, scheduleId)).toBe(since);
  });
});

describe('lists over ten years of nights', () => {
  let years: TestDatabase;
  let owner: Database;

  beforeAll(async () => {
    years = await createTestDatabase();
    owner = createDatabase(years.urls.owner, { max: 1 });
    const { sql } = owner;
    await sql`
      insert into ops.nights (workflow_id, run_id, session_date, universe, universe_version, trigger, state,
        config_hash, started_at)
      select 'w' || n, 'r' || n, date '2017-01-01' + n, 'u', 'v', 'schedule', 'succeeded', 'c',
        timestamptz '2017-01-01' + n * interval '1 day'
      from generate_series(1, 2500) n`;
    // Of all runs, a hundred by hand, long ago.
    await sql`
      insert into ops.task_runs (task_run_id, night_workflow_id, night_run_id, task, session_date, universe,
        universe_version, state, trigger, starter_workflow_id, starter_run_id, max_attempts, timeout_ms, config_hash,
        created_at)
      select task || n, case when n > 20 then 'w' || n end, case when n > 20 then 'r' || n end, task,
        date '2017-01-01' + n, 'u', 'v', 'succeeded', 'schedule', 'w', 'r', 1, 1, 'c',
        timestamptz '2017-01-01' + n * interval '1 day'
      from generate_series(1, 2500) n, unnest(array['ingestion', 'training', 'backtest', 'overnightScan', 'x']) task`;
    await sql`
      insert into ops.audit (actor, action, subject) select 'Ann', 'a', 's' || n % 1000 from generate_series(1, 5000) n`;
    await sql.unsafe('analyze ops.nights, ops.task_runs, ops.audit');
  });
  afterAll(async () => {
    await owner.close();
    await years.drop();
  });

  /** How Postgres would carry out a query, which it does not. */
  async function planOf(ask: (sql: Queryable) => Promise<unknown>): Promise<string> {
    let plan = '';
    const explaining = queryableOn({
      query: async (build) => {
        const { text, values = [] } = build();
        const lines = await owner.sql.unsafe(`explain ${text}`, values);
        plan = lines.flatMap((line) => Object.values(line)).join('\n');
        return { command: '', rowCount: 0, oid: 0, fields: [], rows: [] };
      },
      exclusive: () => Promise.reject(new Error('only statements are explained')),
    });
    await ask(explaining);
    return plan;
  }

  const at = '2020-01-01T00:00:00.000000Z';
  it.each<[string, (sql: Queryable) => Promise<unknown>]>([
    ['task_runs_newest', (sql) => readRunPage(sql, { filter: {}, after: null, limit: 50 })],
    ['task_runs_newest', (sql) => readRunPage(sql, { filter: {}, after: { at, id: 'x' }, limit: 50 })],
    ['nights_newest', (sql) => readNightPage(sql, { filter: {}, after: null, limit: 50 })],
    ['nights_newest', (sql) => readNightPage(sql, { filter: {}, after: { at, id: 'x' }, limit: 50 })],
    ['nights_newest', (sql) => listNights(sql, { limit: 1 })],
    ['nights_run', (sql) => findNightByRun(sql, 'r7')],
    ['task_runs_manual', (sql) => readManualRuns(sql, 6)],
    ['audit_subject', (sql) => listAudit(sql, { subject: 's7' })],
    ['audit_subject', (sql) => readActsAbout(sql, { subjects: ['s7', 's8'], since: at })],
  ])('go by %s', async (index, ask) => {
    const plan = await planOf(ask);
    expect(plan).toContain(index);
    expect(plan).not.toContain('Seq Scan');
  });
});
