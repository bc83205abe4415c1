import { setTimeout as sleep } from 'node:timers/promises';

import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createQueueActivities } from '../../src/activities/queue.ts';
import type { SlotActivities } from '../../src/contracts/activities.ts';
import { REQUEST_SLOT, type SlotRequest } from '../../src/contracts/wire/messages.ts';
import {
  JOB_QUEUE_WORKFLOW_ID,
  manualRunWorkflowId,
  type TaskState,
} from '../../src/contracts/wire/names.ts';
import { findRunRequest, listAudit, newRunId, type NewRunRequest } from '../../src/db/queries/requests.ts';
import { findTaskRun, listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { requestManualRun, runIdOfKey } from '../../src/temporal/manual-request.ts';
import { signalManualRun } from '../../src/temporal/verbs.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';

const rigs = useRig();
let house: House;
beforeEach(async () => {
  house = await openHouse({ client: rigs.current.client });
});
afterEach(async () => house.close());

const S = '2018-02-07';

/**
 * Counts how many tasks run at the same time, in all and of each kind. A task lasts long enough to be seen beside
 * another one; with `untilTwo` the first ones wait for company.
 */
function gauge({ untilTwo = false } = {}): {
  overrides: Partial<AllActivities>;
  most: () => { total: number; same: number };
} {
  const running = new Map<string, number>();
  let total = 0;
  let same = 0;
  const during = async <T>(task: string, result: T): Promise<T> => {
    running.set(task, (running.get(task) ?? 0) + 1);
    total = Math.max(
      total,
      [...running.values()].reduce((sum, count) => sum + count, 0),
    );
    same = Math.max(same, running.get(task) ?? 0);
    await sleep(200);
    if (untilTwo && task !== 'ingestion')
      await eventually('a second task', () => total > 1, 5_000).catch(() => 0);
    running.set(task, (running.get(task) ?? 1) - 1);
    return result;
  };
  return {
    overrides: {
      finishIngestion: () => during('ingestion', {}),
      registerTraining: () => during('training', {}),
      writeSignals: () => during('overnightScan', {}),
      runBacktest: () => during('backtest', {}),
      runDrift: () => during('driftMonitoring', {}),
    },
    most: () => ({ total, same }),
  };
}

function prepare(overrides: Partial<AllActivities & SlotActivities> = {}): Rig {
  const { activities } = createFakes();
  rigs.current.use({ ...activities, ...house.runs, ...overrides });
  return rigs.current;
}

function request(change: Partial<NewRunRequest>): NewRunRequest {
  return {
    requestId: `run-${Math.random().toString(36).slice(2)}`,
    task: 'ingestion',
    sessionDate: S,
    universe: 'tiny',
    force: false,
    trigger: 'manual',
    configHash: null,
    requestedBy: 'Ann',
    ...change,
  };
}

/** Asks for a manual run as a person does, and waits for its end. */
async function manual(rig: Rig, asked: NewRunRequest): Promise<string> {
  await requestManualRun({ client: rig.client, sql: house.api.sql, request: asked });
  const handle = rig.client.workflow.getHandle(manualRunWorkflowId(asked.requestId));
  await eventually('the manual run has begun', async () => {
    const row = await findRunRequest(house.api.sql, asked.requestId);
    return row !== null && row.takenAt !== null;
  });
  try {
    await handle.result();
    return 'succeeded';
  } catch (error) {
    if (error instanceof WorkflowFailedError) return error.cause?.message ?? 'failed';
    throw error;
  }
}

describe('slots', () => {
  it('let one task run at a time by default, over two nights and a manual run at once', async () => {
    const { overrides, most } = gauge();
    const rig = prepare(overrides);
    const nights = ['2018-02-06', S].map((sessionDate) => rig.night({ universe: 'tiny', sessionDate }));
    await eventually(
      'ingestion of a night',
      async () => (await listTaskRuns(house.api.sql, { states: ['running'] }))[0],
    );
    const asked = request({ task: 'ingestion', sessionDate: '2018-02-05' });
    expect(await manual(rig, asked)).toBe('succeeded');
    expect((await Promise.all(nights)).map((night) => night.state)).toEqual(['succeeded', 'succeeded']);
    expect(most()).toEqual({ total: 1, same: 1 });
    expect(await findTaskRun(house.api.sql, asked.requestId)).toMatchObject({
      state: 'succeeded',
      requestedBy: 'Ann',
    });
  });

  it('let several run where the configuration says so, but never two of one kind', async () => {
    await house.configure(testConfig({ maxConcurrentJobs: 3 }));
    const { overrides, most } = gauge({ untilTwo: true });
    const rig = prepare(overrides);
    await Promise.all([
      rig.night({ universe: 'tiny', sessionDate: S }),
      rig.night({ universe: 'tiny', sessionDate: '2018-02-06' }),
    ]);
    expect(most().total).toBeGreaterThan(1);
    expect(most().total).toBeLessThanOrEqual(3);
    expect(most().same).toBe(1);
  });

  it('are given to a run by hand when the night has done the same task of the same session', async () => {
    const document = testConfig({ maxConcurrentJobs: 3 }) as { global_settings: { job_defaults: object } };
    Object.assign(document.global_settings.job_defaults, { max_instances: 2 });
    await house.configure(document);
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { activities } = createFakes();
    const rig = prepare({ planIngestion: (step) => held.then(() => activities.planIngestion(step)) });
    const night = rig.night({ universe: 'tiny', sessionDate: S });
    await eventually('the night has its slot', async () => {
      const queue = await rig.queue().catch(() => undefined);
      return queue?.holders.length === 1;
    });
    const other = request({ sessionDate: '2018-02-06' });
    const same = request({});
    const ended = [manual(rig, other), manual(rig, same)];
    await eventually('the other session runs, the same one waits', async () => {
      const { holders, waiting } = await rig.queue();
      const [waits] = waiting;
      return holders.length === 2 && waits?.taskRunId === same.requestId;
    });
    letGo();
    expect(await Promise.all(ended)).toEqual(['succeeded', 'succeeded']);
    expect((await night).state).toBe('succeeded');
  });

  it('heal when the queue is terminated: the next one finds who waits, who runs keeps its slot', async () => {
    const { overrides, most } = gauge();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { activities } = createFakes();
    const rig = prepare({
      ...overrides,
      planIngestion: (step) => held.then(() => activities.planIngestion(step)),
    });
    rig.slotRows = house.database.sql;
    const nights = [S, '2018-02-06'].map((sessionDate) => rig.night({ universe: 'tiny', sessionDate }));
    const only = (state: TaskState) =>
      eventually(state, async () => (await listTaskRuns(house.api.sql, { states: [state] }))[0]);
    const [waiting, running] = [await only('waiting'), await only('running')];
    const queue = () => rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID);
    await queue().terminate('test');
    // Another wish starts the next queue while the first one holds its slot.
    const asked = request({ task: 'weeklyMaintenance' });
    await requestManualRun({ client: rig.client, sql: house.api.sql, request: asked });
    await eventually('it knows them', async () => {
      const { holders, waiting: waits } = await rig.queue();
      const ids = [holders, waits].map((entries) => entries.map(({ taskRunId }) => taskRunId));
      return ids[0]?.includes(running.taskRunId) === true && ids[1]?.includes(waiting.taskRunId) === true;
    });
    letGo();
    expect((await Promise.all(nights)).map((night) => night.state)).toEqual(['succeeded', 'succeeded']);
    expect(most()).toEqual({ total: 1, same: 1 });
  });

  it('are freed by holders that were terminated', async () => {
    const rig = prepare({ planIngestion: () => Context.current().cancelled });
    const lost = await rig.startNight({ universe: 'tiny', sessionDate: S });
    await eventually(
      'it holds the slot',
      async () => (await rig.queue().catch(() => undefined))?.holders.length === 1,
    );
    await lost.terminate('test');
    prepare();
    expect((await rig.night({ universe: 'tiny', sessionDate: '2018-02-06' })).state).toBe('succeeded');
  });

  it('are asked for again when nobody is left who would wake a queue', async () => {
    let hangs = false;
    const rig = prepare({
      planIngestion: () => {
        hangs = true;
        return Context.current().cancelled;
      },
    });
    rig.slotRows = house.database.sql;
    const lost = await rig.startNight({ universe: 'tiny', sessionDate: S });
    await eventually('it runs', () => hangs);
    prepare();
    const night = rig.night({ universe: 'tiny', sessionDate: '2018-02-06' });
    await eventually(
      'the other one waits',
      async () => (await listTaskRuns(house.api.sql, { states: ['waiting'] }))[0],
    );
    await rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).terminate('test');
    await lost.terminate('test');
    expect((await night).state).toBe('succeeded');
  });

  it('are given back again when the queue could not be told', async () => {
    const none = async (): Promise<never[]> => [];
    const { client } = rigs.current;
    const queue = createQueueActivities({ client, findSlotHolders: none, findSlotRequests: none });
    let refused = 0;
    const rig = prepare({
      releaseSlot: async (grant) => {
        refused += 1;
        if (refused === 1) throw ApplicationFailure.nonRetryable('the queue cannot be reached');
        await queue.releaseSlot(grant);
      },
    });
    expect((await rig.night({ universe: 'tiny', sessionDate: S })).state).toBe('succeeded');
    expect(refused).toBe(6);
  });

  it('of an earlier turn of a run are over when it asks for its next one, told or not', async () => {
    const rig = prepare({
      planIngestion: () => Context.current().cancelled,
      releaseSlot: async () => undefined,
    });
    const night = await rig.startNight({ universe: 'tiny', sessionDate: S });
    await eventually(
      'it holds the slot',
      async () => (await rig.queue().catch(() => undefined))?.holders.length === 1,
    );
    const ask = (turn: number): Promise<void> => {
      const limits = { maxConcurrentJobs: 3, maxInstances: 1 };
      const { workflowId, firstExecutionRunId: runId } = night;
      const wish: SlotRequest = { taskRunId: 'again', turn, task: 'backtest', limits, workflowId, runId };
      return rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).signal(REQUEST_SLOT, wish);
    };
    await ask(1);
    await eventually('granted', async () => (await rig.queue()).holders.length === 2);
    await ask(2);
    await eventually('it was heard', async () => {
      const history = await rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).fetchHistory();
      const signals = history.events?.filter((event) => event.workflowExecutionSignaledEventAttributes) ?? [];
      return signals.length === 3;
    });
    const { holders, waiting } = await rig.queue();
    expect(holders.map(({ taskRunId }) => taskRunId)).toContain('again');
    expect(waiting).toEqual([]);
    await night.terminate('test');
  });

  it('of an earlier turn stay over in a new queue whose rows still tell of it', async () => {
    const rig = prepare({
      planIngestion: () => Context.current().cancelled,
      releaseSlot: async () => undefined,
    });
    rig.slotRows = house.database.sql;
    const night = await rig.startNight({ universe: 'tiny', sessionDate: S });
    const row = await eventually(
      'it runs',
      async () => (await listTaskRuns(house.api.sql, { states: ['running'] }))[0],
    );
    await rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).terminate('test');
    const wish: SlotRequest = {
      taskRunId: row.taskRunId,
      turn: 1,
      task: row.task,
      limits: { maxConcurrentJobs: 1, maxInstances: 1 },
      workflowId: night.workflowId,
      runId: night.firstExecutionRunId,
    };
    await rig.client.workflow.signalWithStart('jobQueue', {
      workflowId: JOB_QUEUE_WORKFLOW_ID,
      taskQueue: 'pipeline',
      args: [],
      signal: REQUEST_SLOT,
      signalArgs: [wish],
    });
    await eventually('the next turn has the slot', async () => {
      const queue = await rig.queue().catch(() => undefined);
      return queue?.holders.length === 1 && queue.waiting.length === 0;
    });
    await night.terminate('test');
  });

  it('survive that the queue continues as new while signals come in', async () => {
    const rig = prepare();
    const queue = () => rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID);
    const ids = Array.from({ length: 5 }, () => request({ task: 'weeklyMaintenance' }));
    await requestManualRun({ client: rig.client, sql: house.api.sql, request: ids[0] ?? request({}) });
    const first = (await queue().describe()).runId;
    // Signals with known ids change nothing, but each is an event of the history.
    const known = ids[0] ?? request({});
    for (let sent = 0; sent < 1_000; sent += 50) {
      const batch = Array.from({ length: 50 }, () => signalManualRun(rig.client, known));
      const next = ids[1 + sent / 300];
      if (next !== undefined) {
        await requestManualRun({ client: rig.client, sql: house.api.sql, request: next });
      }
      await Promise.all(batch);
    }
    await eventually('all manual runs ended', async () => {
      const done = await listTaskRuns(house.api.sql, { states: ['succeeded'] });
      return ids.every((asked) => done.some((run) => run.taskRunId === asked.requestId));
    });
    await eventually('it is another run', async () => (await queue().describe()).runId !== first);
    const runs = await listTaskRuns(house.api.sql);
    expect(runs).toHaveLength(5);
    expect(runs.every((run) => run.attempts === 1)).toBe(true);
  });
});

