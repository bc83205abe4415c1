import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, defineSearchAttributeKey } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { listNights } from '../../src/db/queries/nights.ts';
import { listAudit, reviewsOf } from '../../src/db/queries/requests.ts';
import { listTaskRuns, type TaskRunRow } from '../../src/db/queries/task-runs.ts';
import {
  decideReview,
  endNightFor,
  ReviewRefusedError,
  ReviewUnansweredError,
} from '../../src/temporal/verbs.ts';
import type { ReviewDecision } from '../../src/contracts/activities.ts';
import type { Task } from '../../src/contracts/wire/names.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';

const rigs = useRig();
let house: House;
beforeEach(async () => {
  house = await openHouse({ client: rigs.current.client });
});
afterEach(async () => house.close());

const NIGHT = { universe: 'tiny', sessionDate: '2018-02-07' };

/** Training fails the first `failures` times; the rest of the night does nothing and succeeds. */
function prepare(failures: number, overrides: Partial<AllActivities> = {}): Rig {
  const { activities } = createFakes();
  let failed = 0;
  rigs.current.use({
    ...activities,
    ...house.runs,
    registerTraining: async () => {
      failed += 1;
      if (failed <= failures) throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
      return { version: 'v2' };
    },
    ...overrides,
  });
  return rigs.current;
}

async function task(name: Task): Promise<TaskRunRow> {
  const [row] = await listTaskRuns(house.database.sql, { task: name });
  if (row === undefined) throw new Error(`no task run of ${name}`);
  return row;
}

async function nightState(): Promise<string | undefined> {
  const [night] = await listNights(house.database.sql);
  return night?.state;
}

/** The night as soon as it does nothing but wait for a person. */
async function untilReview(
  rig: Rig,
): Promise<{ handle: WorkflowHandleWithFirstExecutionRunId; training: TaskRunRow }> {
  const handle = await rig.startNight(NIGHT);
  await eventually('the night waits for a person', async () => (await nightState()) === 'awaiting_review');
  return { handle, training: await task('training') };
}

const by = (decision: ReviewDecision, taskRunId: string) => ({
  taskRunId,
  decision,
  by: 'Ann',
  why: 'looked at it',
});

async function stateOf(handle: WorkflowHandle): Promise<{ state: string; reason: string | null }> {
  try {
    return (await handle.result()) as { state: string; reason: string | null };
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) {
      return { state: 'failed', reason: error.cause.message };
    }
    throw error;
  }
}

