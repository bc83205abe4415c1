import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';

import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { scheduleStates } from '../../src/db/queries/schedule-state.ts';
import { applySchedules, setSchedulePaused } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { useApi } from './api-house.ts';

const api = useApi();

/** Another program's change is seen within this time. */
const SECONDS_MS = 5_000;

describe('schedules beside other programs', () => {
  const nightly = async (token: string) => {
    const { body } = await api.ask('GET', '/api/v1/schedules', { token });
    const { items } = body as { items: { scheduleId: string; paused: boolean; note: string | null }[] };
    const found = items.find(({ scheduleId }) => scheduleId === 'nightly');
    return { paused: found?.paused, note: found?.note };
  };

  it('see what the `temporal` command line does, and it sees what they do', async () => {
    api.desk.prepare();
    const cli = temporalCli(api.desk.rig.namespace);
    const schedule = (act: string, ...args: string[]) => cli('schedule', act, '-s', 'nightly', ...args);
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/start', { token });
    const isRunning = async (): Promise<boolean> =>
      ((await api.ask('GET', '/scheduler/status', { token })).body as { running: boolean }).running;
    expect(await isRunning()).toBe(true);

    await schedule('toggle', '--pause', '--reason', 'quarter end');
    await eventually('the pause', async () => !(await isRunning()), SECONDS_MS);
    expect(await nightly(token)).toEqual({ paused: true, note: 'quarter end' });
    await schedule('toggle', '--unpause', '--reason', 'it is over');
    await eventually('its end', isRunning, SECONDS_MS);
    expect(await nightly(token)).toEqual({ paused: false, note: 'it is over' });

    const before = (await api.desk.rig.client.schedule.getHandle('nightly').describe()).raw.schedule;
    await api.ask('POST', '/api/v1/schedules/nightly/pause', { token, body: { why: 'a holiday' } });
    const state = { paused: true, notes: 'paused by the operator: a holiday' };
    expect(JSON.parse(await schedule('describe', '-o', 'json'))).toMatchObject({ schedule: { state } });
    const after = (await api.desk.rig.client.schedule.getHandle('nightly').describe()).raw.schedule;
    expect({ ...after, state: null }).toEqual({ ...before, state: null });

    const nights = async () => {
      const { body } = await api.ask('GET', '/api/v1/nights?trigger=schedule', { token });
      return (body as { items: { workflowId: string; completedAt: string | null }[] }).items;
    };
    await api.ask('POST', '/api/v1/schedules/nightly/trigger', { token, body: { why: 'try' } });
    const [night] = await eventually('its night', async () => {
      const ended = (await nights()).filter(({ completedAt }) => completedAt !== null);
      return ended.length === 1 && ended;
    });
    expect(await schedule('describe', '-o', 'json')).toContain(`"${night?.workflowId}"`);
    // Two triggers within one second would share a workflow id.
    await sleep(1_000);
    await schedule('trigger');
    await eventually('a second night', async () => (await nights()).length === 2);
  });

  it('refuse what is based on a state that somebody has changed since, and keep what does not concern it', async () => {
    const { client } = api.desk.rig;
    const { sql } = api.desk.house.database;
    const { text: token } = await api.token('operator');
    await api.ask('POST', '/scheduler/start', { token });
    const pause = (why: string) =>
      api.ask('POST', '/api/v1/schedules/nightly/pause', { token, body: { why } });

    const bob = { paused: true, by: 'Bob', why: 'quarter end' };
    api.restart({
      client: withBeforeUpdate(client, () =>
        setSchedulePaused({ client, sql, scheduleId: 'nightly', ...bob }),
      ),
    });
    expect(await pause('a holiday')).toMatchObject({
      status: 409,
      body: { detail: 'nightly was changed at the same time: paused by Bob: quarter end' },
    });
    const note = 'paused by Bob: quarter end';
    expect(await nightly(token)).toEqual({ paused: true, note });
    expect((await scheduleStates(sql))[0]).toMatchObject({ scheduleId: 'nightly', paused: true, note });

    const file = parseConfigFile(testConfig({ tasks: { 1: { schedule: { hour: 21, minute: 15 } } } }));
    api.restart({
      client: withBeforeUpdate(client, async () => {
        await applySchedules({ client, sql, file, by: 'Bob' });
      }),
    });
    expect(await pause('a holiday')).toMatchObject({
      status: 200,
      body: { paused: true, note: 'paused by the operator: a holiday' },
    });
    const { spec } = await client.schedule.getHandle('nightly').describe();
    expect(spec.calendars?.[0]?.hour).toEqual([{ start: 21, end: 21, step: 1 }]);
  });
});

/** The same client; before its first update of a schedule is sent, somebody else acts. */
function withBeforeUpdate(client: Client, act: () => Promise<void>): Client {
  let acted = false;
  const service = overriding(client.workflowService, 'updateSchedule', async (request: never) => {
    if (!acted) {
      acted = true;
      await act();
    }
    return await client.workflowService.updateSchedule(request);
  });
  return overriding(client, 'workflowService', service);
}

function overriding<T extends object>(target: T, name: keyof T, value: unknown): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === name) return value;
      const own: unknown = Reflect.get(target, key, target);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}