describe('manual runs', () => {
  it('run once per id, however often they are asked for', async () => {
    const rig = prepare();
    const asked = request({});
    expect(await manual(rig, asked)).toBe('succeeded');
    expect((await requestManualRun({ client: rig.client, sql: house.api.sql, request: asked })).isNew).toBe(
      false,
    );
    await signalManualRun(rig.client, asked);
    await sleep(500);
    expect(await listTaskRuns(house.api.sql)).toMatchObject([
      { state: 'succeeded', attempts: 1, trigger: 'manual' },
    ]);
  });

  it('check their needs for this session, unless forced, which is recorded', async () => {
    const rig = prepare();
    const refused = request({ task: 'training' });
    expect(await manual(rig, refused)).toContain('ingestion did not succeed for 2018-02-07 (tiny)');
    expect(await findRunRequest(house.api.sql, refused.requestId)).toMatchObject({
      refusedReason: 'ingestion did not succeed for 2018-02-07 (tiny); --force runs it anyway',
    });
    const forced = request({ task: 'training', force: true });
    expect(await manual(rig, forced)).toBe('succeeded');
    expect(await findTaskRun(house.api.sql, forced.requestId)).toMatchObject({
      forced: true,
      state: 'succeeded',
    });
    expect(await listAudit(house.api.sql, { subject: forced.requestId })).toMatchObject([
      { actor: 'Ann', action: 'run.request', details: { task: 'training', force: true } },
    ]);
    expect(await manual(rig, request({ task: 'ingestion' }))).toBe('succeeded');
    expect(await manual(rig, request({ task: 'training' }))).toBe('succeeded');
  });

  it('are refused before anything is stored when the rows say that a need is not met', async () => {
    const rig = prepare();
    const ask = (asked: NewRunRequest) =>
      requestManualRun({ client: rig.client, sql: house.api.sql, request: asked });
    expect(await manual(rig, request({ task: 'weeklyMaintenance' }))).toBe('succeeded');
    const refused = request({ task: 'overnightScan' });
    await expect(ask(refused)).rejects.toThrow(
      'training did not succeed for 2018-02-07 (tiny); --force runs it anyway',
    );
    expect(await findRunRequest(house.api.sql, refused.requestId)).toBeNull();
    expect(await listAudit(house.api.sql, { subject: refused.requestId })).toEqual([]);
  });

  it('have one id per key, answered with what was stored; another run under it is refused', async () => {
    const rig = prepare();
    const sql = house.api.sql;
    expect(runIdOfKey('a')).toBe(runIdOfKey('a'));
    expect(runIdOfKey('a')).not.toBe(runIdOfKey('b'));
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-([78])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(uuid.exec(runIdOfKey('a'))?.[1]).toBe('8');
    const made = [await newRunId(sql), await newRunId(sql)];
    expect(made.map((id) => uuid.exec(id)?.[1])).toEqual(['7', '7']);
    expect(made.toSorted()).toEqual(made);

    const asked = request({ requestId: runIdOfKey('nightly check') });
    expect(await manual(rig, asked)).toBe('succeeded');
    const again = await requestManualRun({
      client: rig.client,
      sql,
      request: { ...asked, requestedBy: 'Bob' },
    });
    expect(again).toMatchObject({
      isNew: false,
      request: { requestedBy: 'Ann', takenByWorkflow: expect.any(String) },
    });
    const other = { ...asked, sessionDate: '2018-02-06' };
    await expect(requestManualRun({ client: rig.client, sql, request: other })).rejects.toThrow(
      `${asked.requestId} is ingestion of 2018-02-07 (tiny) already`,
    );
  });

  it('run maintenance under the queue too, planned from its schedule', async () => {
    const rig = prepare();
    const result = await rig.client.workflow.execute('maintenanceRun', {
      workflowId: 'weekly-maintenance-2027-03-14T07:00:00Z',
      taskQueue: 'pipeline',
    });
    expect(result).toMatchObject({ task: 'weeklyMaintenance', state: 'succeeded' });
    expect(await listTaskRuns(house.api.sql)).toMatchObject([
      { universe: 'all', state: 'succeeded', trigger: 'schedule' },
    ]);
  });
});
