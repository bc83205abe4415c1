import { setTimeout as sleep } from 'node:timers/promises';

import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { planMaintenance } from '../../src/activities/planning/manual-plan.ts';
import { planNight } from '../../src/activities/planning/night-plan.ts';
import { attemptsOf } from '../../src/db/queries/attempts.ts';
import { findNight, listNights, type NightRow } from '../../src/db/queries/nights.ts';
import { findRunRequest, insertRunRequest } from '../../src/db/queries/requests.ts';
import { listTaskRuns, type TaskRunRow } from '../../src/db/queries/task-runs.ts';
import type { Task } from '../../src/contracts/wire/names.ts';
import { readRunFailure } from '../../src/temporal/verbs.ts';
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

/** Real book-keeping, tasks that do nothing but what the test says. */
function prepare(overrides: Partial<AllActivities> = {}): Rig {
  const { activities } = createFakes();
  rigs.current.use({ ...activities, ...house.runs, ...overrides });
  return rigs.current;
}

async function task(name: Task): Promise<TaskRunRow> {
  const [row] = await listTaskRuns(house.database.sql, { task: name });
  if (row === undefined) throw new Error(`no task run of ${name}`);
  return row;
}

async function onlyNight(): Promise<NightRow> {
  const [night] = await listNights(house.database.sql);
  if (night === undefined) throw new Error('no night');
  return night;
}

async function ended(promise: Promise<unknown>): Promise<Error | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof WorkflowFailedError) return error.cause;
    throw error;
  }
}

const brokenFile = async (): Promise<never> => {
  throw new RangeError('the calendar file is damaged');
};
const missingProvider = (): never => {
  throw new RangeError('nightshift.providers.chain: nope is none of archive');
};

