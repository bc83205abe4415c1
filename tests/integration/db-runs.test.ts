import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence } from '../../src/contracts/activities.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { SupersededAttempt } from '../../src/db/errors.ts';
import { assertCurrentAttempt } from '../../src/db/fence.ts';
import { attemptsOf, beginAttempt, countLostAttempts, finishAttempt } from '../../src/db/queries/attempts.ts';
import { applyConfig, currentConfigHash, findConfig, insertConfig } from '../../src/db/queries/configs.ts';
import { insertEvents, markEventsHandled, openEvents } from '../../src/db/queries/events.ts';
import { beat, downIntervals } from '../../src/db/queries/liveness.ts';
import {
  claimNight,
  findNight,
  listNights,
  type NewNight,
  setNightState,
} from '../../src/db/queries/nights.ts';
import { closeGoneStarter, openStarters, withLeaderLock } from '../../src/db/queries/reconcile.ts';
import {
  insertReview,
  insertRunRequest,
  listAudit,
  reviewsOf,
  takeRunRequest,
  untakenRunRequests,
} from '../../src/db/queries/requests.ts';
import { saveScheduleState, scheduleStates } from '../../src/db/queries/schedule-state.ts';
import {
  findSlotHolders,
  findTaskRun,
  insertTaskRuns,
  latestTaskRuns,
  type NewTaskRun,
  succeededTasks,
  transitionTaskRuns,
} from '../../src/db/queries/task-runs.ts';
import { createTestDatabase, type TestDatabase, uniqueName } from '../support/env.ts';

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

function night(overrides: Partial<NewNight> = {}): NewNight {
  return {
    workflowId: uniqueName('night'),
    runId: uniqueName('run'),
    sessionDate: '2018-02-07',
    universe: uniqueName('u'),
    universeVersion: 'v',
    trigger: 'cli',
    configHash: 'c',
    requestedBy: null,
    nominalInstant: null,
    plan: { tasks: [] },
    ...overrides,
  };
}

function taskRun(overrides: Partial<NewTaskRun> = {}): NewTaskRun {
  return {
    taskRunId: uniqueName('task'),
    nightWorkflowId: null,
    nightRunId: null,
    starterWorkflowId: uniqueName('starter'),
    starterRunId: uniqueName('run'),
    task: 'training',
    sessionDate: '2018-02-07',
    universe: uniqueName('u'),
    universeVersion: 'v',
    state: 'pending',
    reason: null,
    trigger: 'cli',
    forced: false,
    requestedBy: null,
    maxAttempts: 1,
    timeoutMs: 60_000,
    dependsOn: ['ingestion'],
    notBefore: null,
    configHash: 'c',
    ...overrides,
  };
}

async function startedRun(overrides: Partial<NewTaskRun> = {}): Promise<{ run: NewTaskRun; fence: Fence }> {
  const run = taskRun(overrides);
  await insertTaskRuns(db.sql, [run]);
  const fence = { taskRunId: run.taskRunId, workflowId: 'w', runId: uniqueName('run'), attempt: 1 };
  await beginAttempt(db.sql, fence);
  return { run, fence };
}

const write = (fence: Fence): Promise<void> =>
  db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, fence);
    await tx`insert into ops.events (kind, subject) values ('test.write', ${fence.runId})`;
  });

