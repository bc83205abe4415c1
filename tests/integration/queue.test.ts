import { setTimeout as sleep } from 'node:timers/promises';

import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { createQueueActivities } from '../../src/activities/queue.ts';
import type { SlotRequest } from '../../src/contracts/slots.ts';
import { REQUEST_SLOT } from '../../src/contracts/wire/messages.ts';
import { JOB_QUEUE_WORKFLOW_ID, type TaskState } from '../../src/contracts/wire/names.ts';
import { findTaskRun, listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { requestManualRun } from '../../src/temporal/manual-request.ts';
import { signalManualRun } from '../../src/temporal/verbs.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { request, S, useQueueHouse } from './queue-house.ts';

const desk = useQueueHouse();

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

describe('slots', () => {
  it('let one task run at a time by default, over two nights and a manual run at once', async () => {
    const { overrides, most } = gauge();
    const rig = desk.prepare(overrides);
    const nights = ['2018-02-06', S].map((sessionDate) => rig.night({ universe: 'tiny', sessionDate }));
    await eventually(
      'ingestion of a night',
      async () => (await listTaskRuns(desk.house.api.sql, { states: ['running'] }))[0],
    );
    const asked = request({ task: 'ingestion', sessionDate: '2018-02-05' });
    expect(await desk.manual(rig, asked)).toBe('succeeded');
    expect((await Promise.all(nights)).map((night) => night.state)).toEqual(['succeeded', 'succeeded']);
    expect(most()).toEqual({ total: 1, same: 1 });
    expect(await findTaskRun(desk.house.api.sql, asked.requestId)).toMatchObject({
      state: 'succeeded',
      requestedBy: 'Ann',
    });
  });

  it('let several run where the configuration says so, but never two of one kind', async () => {
    await desk.house.configure(testConfig({ maxConcurrentJobs: 3 }));
    const { overrides, most } = gauge({ untilTwo: true });
    const rig = desk.prepare(overrides);
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
    await desk.house.configure(document);
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { activities } = createFakes();
    const rig = desk.prepare({ planIngestion: (step) => held.then(() => activities.planIngestion(step)) });
    const night = rig.night({ universe: 'tiny', sessionDate: S });
    await eventually('the night has its slot', async () => {
      const queue = await rig.queue().catch(() => undefined);
      return queue?.holders.length === 1;
    });
    const other = request({ sessionDate: '2018-02-06' });
    const same = request({});
    const ended = [desk.manual(rig, other), desk.manual(rig, same)];
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
    const rig = desk.prepare({
      ...overrides,
      planIngestion: (step) => held.then(() => activities.planIngestion(step)),
    });
    rig.slotRows = desk.house.database.sql;
    const nights = [S, '2018-02-06'].map((sessionDate) => rig.night({ universe: 'tiny', sessionDate }));
    const only = (state: TaskState) =>
      eventually(state, async () => (await listTaskRuns(desk.house.api.sql, { states: [state] }))[0]);
    const [waiting, running] = [await only('waiting'), await only('running')];
    const queue = () => rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID);
    await queue().terminate('test');
    // Another wish starts the next queue while the first one holds its slot.
    const asked = request({ task: 'weeklyMaintenance' });
    await requestManualRun({ client: rig.client, sql: desk.house.api.sql, request: asked });
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
    const rig = desk.prepare({ planIngestion: () => Context.current().cancelled });
    const lost = await rig.startNight({ universe: 'tiny', sessionDate: S });
    await eventually(
      'it holds the slot',
      async () => (await rig.queue().catch(() => undefined))?.holders.length === 1,
    );
    await lost.terminate('test');
    desk.prepare();
    expect((await rig.night({ universe: 'tiny', sessionDate: '2018-02-06' })).state).toBe('succeeded');
  });

  it('are asked for again when nobody is left who would wake a queue', async () => {
    let hangs = false;
    const rig = desk.prepare({
      planIngestion: () => {
        hangs = true;
        return Context.current().cancelled;
      },
    });
    rig.slotRows = desk.house.database.sql;
    const lost = await rig.startNight({ universe: 'tiny', sessionDate: S });
    await eventually('it runs', () => hangs);
    desk.prepare();
    const night = rig.night({ universe: 'tiny', sessionDate: '2018-02-06' });
    await eventually(
      'the other one waits',
      async () => (await listTaskRuns(desk.house.api.sql, { states: ['waiting'] }))[0],
    );
    await rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).terminate('test');
    await lost.terminate('test');
    expect((await night).state).toBe('succeeded');
  });

  it('are given back with the next wish, alone where there is none, and again when the queue could not be told', async () => {
    const none = async (): Promise<never[]> => [];
    const { client } = desk.rig;
    const queue = createQueueActivities({ client, findSlotHolders: none, findSlotRequests: none });
    const asked: string[] = [];
    const along: string[] = [];
    const alone: string[] = [];
    const taskOf = ({ taskRunId }: { taskRunId: string }): string => taskRunId.split('-')[0] ?? '';
    const outOfReach = () => ApplicationFailure.nonRetryable('the queue cannot be reached');
    const askedTwice = (task: string): Promise<true> =>
      eventually(`${task} asks again`, () => asked.filter((one) => one === task).length > 1);
    const rig = desk.prepare({
      requestSlot: async (wish) => {
        asked.push(wish.task);
        along.push(...(wish.released ?? []).map(taskOf));
        if (along.length === 1 && wish.released !== undefined) throw outOfReach();
        await queue.requestSlot(wish);
      },
      releaseSlot: async (grant) => {
        alone.push(taskOf(grant));
        if (alone.length === 1) throw outOfReach();
        await queue.releaseSlot(grant);
      },
      // Who waits asks again after 7 s: each of these ends after that, so that no wish takes its slot along.
      runBacktest: async () => {
        await askedTwice('training');
        return {};
      },
      writeSignals: async () => {
        await askedTwice('driftMonitoring');
        return {};
      },
    });
    expect((await rig.night({ universe: 'tiny', sessionDate: S })).state).toBe('succeeded');
    // Ingestion's went along with training's lost wish, was lost alone, then told; training's went with the scan's.
    expect(asked.slice(0, 4)).toEqual(['ingestion', 'training', 'backtest', 'training']);
    expect(along).toEqual(['ingestion', 'training']);
    expect(alone).toEqual(['ingestion', 'ingestion', 'backtest', 'overnightScan', 'driftMonitoring']);
  });

  it('of an earlier turn of a run are over when it asks for its next one, told or not', async () => {
    const rig = desk.prepare({
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
    const rig = desk.prepare({
      planIngestion: () => Context.current().cancelled,
      releaseSlot: async () => undefined,
    });
    rig.slotRows = desk.house.database.sql;
    const night = await rig.startNight({ universe: 'tiny', sessionDate: S });
    const row = await eventually(
      'it runs',
      async () => (await listTaskRuns(desk.house.api.sql, { states: ['running'] }))[0],
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
    const rig = desk.prepare();
    const queue = () => rig.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID);
    const ids = Array.from({ length: 5 }, () => request({ task: 'weeklyMaintenance' }));
    await requestManualRun({ client: rig.client, sql: desk.house.api.sql, request: ids[0] ?? request({}) });
    const first = (await queue().describe()).runId;
    // Signals with known ids change nothing, but each is an event of the history.
    const known = ids[0] ?? request({});
    for (let sent = 0; sent < 1_000; sent += 50) {
      const batch = Array.from({ length: 50 }, () => signalManualRun(rig.client, known));
      const next = ids[1 + sent / 300];
      if (next !== undefined) {
        await requestManualRun({ client: rig.client, sql: desk.house.api.sql, request: next });
      }
      await Promise.all(batch);
    }
    await eventually('all manual runs ended', async () => {
      const done = await listTaskRuns(desk.house.api.sql, { states: ['succeeded'] });
      return ids.every((asked) => done.some((run) => run.taskRunId === asked.requestId));
    });
    await eventually('it is another run', async () => (await queue().describe()).runId !== first);
    const runs = await listTaskRuns(desk.house.api.sql);
    expect(runs).toHaveLength(5);
    expect(runs.every((run) => run.attempts === 1)).toBe(true);
  });
});