describe('a failed task without retries', () => {
  it('waits on while no worker is there, and takes the decision when one is again', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    await rig.stopWorkers();
    const decided = rig.decide(handle, by('retry', training.taskRunId));
    await rig.startWorkers();
    expect(await decided).toMatchObject({ decision: 'retry', by: 'Ann' });
    expect(await stateOf(handle)).toMatchObject({ state: 'succeeded' });
    expect(await task('training')).toMatchObject({ state: 'succeeded', attempts: 2 });
  });

  it('waits without a slot, is seen to wait, and runs anew on retry', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    expect(training).toMatchObject({
      state: 'awaiting_review',
      reason: 'NumericFailure: folds differ',
      attempts: 1,
    });
    expect((await task('backtest')).state).toBe('succeeded');
    await eventually('no slot is held', async () => (await rig.queue()).holders.length === 0);
    const about = await handle.describe();
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('ReviewState', 'KEYWORD'))).toBe(
      'pending',
    );
    await rig.decide(handle, by('retry', training.taskRunId));
    expect(await stateOf(handle)).toMatchObject({ state: 'succeeded' });
    expect(await task('training')).toMatchObject({
      state: 'succeeded',
      attempts: 2,
      result: { version: 'v2' },
    });
    expect(await task('driftMonitoring')).toMatchObject({ state: 'succeeded' });
    expect(await reviewsOf(house.database.sql, training.taskRunId)).toMatchObject([
      { decision: 'retry', decidedBy: 'Ann', why: 'looked at it' },
    ]);
    expect(await listAudit(house.database.sql, { subject: training.taskRunId })).toMatchObject([
      { actor: 'Ann', action: 'review.retry', why: 'looked at it' },
    ]);
    const after = await handle.describe();
    expect(after.typedSearchAttributes.get(defineSearchAttributeKey('ReviewState', 'KEYWORD'))).toBe(
      'decided',
    );
  });

  it('fails for its dependents on skip', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    await rig.decide(handle, by('skip', training.taskRunId));
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    expect(await task('training')).toMatchObject({
      state: 'failed',
      reason: 'skipped by Ann: looked at it (NumericFailure: folds differ)',
    });
    expect(await task('overnightScan')).toMatchObject({ state: 'skipped', reason: 'training failed' });
    expect(await nightState()).toBe('partial');
  });

  it('ends the night on abort', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    await rig.decide(handle, by('abort', training.taskRunId));
    expect(await stateOf(handle)).toEqual({
      state: 'failed',
      reason: 'the night of 2018-02-07 failed: aborted by Ann: looked at it',
    });
    expect(await task('training')).toMatchObject({ state: 'failed' });
    expect(await task('overnightScan')).toMatchObject({
      state: 'cancelled',
      reason: 'the night was aborted by Ann: looked at it',
    });
    expect(await nightState()).toBe('failed');
  });

  it('takes one decision of a named person with a reason, about what waits', async () => {
    const rig = prepare(2);
    const { handle, training } = await untilReview(rig);
    const retry = by('retry', training.taskRunId);
    expect(await rig.refusal(handle, { ...retry, by: ' ' })).toContain('needs the name of the person');
    expect(await rig.refusal(handle, { ...retry, why: '' })).toContain('needs a reason');
    const wrong = 'later' as ReviewDecision;
    expect(await rig.refusal(handle, { ...retry, decision: wrong })).toContain(
      'must be one of retry, skip, abort',
    );
    const { taskRunId } = await task('backtest');
    expect(await rig.refusal(handle, by('retry', taskRunId))).toContain(
      `${taskRunId} does not wait for a review`,
    );
    expect(await rig.refusal(handle, retry)).toBeUndefined();
    const second = await rig.refusal(handle, { ...by('abort', training.taskRunId), by: 'Bob' });
    expect(second).toContain('already decided: retry by Ann');
    // Its second failure opens a review of its own.
    await eventually('the second failure waits', async () => {
      const again = await task('training');
      return again.state === 'awaiting_review' && again.attempts === 2;
    });
    expect(await rig.refusal(handle, { ...by('skip', training.taskRunId), by: 'Bob' })).toBeUndefined();
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    expect(await reviewsOf(house.database.sql, training.taskRunId)).toMatchObject([
      { decision: 'retry', decidedBy: 'Ann' },
      { decision: 'skip', decidedBy: 'Bob' },
    ]);
  });

  it('fails when nobody decides in time', async () => {
    const rig = prepare(1, {
      planNight: async (input) => {
        const plan = await house.runs.planNight(input);
        const tasks = plan.tasks.map((entry) =>
          entry.task === 'training' ? { ...entry, reviewWindowMs: 2_000 } : entry,
        );
        return { ...plan, tasks };
      },
    });
    const { handle } = await untilReview(rig);
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    expect(await task('training')).toMatchObject({
      state: 'failed',
      reason: 'review expired: NumericFailure: folds differ',
    });
    const about = await handle.describe();
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('ReviewState', 'KEYWORD'))).toBe(
      'expired',
    );
  });

  it('is not decided by the same words again once a later review has expired', async () => {
    const rig = prepare(2, {
      planNight: async (input) => {
        const plan = await house.runs.planNight(input);
        const tasks = plan.tasks.map((entry) =>
          entry.task === 'training' ? { ...entry, reviewWindowMs: 3_000 } : entry,
        );
        return { ...plan, tasks };
      },
    });
    const { handle, training } = await untilReview(rig);
    const { sql } = house.database;
    const decide = (attempts: number) =>
      decideReview({
        client: rig.client,
        sql,
        workflowId: handle.workflowId,
        review: by('retry', training.taskRunId),
        attempts,
      });
    await decide(1);
    await eventually('the second attempt', async () => (await task('training')).attempts === 2);
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    await expect(decide(2)).rejects.toThrow(ReviewRefusedError);
    // What was decided of the first one stays so, for whom the answer was lost.
    await decide(1);
    expect(await reviewsOf(sql, training.taskRunId)).toHaveLength(1);
  });

  it('never waits so long that the next night would be late', async () => {
    // Training 120 min, the scan 3 x 60, drift 3 x 45; the next night is in eight hours.
    const nextStart = Date.now() + 8 * 3_600_000;
    const rig = prepare(1, {
      planNight: async (input) => ({
        ...(await house.runs.planNight(input)),
        nextStart: new Date(nextStart).toISOString(),
      }),
    });
    const { handle, training } = await untilReview(rig);
    expect(Date.parse(training.reviewDeadline ?? '')).toBe(nextStart - (120 + 180 + 135) * 60_000);
    await rig.decide(handle, by('skip', training.taskRunId));
    await stateOf(handle);
  });

  it('expires at once when no time is left before the next night', async () => {
    await house.configure(testConfig());
    const rig = prepare(1, {
      planNight: async (input) => ({
        ...(await house.runs.planNight(input)),
        nextStart: new Date(Date.now() + 60_000).toISOString(),
      }),
    });
    expect(await rig.night(NIGHT)).toMatchObject({ state: 'partial' });
    expect((await task('training')).reason).toBe('review expired: NumericFailure: folds differ');
  });

  it('answers the same decision again as before, and no other', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    const { client } = rig;
    const { sql } = house.database;
    const ask = (review: ReturnType<typeof by>) =>
      decideReview({ client, sql, workflowId: handle.workflowId, review, attempts: training.attempts });
    const skip = by('skip', training.taskRunId);
    await ask(skip);
    await ask(skip);
    await expect(ask({ ...skip, by: 'Bob' })).rejects.toThrow(ReviewRefusedError);
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    // The answer may have been lost until after the night.
    await ask(skip);
    await expect(ask({ ...skip, decision: 'retry' })).rejects.toThrow(ReviewRefusedError);
    expect(await reviewsOf(sql, training.taskRunId)).toHaveLength(1);
  });

  it('is asked for until a worker answers, under one id; without any it says what may still happen', async () => {
    const rig = prepare(1);
    const { handle, training } = await untilReview(rig);
    const { sql } = house.database;
    let silences = 0;
    const ask = (answerMs: number) =>
      decideReview({
        client: rig.client,
        sql,
        workflowId: handle.workflowId,
        review: by('skip', training.taskRunId),
        attempts: training.attempts,
        callMs: 400,
        answerMs,
        onSilence: () => {
          silences += 1;
        },
      });
    await rig.stopWorkers();
    const unanswered: unknown = await ask(1_000).catch((error: unknown) => error);
    expect(unanswered).toBeInstanceOf(ReviewUnansweredError);
    expect(String(unanswered)).toMatch(
      /no worker answered within 1 s: the decision about \S+ may still be taken/,
    );
    expect(silences).toBeGreaterThan(1);
    expect(await reviewsOf(sql, training.taskRunId)).toEqual([]);

    // A worker that comes only after several calls answers all of them with one decision.
    silences = 0;
    const asked = ask(60_000);
    await eventually('a call ended without an answer', () => silences > 0);
    await rig.startWorkers();
    await asked;
    expect(await stateOf(handle)).toMatchObject({ state: 'partial' });
    expect(await reviewsOf(sql, training.taskRunId)).toMatchObject([{ decision: 'skip', decidedBy: 'Ann' }]);
    const events = (await handle.fetchHistory()).events ?? [];
    const accepted = events.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
    expect(accepted).toHaveLength(1);
  });

  it('is cancelled with its night, not expired', async () => {
    const rig = prepare(1);
    const { handle } = await untilReview(rig);
    const run = { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
    const { sql } = house.api;
    await endNightFor({ client: rig.client, sql, run, how: 'cancel', by: 'Ann', why: 'wrong day' });
    await handle.result().catch(() => undefined);
    expect(await listAudit(sql, { subject: run.workflowId })).toMatchObject([
      { actor: 'Ann', action: 'night.cancel', why: 'wrong day', details: { runId: run.runId } },
    ]);
    const about = await handle.describe();
    expect(about.typedSearchAttributes.get(defineSearchAttributeKey('ReviewState', 'KEYWORD'))).toBe(
      'cancelled',
    );
  });
});
