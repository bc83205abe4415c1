import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence } from '../../src/contracts/activities.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { SupersededAttempt } from '../../src/db/errors.ts';
import { assertCurrentAttempt } from '../../src/db/fence.ts';
import { attemptsOf, beginAttempt, countLostAttempts, finishAttempt } from '../../src/db/queries/attempts.ts';
import { beat, downIntervals } from '../../src/db/queries/liveness.ts';
import {
  findSlotHolders,
  findTaskRun,
  type NewTaskRun,
  transitionTaskRuns,
} from '../../src/db/queries/task-runs.ts';
import { createTestDatabase, type TestDatabase, uniqueName } from '../support/env.ts';
import { beginStep, newTaskRun } from '../support/rows.ts';

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

const write = (fence: Fence): Promise<void> =>
  db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, fence);
    await tx`insert into ops.events (kind, subject) values ('test.write', ${fence.runId})`;
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
      childId: `training/${run.sessionDate}/${run.universe}`,
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
