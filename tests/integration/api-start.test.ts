import { rm, writeFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { currentFile } from '../../src/activities/planning/config-source.ts';
import { effectiveConfig } from '../../src/contracts/schemas/config.ts';
import { CURRENT_FILE, currentApplication } from '../../src/db/queries/configs.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { ScheduleGoneError } from '../../src/temporal/schedule-server.ts';
import { setSchedulePaused, triggerScheduleFor } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { useApi } from './api-house.ts';

const api = useApi();

describe('start', () => {
  const start = async (why = 'a new file') => {
    const { text: token } = await api.token('operator');
    const answer = await api.ask('POST', '/scheduler/start', { token, body: { why } });
    return { status: answer.status, ...(answer.body as { changes: string[]; detail: string }) };
  };
  const minutes = (timeout: number) => testConfig({ tasks: { 2: { timeout_minutes: timeout } } });
  const timeoutInForce = async (): Promise<number> =>
    effectiveConfig(await currentFile(api.desk.house.database.sql)).tasks.training.timeoutMs / 60_000;

  it('takes over what changed in the file, by name and with the reason', async () => {
    const { house } = api.desk;
    await start('the first time');
    const enabled = await listAudit(house.api.sql, { subject: 'nightly' });
    expect(enabled).toMatchObject([
      { actor: 'the operator', action: 'schedule.unpause', why: 'the first time' },
    ]);
    expect((await start()).changes).toEqual([]);
    await house.configure(minutes(77));
    expect((await start()).changes).toEqual([expect.stringMatching(/^configuration [0-9a-f]{12}: applies/)]);
    expect(await timeoutInForce()).toBe(77);
    expect((await listAudit(house.api.sql, { limit: 1 }))[0]).toMatchObject({
      actor: 'the operator',
      action: 'config.apply',
      why: 'a new file',
    });
    expect(await currentApplication(house.database.sql, CURRENT_FILE)).toMatchObject({
      appliedBy: 'the operator',
    });
    await house.configure(testConfig({ nightshift: { universe: 'typo' } }));
    const refused = await start();
    expect([refused.status, refused.detail]).toEqual([409, expect.stringContaining('typo')]);
    expect(await timeoutInForce()).toBe(77);
  });

  it('reads the file that is in force again, not the one this process was given', async () => {
    const { house } = api.desk;
    await start();
    const { configPath } = house.deps;
    const own = `${configPath}.own`;
    await writeFile(own, JSON.stringify(minutes(5)));
    api.restart({ configPath: own });
    await house.configure(minutes(78));
    expect((await start()).status).toBe(200);
    expect(await timeoutInForce()).toBe(78);
    await rm(configPath);
    expect((await start()).changes).toEqual([
      `configuration: stays that of ${configPath}, which is not there to be read again`,
    ]);
    expect(await timeoutInForce()).toBe(78);
  });

  it('removes the schedule of a task that was disabled; what is asked of it is 404 then', async () => {
    const { house } = api.desk;
    await start();
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/stop', { token });
    await house.configure(testConfig({ tasks: { 6: { enabled: false } } }));
    const { status, changes } = await start();
    expect(status).toBe(200);
    expect(changes).toEqual(
      expect.arrayContaining(['weekly-maintenance: removed, its task is disabled', 'nightly: unpaused']),
    );
    for (const verb of ['pause', 'unpause', 'trigger'])
      expect(
        (await api.ask('POST', `/api/v1/schedules/weekly-maintenance/${verb}`, { token, body: { why: 'x' } }))
          .status,
      ).toBe(404);
    // Gone since it was looked at.
    const { client } = api.desk.rig;
    const asked = { client, sql: house.database.sql, scheduleId: 'weekly-maintenance', by: 'Ann', why: 'x' };
    await expect(setSchedulePaused({ ...asked, paused: true })).rejects.toThrow(ScheduleGoneError);
    await expect(triggerScheduleFor(asked)).rejects.toThrow(ScheduleGoneError);
  });
});
