import { Context } from '@temporalio/activity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { changeSchedule, type Schedule, ScheduleConflictError } from '../../src/temporal/schedule-server.ts';
import { applySchedules, triggerScheduleFor } from '../../src/temporal/schedules.ts';
import { createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, useRig } from '../support/rig.ts';
import { deleteSchedules } from '../support/schedules.ts';

const rigs = useRig();
let house: House;
beforeEach(async () => {
  house = await openHouse({ client: rigs.current.client });
});
afterEach(async () => {
  await deleteSchedules(rigs.current.client);
  await house.close();
});

const apply = () => {
  const file = parseConfigFile(testConfig());
  return applySchedules({ client: rigs.current.client, sql: house.database.sql, file, by: 'Ann' });
};
const trigger = (scheduleId: string) => {
  const { client } = rigs.current;
  return triggerScheduleFor({ client, sql: house.database.sql, scheduleId, by: 'Ann', why: 'to see it' });
};

describe('a schedule that somebody has edited on the server', () => {
  const [BUFFER_ONE, SKIP] = [2, 1];
  const calendars = (found: Schedule) => found.spec?.structuredCalendar ?? [];

  it.each<[string, (found: Schedule) => Schedule]>([
    [
      'its hour',
      (found) => ({
        ...found,
        spec: {
          ...found.spec,
          structuredCalendar: calendars(found).map((one) => ({ ...one, hour: [{ start: 3 }] })),
        },
      }),
    ],
    [
      'the days of its month',
      (found) => ({
        ...found,
        spec: {
          ...found.spec,
          structuredCalendar: calendars(found).map((one) => ({
            ...one,
            dayOfMonth: [{ start: 1, end: 15 }],
          })),
        },
      }),
    ],
    [
      'an interval',
      (found) => ({
        ...found,
        spec: { ...found.spec, interval: [{ interval: { seconds: 3_600 as never } }] },
      }),
    ],
    [
      'what overlaps',
      (found) => ({ ...found, policies: { ...found.policies, overlapPolicy: BUFFER_ONE as never } }),
    ],
  ])('%s: follows the configuration again', async (_what, edit) => {
    const { client } = rigs.current;
    await apply();
    const described = async () => (await client.schedule.getHandle('nightly').describe()).raw.schedule;
    const before = await described();
    await changeSchedule(client, 'nightly', edit);
    expect({ ...(await described()) }).not.toEqual({ ...before });
    expect(await apply()).toEqual(['nightly: updated']);
    const after = await described();
    expect(after?.spec).toEqual(before?.spec);
    expect(after?.policies?.overlapPolicy).toBe(SKIP);
    expect(await apply()).toEqual([]);
  });
});

describe('a trigger', () => {
  it('says what it started, or what still runs instead', async () => {
    const { client } = rigs.current;
    rigs.current.use({
      ...createFakes().activities,
      ...house.runs,
      planIngestion: () => Context.current().cancelled,
    });
    await apply();
    const { sql } = house.database;
    await expect(trigger('nothing')).rejects.toThrow('schedule nothing is not there (any more)');
    const started = await trigger('nightly');
    const running = await eventually('a night runs', async () => (await listNights(sql))[0]);
    const { workflowId } = running;
    expect([running.sessionDate, started?.workflowId]).toEqual(['2018-02-07', workflowId]);
    await expect(trigger('nightly')).rejects.toThrow(`nothing was started: ${workflowId} still goes on`);
    const { info } = await client.schedule.getHandle('nightly').describe();
    expect(info.numActionsSkippedOverlap).toBe(1);
    expect(await listNights(sql)).toHaveLength(1);
    // What did not happen has no row.
    const acts = (await listAudit(sql)).filter(({ action }) => action === 'schedule.trigger');
    const row = { actor: 'Ann', subject: 'nightly', why: 'to see it' };
    expect(acts).toMatchObject([
      { ...row, details: { started: null, skippedFor: [workflowId] } },
      { ...row, details: { started: workflowId, skippedFor: null } },
    ]);
  });

  it('has a start of its own where the one before began and ended within the same second', async () => {
    rigs.current.use({ ...createFakes().activities, ...house.runs });
    await apply();
    const started = new Set<string>();
    for (const round of [1, 2, 3]) {
      // The server sees a moment later that a run is over.
      const run = await eventually(`start ${round}`, () =>
        trigger('weekly-maintenance').catch((error: unknown) => {
          if (error instanceof ScheduleConflictError) return undefined;
          throw error;
        }),
      );
      started.add(run?.workflowId ?? 'not seen');
    }
    expect(started.size).toBe(3);
  });
});