describe('the claim of a night', () => {
  it('lets one open night per session and universe through and names the owner to the others', async () => {
    const first = night();
    const others = Array.from({ length: 5 }, () => night({ universe: first.universe }));
    const claims = await Promise.all([first, ...others].map((one) => claimNight(db.sql, one)));
    expect(claims.filter((claim) => claim.outcome === 'claimed')).toHaveLength(1);
    const winner = [first, ...others][claims.findIndex((claim) => claim.outcome === 'claimed')];
    for (const claim of claims) {
      if (claim.outcome === 'already_running') expect(claim.owner.runId).toBe(winner?.runId);
    }
    expect(await claimNight(db.sql, winner ?? first)).toEqual({ outcome: 'claimed' });
    expect(await claimNight(db.sql, night({ universe: first.universe, sessionDate: '2018-02-06' }))).toEqual({
      outcome: 'claimed',
    });
  });

  it('is free again once the night has ended, and an ended night stays ended', async () => {
    const first = night();
    await claimNight(db.sql, first);
    const task = taskRun({ nightWorkflowId: first.workflowId, nightRunId: first.runId });
    await insertTaskRuns(db.sql, [task]);
    expect(await setNightState(db.sql, { ...first, state: 'awaiting_review', reason: 'training' })).toBe(
      true,
    );
    expect(await claimNight(db.sql, night({ universe: first.universe }))).toMatchObject({
      outcome: 'already_running',
    });
    expect(await setNightState(db.sql, { ...first, state: 'partial', reason: null })).toBe(true);
    expect(await setNightState(db.sql, { ...first, state: 'running', reason: null })).toBe(false);
    expect(await findTaskRun(db.sql, task.taskRunId)).toMatchObject({
      state: 'cancelled',
      reason: 'the night ended partial',
    });
    const second = night({ universe: first.universe });
    expect(await claimNight(db.sql, second)).toEqual({ outcome: 'claimed' });
    expect(await findNight(db.sql, first)).toMatchObject({ state: 'partial', plan: { tasks: [] } });
    expect(
      (await listNights(db.sql, { universe: first.universe, open: true })).map((row) => row.runId),
    ).toEqual([second.runId]);
  });
});

describe('transitions', () => {
  it('go forward, come back only from running or review, and end once', async () => {
    const run = taskRun();
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

  it('the newest run of a task counts, and any success satisfies a dependency', async () => {
    const universe = uniqueName('u');
    await insertTaskRuns(db.sql, [taskRun({ universe, task: 'ingestion', state: 'succeeded' })]);
    await insertTaskRuns(db.sql, [taskRun({ universe, task: 'ingestion', state: 'failed' })]);
    const key = { sessionDate: '2018-02-07', universe };
    expect(await succeededTasks(db.sql, key)).toEqual(['ingestion']);
    expect((await latestTaskRuns(db.sql, key)).map((row) => row.state)).toEqual(['failed']);
  });
});

describe('two attempts alive', () => {
  it('only the newer one may write; the older is told so at its next step', async () => {
    const { run, fence: old } = await startedRun();
    await write(old);
    const newer = { ...old, runId: uniqueName('run'), attempt: 2 };
    await beginAttempt(db.sql, newer);
    await beginAttempt(db.sql, newer);
    await expect(write(old)).rejects.toBeInstanceOf(SupersededAttempt);
    await write(newer);
    await expect(beginAttempt(db.sql, { ...old, runId: 'late', attempt: 1 })).rejects.toBeInstanceOf(
      SupersededAttempt,
    );
    await expect(
      finishAttempt(db.sql, { fence: old, end: 'succeeded', failure: null, result: { by: 'old' } }),
    ).rejects.toBeInstanceOf(SupersededAttempt);
    const done = { fence: newer, end: 'succeeded', failure: null, result: { by: 'newer' } } as const;
    await finishAttempt(db.sql, done);
    await finishAttempt(db.sql, done);
    await expect(write(newer)).rejects.toBeInstanceOf(SupersededAttempt);
    expect(await findTaskRun(db.sql, run.taskRunId)).toMatchObject({
      state: 'succeeded',
      attempts: 2,
      result: { by: 'newer' },
      currentRunId: null,
    });
    expect((await attemptsOf(db.sql, [run.taskRunId])).map((row) => [row.attempt, row.state])).toEqual([
      [1, 'timed_out'],
      [2, 'succeeded'],
    ]);
  });

  it('a newer attempt waits for a write that has begun, and the write counts', async () => {
    const { fence: old } = await startedRun();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const order: string[] = [];
    const writing = db.sql.begin(async (tx) => {
      await assertCurrentAttempt(tx, old);
      order.push('checked');
      await held;
      order.push('written');
    });
    await expect.poll(() => order).toEqual(['checked']);
    const beginning = beginAttempt(db.sql, { ...old, runId: uniqueName('run'), attempt: 2 }).then(() =>
      order.push('begun'),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    await Promise.all([writing, beginning]);
    expect(order).toEqual(['checked', 'written', 'begun']);
  });

  it('a failed attempt keeps the task open for the next one and may write no more', async () => {
    const { run, fence } = await startedRun({ maxAttempts: 2 });
    const failure = { type: 'FitFailed', message: 'x', activity: 'fitFold', attempt: 3, nonRetryable: false };
    await finishAttempt(db.sql, { fence, end: 'failed', failure, result: null });
    await expect(write(fence)).rejects.toBeInstanceOf(SupersededAttempt);
    expect(await findTaskRun(db.sql, run.taskRunId)).toMatchObject({ state: 'running', failure });
    await beginAttempt(db.sql, { ...fence, runId: uniqueName('run'), attempt: 2 });
    expect(await findSlotHolders(db.sql)).toContainEqual({
      taskRunId: run.taskRunId,
      turn: 0,
      task: 'training',
      workflowId: run.starterWorkflowId,
      runId: run.starterRunId,
    });
  });

  it('what the starter gave up may write no more', async () => {
    const { run, fence } = await startedRun();
    await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state: 'awaiting_review' }]);
    await expect(write(fence)).rejects.toBeInstanceOf(SupersededAttempt);
    expect((await attemptsOf(db.sql, [run.taskRunId]))[0]?.state).toBe('timed_out');
    await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state: 'waiting' }]);
    await beginAttempt(db.sql, { ...fence, runId: uniqueName('run'), attempt: 1001 });
    expect((await findSlotHolders(db.sql)).find((one) => one.taskRunId === run.taskRunId)?.turn).toBe(1);
  });
});

