import { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { describe, expect, it } from 'vitest';
import { TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import { createDatabase } from '../../src/db/client.ts';
import { answeredPart } from '../support/answered-history.ts';
import { createTestDatabase, testTemporal, uniqueName } from '../support/env.ts';
import { Rig } from '../support/rig.ts';

describe('servers of the test run', () => {
  it('gives each test a migrated database with the roles of the product', async () => {
    const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(first.name).not.toBe(second.name);
    const pipeline = createDatabase(first.urls.pipeline, { max: 1 });
    const [row] =
      await pipeline.sql`select current_user as role, (select count(*)::int from market.instruments) as rows`;
    expect(row).toEqual({ role: 'nightshift_pipeline', rows: 0 });
    await pipeline.close();
    await Promise.all([first.drop(), second.drop()]);
  });

  it('has a Temporal server that keeps closed runs for 30 days', async () => {
    const { address, namespace } = testTemporal();
    const connection = await Connection.connect({ address });
    const answer = await connection.workflowService.describeNamespace({ namespace });
    expect(Number(answer.config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
    expect(uniqueName('queue')).not.toBe(uniqueName('queue'));
    await connection.close();
  });
});

describe('the part of a history that is replayed', () => {
  const { History } = temporal.api.history.v1;
  const ids = (history: temporal.api.history.v1.IHistory): number[] =>
    (history.events ?? []).map((event) => Number(event.eventId));
  const begun = [
    { eventId: 1, workflowExecutionStartedEventAttributes: {} },
    { eventId: 2, workflowTaskScheduledEventAttributes: {} },
    { eventId: 3, workflowTaskStartedEventAttributes: {} },
  ];
  const answered = [
    ...begun,
    { eventId: 4, workflowTaskCompletedEventAttributes: {} },
    { eventId: 5, timerStartedEventAttributes: { workflowTaskCompletedEventId: 4 } },
    { eventId: 6, workflowExecutionSignaledEventAttributes: {} },
    { eventId: 7, workflowTaskScheduledEventAttributes: {} },
    { eventId: 8, workflowTaskStartedEventAttributes: {} },
    { eventId: 9, timerFiredEventAttributes: { startedEventId: 5 } },
  ];
  const terminated = { eventId: 10, workflowExecutionTerminatedEventAttributes: {} };

  it('ends with the last answer where the run was terminated during a task', () => {
    const history = History.fromObject({ events: [...answered, terminated] });
    expect(ids(answeredPart(history))).toEqual([1, 2, 3, 4, 5]);
    expect(ids(answeredPart(History.fromObject({ events: [...begun, terminated] })))).toEqual([]);
  });

  it('is none of a run that waits for its first task, whose replay would never end', async () => {
    const rig = await Rig.start();
    const handle = await rig.client.workflow.start('jobQueue', {
      workflowId: 'begins-later',
      taskQueue: TASK_QUEUES.pipeline,
      startDelay: '1 hour',
    });
    expect(ids(await handle.fetchHistory())).toEqual([1]);
    expect(await rig.replayAll()).toBe(1);
    await handle.terminate('end of test');
    await rig.close();
  });

  it('is all of it otherwise', () => {
    expect(ids(answeredPart(History.fromObject({ events: answered })))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