describe('a night on real rows', () => {
  it('plans, claims, and leaves rows that say what happened', async () => {
    const rig = prepare();
    const result = await rig.night(NIGHT);
    expect(result.state).toBe('succeeded');
    const night = await onlyNight();
    expect(night).toMatchObject({ state: 'succeeded', ...NIGHT, trigger: 'manual' });
    expect(night.universeVersion).toMatch(/^[0-9a-f]{64}$/);
    const runs = await listTaskRuns(house.database.sql);
    expect(runs.map((run) => [run.state, run.attempts])).toEqual(
      Array.from({ length: 5 }, () => ['succeeded', 1]),
    );
    expect((await task('training')).result).toEqual({ version: 'v1' });
    expect((await task('training')).currentRunId).toBeNull();
    const attempts = await attemptsOf(
      house.database.sql,
      runs.map((run) => run.taskRunId),
    );
    expect(attempts.map((attempt) => attempt.state)).toEqual(Array(5).fill('succeeded'));
  });

  it('records failure, skipped dependents and a disabled task', async () => {
    await house.configure(testConfig({ tasks: { 4: { enabled: false } } }));
    const rig = prepare({
      planScan: async () => {
        throw ApplicationFailure.nonRetryable('no model', 'DataDefect');
      },
    });
    expect((await rig.night(NIGHT)).state).toBe('partial');
    expect(await task('overnightScan')).toMatchObject({
      state: 'failed',
      reason: 'DataDefect: no model',
      attempts: 1,
      failure: { type: 'DataDefect', message: 'no model', activity: 'planScan', nonRetryable: true },
    });
    expect(await task('backtest')).toMatchObject({
      state: 'disabled',
      reason: 'disabled in the configuration',
    });
    expect(await task('driftMonitoring')).toMatchObject({ state: 'skipped', reason: 'backtest is disabled' });
    expect(await onlyNight()).toMatchObject({ state: 'partial' });
  });

  it('lets one night per session and universe through; another one says who runs', async () => {
    const rig = prepare({ planIngestion: () => Context.current().cancelled });
    const first = await rig.startNight(NIGHT);
    await eventually(
      'ingestion runs',
      async () => (await listTaskRuns(house.database.sql, { states: ['running'] }))[0],
    );
    const second = await rig.client.workflow.execute('nightlyPipeline', {
      workflowId: 'another-night',
      taskQueue: 'pipeline',
      args: [{ trigger: 'schedule', ...NIGHT }],
    });
    expect(second).toMatchObject({ state: 'skipped', tasks: [] });
    const rows = await listNights(house.database.sql);
    expect(rows.find((row) => row.workflowId === 'another-night')).toMatchObject({ state: 'skipped' });
    expect(rows.find((row) => row.workflowId === 'another-night')?.reason).toContain(
      `already running as ${first.workflowId}`,
    );
    await first.cancel();
    await ended(first.result());
    expect(
      await findNight(house.database.sql, { workflowId: first.workflowId, runId: first.firstExecutionRunId }),
    ).toMatchObject({
      state: 'cancelled',
    });
  });

  it('takes the claim of a night whose workflow was terminated', async () => {
    const rig = prepare({ planIngestion: () => Context.current().cancelled });
    const first = await rig.startNight(NIGHT);
    await eventually(
      'ingestion runs',
      async () => (await listTaskRuns(house.database.sql, { states: ['running'] }))[0],
    );
    await first.terminate('test');
    prepare();
    expect((await rig.night(NIGHT)).state).toBe('succeeded');
    const rows = await listNights(house.database.sql);
    expect(rows.map((row) => row.state).sort()).toEqual(['failed', 'succeeded']);
    const lost = rows.find((row) => row.runId === first.firstExecutionRunId);
    expect(lost?.reason).toBe('its workflow is closed and left it open');
  });

  it('ends refused or without a session, with a row and its reason', async () => {
    const rig = prepare();
    expect(await rig.night({ universe: 'tiny', sessionDate: '2018-02-04' })).toMatchObject({
      state: 'no_session',
      reason: 'XNYS is closed on 2018-02-04',
    });
    const beyond = await ended(rig.night({ universe: 'tiny', sessionDate: '2018-02-08' }));
    expect(beyond?.message).toContain('it cannot have 2018-02-08');
    const unknown = await ended(rig.night({ universe: '/nowhere/list.txt', sessionDate: '2018-02-07' }));
    expect(unknown?.message).toContain('cannot read /nowhere/list.txt');
    const states = (await listNights(house.database.sql)).map((row) => row.state);
    expect(states.sort()).toEqual(['failed', 'failed', 'no_session']);
  });

  it('is refused when the disk has less than the configuration asks for', async () => {
    const beyond = 1_000_000;
    await house.configure(testConfig({ nightshift: { minFreeDiskGib: beyond } }));
    const refused = await ended(prepare().night(NIGHT));
    const words =
      /only \d+\.\d\d GiB free on the disk of \/.*nightshift-house-\w+: a night needs 1000000 GiB/;
    expect(refused?.message).toMatch(words);
    expect((await onlyNight()).state).toBe('failed');
    expect((await onlyNight()).reason).toMatch(words);
    expect(await listTaskRuns(house.database.sql)).toEqual([]);
  });

  it('leaves a row with class and words whatever planning cannot do, and is over at once', async () => {
    const rig = prepare();
    const outside = await ended(rig.night({ universe: 'tiny', sessionDate: '1985-01-02' }));
    expect(outside).toMatchObject({ type: 'NightRefused' });
    expect(outside?.message).toContain('1985-01-02 is outside');
    await house.configure(testConfig({ nightshift: { minFreeDiskGib: 1e9 } }));
    prepare();
    expect((await ended(rig.night(NIGHT)))?.message).toContain('a night needs 1000000000');
    // What only a defect of ours can be is refused too, never tried for hours.
    prepare({ planNight: (input) => planNight({ ...house.deps, sessions: brokenFile }, input) });
    expect((await ended(rig.night({ ...NIGHT, sessionDate: '2018-02-05' })))?.message).toBe(
      'RangeError: the calendar file is damaged',
    );
    const rows = await listNights(house.database.sql);
    expect(rows.map(({ state, universe, sessionDate }) => [sessionDate, universe, state])).toEqual([
      ['2018-02-05', 'tiny', 'failed'],
      ['2018-02-07', 'tiny', 'failed'],
      ['1985-01-02', 'tiny', 'failed'],
    ]);
  });

  it('refuses a night whose configuration names a provider nobody has', async () => {
    const rig = prepare({
      planNight: (input) => planNight({ ...house.deps, provider: () => missingProvider() }, input),
    });
    await house.runs.planMaintenance({ workflowId: 'adopts', runId: 'the-file', nominalInstant: null });
    expect((await ended(rig.night(NIGHT)))?.message).toBe(
      'nightshift.providers.chain: nope is none of archive',
    );
    expect(await onlyNight()).toMatchObject({ state: 'failed', universe: 'tiny' });
  });

  it('refuses a manual run that cannot be planned, in words', async () => {
    prepare();
    const request = { task: 'ingestion' as const, universe: 'tiny', sessionDate: '1985-01-02' };
    const asked = { requestId: 'outside', force: false, trigger: 'manual' as const, configHash: null };
    await insertRunRequest(house.api.sql, { ...request, ...asked, requestedBy: 'Ann' });
    const starter = { workflowId: 'manual/outside', runId: 'run' };
    const planned = await house.runs.planManualRun({ taskRunId: 'outside', ...starter });
    expect(planned).toMatchObject({ outcome: 'refused' });
    const stored = await findRunRequest(house.api.sql, 'outside');
    expect(stored?.refusedReason).toContain('1985-01-02 is outside');
  });

  it('leaves a row of a maintenance that cannot be planned: a schedule asks nobody why', async () => {
    const starter = { workflowId: 'weekly-maintenance-2018-02-11T07:00:00Z', runId: 'none-applied' };
    const nominalInstant = '2018-02-11T07:00:00Z';
    const plan = () => planMaintenance(house.deps, { ...starter, nominalInstant });
    expect(await plan()).toMatchObject({ outcome: 'refused' });
    expect(await plan()).toMatchObject({ outcome: 'refused' });
    const [row, ...others] = await listTaskRuns(house.database.sql);
    expect(others).toEqual([]);
    expect(row).toMatchObject({ task: 'weeklyMaintenance', state: 'failed', sessionDate: '2018-02-11' });
    expect(row?.reason).toBe('no configuration has been applied');
  });

  it('tells the failure of a run that left no row', async () => {
    const rig = prepare({
      planNight: async () => {
        throw ApplicationFailure.nonRetryable('no words of ours', 'SomethingElse');
      },
    });
    const handle = await rig.startNight(NIGHT);
    await ended(handle.result());
    const run = { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
    expect(await readRunFailure(rig.client, run)).toEqual({
      type: 'SomethingElse',
      message: 'no words of ours',
    });
    expect(await readRunFailure(rig.client, { workflowId: 'never-started' })).toBeNull();
  });

  it('means the newest session there is when none is named', async () => {
    const rig = prepare();
    expect(await rig.night({ universe: 'tiny' })).toMatchObject({
      sessionDate: '2018-02-07',
      state: 'succeeded',
    });
  });
});

describe('attempts', () => {
  it('refuses the late attempt when two are alive', async () => {
    await house.configure(
      testConfig({ tasks: { 5: { timeout_minutes: 3 / 60, retry_on_failure: true, max_retries: 1 } } }),
    );
    const late: string[] = [];
    const real = house.runs;
    const begun: string[] = [];
    const rig = prepare({
      beginAttempt: async (input) => {
        if (input.task === 'driftMonitoring') begun.push(input.fence.runId);
        await real.beginAttempt(input);
      },
      runDrift: async (step) => {
        if (begun.length > 1) return { alarms: 0 };
        // The first attempt outlives its run timeout and then wants to write its end.
        await eventually('the second attempt', () => begun.length > 1);
        await sleep(300);
        const finish = house.runs.finishAttempt({
          fence: step.fence,
          end: 'succeeded',
          failure: null,
          result: { late: 1 },
        });
        late.push(
          await finish.then(
            () => 'written',
            (error: Error) => `${(error as ApplicationFailure).type}`,
          ),
        );
        return {};
      },
    });
    expect((await rig.night(NIGHT)).state).toBe('succeeded');
    await eventually('the late attempt has tried', () => late.length > 0);
    expect(late).toEqual(['SupersededAttempt']);
    const drift = await task('driftMonitoring');
    expect(drift).toMatchObject({ state: 'succeeded', attempts: 2, result: { alarms: 0 } });
    const attempts = await attemptsOf(house.database.sql, [drift.taskRunId]);
    expect(attempts.map((attempt) => attempt.state)).toEqual(['timed_out', 'succeeded']);
  });

  it('takes a task whose last row came before its time-out as done, without and with a retry left', async () => {
    const timing = (retries: number) => ({
      timeout_minutes: 3 / 60,
      retry_on_failure: retries > 0,
      max_retries: retries,
    });
    // Both time out side by side.
    const tasks = { 2: timing(0), 4: timing(1) };
    await house.configure(testConfig({ tasks, maxConcurrentJobs: 2 }));
    const real = house.runs;
    const slow = ['training', 'backtest'] as const;
    const rig = prepare({
      finishAttempt: async (input) => {
        await real.finishAttempt(input);
        const name = slow.find((one) => input.fence.workflowId.startsWith(`${one}/`));
        if (name !== undefined && (await task(name)).state === 'succeeded') await sleep(4_000);
      },
    });
    expect((await rig.night(NIGHT)).state).toBe('succeeded');
    const results = { training: { version: 'v1' }, backtest: { sessions: 100 } };
    for (const name of slow) {
      const run = await task(name);
      expect(run).toMatchObject({ state: 'succeeded', attempts: 1, reviewDeadline: null });
      expect(run.result).toEqual(results[name]);
      const attempts = await attemptsOf(house.database.sql, [run.taskRunId]);
      expect(attempts.map((attempt) => attempt.state)).toEqual(['succeeded']);
      expect(run.maxAttempts).toBe(name === 'backtest' ? 2 : 1);
    }
  });

  it('runs a time-out that overlaps an outage of our own again, without a review', async () => {
    await house.configure(testConfig({ tasks: { 2: { timeout_minutes: 3 / 60 } } }));
    const { sql } = house.owner;
    // The worker beat until a minute ago, and again from half a second after the attempt began.
    await sql`insert into ops.liveness (process, host, pid, up_since, beat_at)
      values ('worker', 'test', 1, now() - interval '1 hour', now() - interval '1 minute')`;
    let fits = 0;
    const rig = prepare({
      planFits: async (step) => {
        if (step.task !== 'training') return createFakes().activities.planFits(step);
        fits += 1;
        if (fits > 1) return createFakes().activities.planFits(step);
        await sql`insert into ops.liveness (process, host, pid, up_since, beat_at)
          values ('worker', 'test', 2, now() + interval '500 milliseconds', now() + interval '1 hour')`;
        return Context.current().cancelled;
      },
    });
    const result = await rig.night(NIGHT);
    expect(result.state).toBe('succeeded');
    const training = await task('training');
    expect(training).toMatchObject({ state: 'succeeded', attempts: 2, reviewDeadline: null });
    const attempts = await attemptsOf(sql, [training.taskRunId]);
    expect(attempts.map((attempt) => [attempt.fenceAttempt, attempt.state])).toEqual([
      [1, 'timed_out'],
      [1001, 'succeeded'],
    ]);
  });
});