describe('liveness', () => {
  const process = uniqueName('worker');
  const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  const stretch = (from: number, to: number) => db.sql`
    insert into ops.liveness (process, host, pid, up_since, beat_at)
    values (${process}, 'h', ${from}, ${at(from)}, ${at(to)})`;

  it('tells when nobody was beating', async () => {
    await stretch(0, 100);
    await stretch(160, 300);
    await stretch(170, 250);
    const asked = { processes: [process, 'never-seen'], toleranceMs: 10_000 };
    const down = await downIntervals(db.sql, { ...asked, from: at(50), to: at(400) });
    expect(down.map((gap) => [gap.fromMs, gap.toMs].map((ms) => new Date(ms).toISOString()))).toEqual([
      [at(110), at(160)],
      [at(310), at(400)],
    ]);
    expect(await downIntervals(db.sql, { ...asked, from: at(160), to: at(300) })).toEqual([]);
  });

  it('counts timed-out attempts that an outage explains', async () => {
    const { run, fence } = await startedRun();
    await db.sql`
      update ops.task_attempts set state = 'timed_out', started_at = ${at(90)}, completed_at = ${at(150)}
      where task_run_id = ${fence.taskRunId}`;
    const asked = { processes: [process], toleranceMs: 10_000, taskRunId: run.taskRunId, timeoutMs: 60_000 };
    expect(
      await countLostAttempts(db.sql, { ...asked, from: at(80), to: at(200), lastTimedOut: false }),
    ).toEqual({ lost: 1, downSeconds: 50 });
    expect(
      await countLostAttempts(db.sql, { ...asked, from: at(200), to: at(290), lastTimedOut: true }),
    ).toEqual({ lost: 0, downSeconds: 0 });
    expect(
      await countLostAttempts(db.sql, { ...asked, from: at(200), to: at(400), lastTimedOut: true }),
    ).toEqual({ lost: 1, downSeconds: 90 });
  });

  it('extends a stretch while beats are close', async () => {
    const one = { process: uniqueName('beater'), host: 'h', pid: 1, maxGapMs: 60_000 };
    await beat(db.sql, one);
    await beat(db.sql, one);
    const rows = await db.sql`select * from ops.liveness where process = ${one.process}`;
    expect(rows).toHaveLength(1);
    await beat(db.sql, { ...one, maxGapMs: -1 });
    expect(await db.sql`select * from ops.liveness where process = ${one.process}`).toHaveLength(2);
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
    const dead = night();
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
  });
});
