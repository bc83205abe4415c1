import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { findRunRequest, listAudit, newRunId, type NewRunRequest } from '../../src/db/queries/requests.ts';
import { findTaskRun, listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { requestManualRun, runIdOfKey } from '../../src/temporal/manual-request.ts';
import { signalManualRun } from '../../src/temporal/verbs.ts';
import { request, useQueueHouse } from './queue-house.ts';

const desk = useQueueHouse();

describe('manual runs', () => {
  it('run once per id, however often they are asked for', async () => {
    const rig = desk.prepare();
    const asked = request({});
    expect(await desk.manual(rig, asked)).toBe('succeeded');
    expect(
      (await requestManualRun({ client: rig.client, sql: desk.house.api.sql, request: asked })).isNew,
    ).toBe(false);
    await signalManualRun(rig.client, asked);
    await sleep(500);
    expect(await listTaskRuns(desk.house.api.sql)).toMatchObject([
      { state: 'succeeded', attempts: 1, trigger: 'manual' },
    ]);
  });

  it('check their needs for this session, unless forced, which is recorded', async () => {
    const rig = desk.prepare();
    const refused = request({ task: 'training' });
    expect(await desk.manual(rig, refused)).toContain('ingestion did not succeed for 2018-02-07 (tiny)');
    expect(await findRunRequest(desk.house.api.sql, refused.requestId)).toMatchObject({
      refusedReason: 'ingestion did not succeed for 2018-02-07 (tiny); --force runs it anyway',
    });
    const forced = request({ task: 'training', force: true });
    expect(await desk.manual(rig, forced)).toBe('succeeded');
    expect(await findTaskRun(desk.house.api.sql, forced.requestId)).toMatchObject({
      forced: true,
      state: 'succeeded',
    });
    expect(await listAudit(desk.house.api.sql, { subject: forced.requestId })).toMatchObject([
      { actor: 'Ann', action: 'run.request', details: { task: 'training', force: true } },
    ]);
    expect(await desk.manual(rig, request({ task: 'ingestion' }))).toBe('succeeded');
    expect(await desk.manual(rig, request({ task: 'training' }))).toBe('succeeded');
  });

  it('are refused before anything is stored when the rows say that a need is not met', async () => {
    const rig = desk.prepare();
    const ask = (asked: NewRunRequest) =>
      requestManualRun({ client: rig.client, sql: desk.house.api.sql, request: asked });
    expect(await desk.manual(rig, request({ task: 'weeklyMaintenance' }))).toBe('succeeded');
    const refused = request({ task: 'overnightScan' });
    await expect(ask(refused)).rejects.toThrow(
      'training did not succeed for 2018-02-07 (tiny); --force runs it anyway',
    );
    expect(await findRunRequest(desk.house.api.sql, refused.requestId)).toBeNull();
    expect(await listAudit(desk.house.api.sql, { subject: refused.requestId })).toEqual([]);
  });

  it('have one id per key, answered with what was stored; another run under it is refused', async () => {
    const rig = desk.prepare();
    const sql = desk.house.api.sql;
    expect(runIdOfKey('a')).toBe(runIdOfKey('a'));
    expect(runIdOfKey('a')).not.toBe(runIdOfKey('b'));
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-([78])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(uuid.exec(runIdOfKey('a'))?.[1]).toBe('8');
    const made = [await newRunId(sql), await newRunId(sql)];
    expect(made.map((id) => uuid.exec(id)?.[1])).toEqual(['7', '7']);
    expect(made.toSorted()).toEqual(made);

    const asked = request({ requestId: runIdOfKey('nightly check') });
    expect(await desk.manual(rig, asked)).toBe('succeeded');
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
    const rig = desk.prepare();
    const result = await rig.client.workflow.execute('maintenanceRun', {
      workflowId: 'weekly-maintenance-2027-03-14T07:00:00Z',
      taskQueue: 'pipeline',
    });
    expect(result).toMatchObject({ task: 'weeklyMaintenance', state: 'succeeded' });
    expect(await listTaskRuns(desk.house.api.sql)).toMatchObject([
      { universe: 'all', state: 'succeeded', trigger: 'schedule' },
    ]);
  });
});
