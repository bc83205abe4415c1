import { type AddressInfo, createServer } from 'node:net';

import { type Client, ScheduleOverlapPolicy } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { nextNominalStart } from '../../src/activities/planning/night-plan.ts';
import { type ConfigFile, effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';
import { readPauseFacts } from '../../src/db/queries/alerts.ts';
import { readPauses } from '../../src/db/queries/metrics.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { scheduleStates } from '../../src/db/queries/schedule-state.ts';
import { localDate, nextRun, weekdayOf } from '../../src/domain/schedule-times.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import {
  applySchedules,
  describeSchedules,
  keepClosedRuns,
  NOT_YET_ENABLED,
  setSchedulePaused,
} from '../../src/temporal/schedules.ts';
import { openCommandLine } from '../support/command-line.ts';
import { createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, useRig } from '../support/rig.ts';
import { deleteSchedules } from '../support/schedules.ts';

const NEW_YORK = 'America/New_York';
const rigs = useRig();
let house: House;
const open = async (): Promise<void> => {
  house = await openHouse({ client: rigs.current.client });
};
const close = async (): Promise<void> => {
  await deleteSchedules(rigs.current.client);
  await house.close();
};

const apply = (file: ConfigFile = parseConfigFile(testConfig()), enable = false): Promise<string[]> =>
  applySchedules({ client: rigs.current.client, sql: house.database.sql, file, by: 'Ann', enable });

async function stateOf(scheduleId: string): Promise<{ paused: boolean; note: string | null }> {
  const found = (await describeSchedules(rigs.current.client)).find(
    (schedule) => schedule.scheduleId === scheduleId,
  );
  if (found === undefined) throw new Error(`no schedule ${scheduleId}`);
  return { paused: found.paused, note: found.note };
}

/** What the server itself says it would start, ms. */
async function matchingTimes(
  client: Client,
  scheduleId: string,
  from: string,
  to: string,
): Promise<number[]> {
  const { startTime } = await client.workflowService.listScheduleMatchingTimes({
    namespace: client.options.namespace,
    scheduleId,
    startTime: { seconds: (Date.parse(from) / 1000) as never },
    endTime: { seconds: (Date.parse(to) / 1000) as never },
  });
  return startTime.map((instant) => tsToMs(instant));
}

/** What we say, ms. */
function computedTimes(
  schedule: Parameters<typeof nextRun>[0],
  from: string,
  to: string,
  timezone = NEW_YORK,
): number[] {
  const times: number[] = [];
  for (let at = Date.parse(from) - 1; ; ) {
    const next = nextRun(schedule, timezone, at);
    if (next === null || next > Date.parse(to)) return times;
    times.push(next);
    at = next;
  }
}

const YEAR = ['2027-01-01T05:00:00Z', '2028-01-01T04:59:59Z'] as const;

describe('times of 2027, as the server computes them', () => {
  // One pair of schedules that is changed from test to test.
  beforeAll(open);
  afterAll(close);

  it('start one night on each day, at 22:45 in New York, over both changes', async () => {
    const { client } = rigs.current;
    await apply();
    const times = await matchingTimes(client, SCHEDULE_IDS.nightly, ...YEAR);
    expect(times).toHaveLength(365);
    expect(new Set(times.map((ms) => localDate(ms, NEW_YORK))).size).toBe(365);
    expect(times.map((ms) => new Date(ms).toISOString())).toEqual(
      expect.arrayContaining([
        '2027-03-13T03:45:00.000Z',
        '2027-03-15T02:45:00.000Z',
        '2027-11-08T03:45:00.000Z',
      ]),
    );
    expect(times).toEqual(
      computedTimes(effectiveConfig(parseConfigFile(testConfig())).tasks.ingestion, ...YEAR),
    );
  });

  it('run maintenance exactly once in each week, also when 02:00 does not exist', async () => {
    const { client } = rigs.current;
    await apply();
    const times = await matchingTimes(client, SCHEDULE_IDS.weekly, ...YEAR);
    const sundays = times.map((ms) => localDate(ms, NEW_YORK));
    expect(sundays).toHaveLength(52);
    expect(new Set(sundays).size).toBe(52);
    expect(sundays.every((date) => weekdayOf(date) === 6)).toBe(true);
    expect(times.map((ms) => new Date(ms).toISOString())).toContain('2027-03-14T07:00:00.000Z');
    const settings = effectiveConfig(parseConfigFile(testConfig())).tasks.weeklyMaintenance;
    expect(times).toEqual(computedTimes(settings, ...YEAR));
  });

  it.each([
    // Left out and repeated at the same clock time; a rule, half an hour, midnight, no rule at all.
    ['Europe/Berlin', 2, 0],
    ['Europe/London', 1, 30],
    ['Europe/Helsinki', 3, 45],
    ['America/New_York', 1, 30],
    ['Australia/Lord_Howe', 1, 45],
    ['Asia/Beirut', 23, 30],
    ['Asia/Beirut', 0, 15],
    ['Africa/Casablanca', 2, 30],
    ['Asia/Tokyo', 2, 0],
  ] as const)(
    'run maintenance exactly once in each week of 2027 in %s at %i:%i',
    async (zone, hour, minute) => {
      const { client } = rigs.current;
      const schedule = { hour, minute, day_of_week: 'sun,sat' };
      const file = parseConfigFile(testConfig({ timezone: zone, tasks: { 6: { schedule } } }));
      await apply(file);
      const times = await matchingTimes(
        client,
        SCHEDULE_IDS.weekly,
        '2026-12-31T00:00:00Z',
        '2028-01-05T00:00:00Z',
      );
      const settings = effectiveConfig(file).tasks.weeklyMaintenance;
      expect(times).toEqual(computedTimes(settings, '2026-12-31T00:00:00Z', '2028-01-05T00:00:00Z', zone));
      const inYear = times.filter((ms) => localDate(ms - 300_000, zone).startsWith('2027'));
      const weeks = inYear.map((ms) =>
        Math.floor((Date.parse(localDate(ms - 300_000, zone)) / 86_400_000 + 3) / 7),
      );
      // Saturday and Sunday of each week, once each.
      expect(weeks).toHaveLength(104);
      for (const week of weeks) expect(weeks.filter((other) => other === week)).toHaveLength(2);
    },
  );

  it.each(['mon-fri', '0', 'tue,thu', 'sun'])(
    'follow day_of_week %s as APScheduler counts',
    async (day_of_week) => {
      const { client } = rigs.current;
      const document = testConfig({ tasks: { 1: { schedule: { hour: 2, minute: 30, day_of_week } } } });
      const file = parseConfigFile(document);
      await apply(file);
      const times = await matchingTimes(client, SCHEDULE_IDS.nightly, ...YEAR);
      expect(times.length).toBeGreaterThan(51);
      expect(times).toEqual(computedTimes(effectiveConfig(file).tasks.ingestion, ...YEAR));
    },
  );
});

it('no call waits for ever for a server that takes connections and says nothing', async () => {
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const { client, close: disconnect } = connectClient({ address: `127.0.0.1:${port}`, embedded: true });
  for (const call of [() => keepClosedRuns(client, 30, 100), () => describeSchedules(client, 100)])
    await expect(call()).rejects.toThrow(/DEADLINE_EXCEEDED|Failed to describe schedule/);
  await disconnect();
  silent.close();
});

describe('the state of a schedule', () => {
  beforeEach(open);
  afterEach(close);

  it('is paused until it is enabled on purpose, and applying twice changes nothing', async () => {
    const changes = await apply();
    expect(changes.slice(1)).toEqual(['nightly: created, paused', 'weekly-maintenance: created, paused']);
    expect(await stateOf('nightly')).toEqual({ paused: true, note: NOT_YET_ENABLED });
    expect(await apply()).toEqual([]);
    expect(await apply(undefined, true)).toEqual(['nightly: enabled', 'weekly-maintenance: enabled']);
    expect(await stateOf('nightly')).toEqual({ paused: false, note: 'enabled by Ann' });
    const [nightly] = await scheduleStates(house.database.sql);
    expect(nightly).toMatchObject({ scheduleId: 'nightly', paused: false });
    expect(nightly?.firstEnabledAt).not.toBeNull();
    const described = await rigs.current.client.schedule.getHandle('nightly').describe();
    expect(described.policies).toMatchObject({
      overlap: 'SKIP',
      catchupWindow: 300_000,
      pauseOnFailure: false,
    });
  });

  it('keeps a person’s pause over changes, enabling and a new server', async () => {
    const { client } = rigs.current;
    await apply(undefined, true);
    await setSchedulePaused({
      client,
      sql: house.database.sql,
      scheduleId: 'nightly',
      paused: true,
      by: 'Bob',
      why: 'quarter end',
    });
    const pause = { paused: true, note: 'paused by Bob: quarter end' };
    await eventually('the pause', async () => (await stateOf('nightly')).paused);
    const later = parseConfigFile(testConfig({ tasks: { 1: { schedule: { hour: 21, minute: 15 } } } }));
    expect(await apply(later, true)).toContain('nightly: updated');
    expect(await stateOf('nightly')).toEqual(pause);
    const [next] = await matchingTimes(client, 'nightly', '2027-01-10T05:00:00Z', '2027-01-12T05:00:00Z');
    expect(new Date(next ?? 0).toISOString()).toBe('2027-01-11T02:15:00.000Z');
    await client.schedule.getHandle('nightly').delete();
    await eventually('it is gone', async () =>
      (await describeSchedules(client)).every((one) => one.scheduleId !== 'nightly'),
    );
    await apply(later);
    expect(await stateOf('nightly')).toEqual(pause);
    expect((await listAudit(house.database.sql)).map(({ actor, action }) => `${actor} ${action}`)).toContain(
      'Bob schedule.pause',
    );
  });

  it('is paused and unpaused by a command, also as `restore` leaves it', async () => {
    const { client } = rigs.current;
    const { sql } = house.database;
    await apply(undefined, true);
    const why = 'restored from a backup, the original may still run';
    const paused = { client, sql, scheduleId: 'nightly', paused: true, by: 'nightshift restore', why };
    await setSchedulePaused(paused);
    await eventually('the pause', async () => (await stateOf('nightly')).paused);
    const line = await openCommandLine({ urls: house.urls, namespace: rigs.current.namespace });
    const nightshift = (...args: string[]) => line.run('schedule', ...args);
    try {
      const who = ['--by', 'Ann', '--why', 'the copy takes over'];
      expect(await nightshift('unpause', ...who)).toEqual({
        code: 0,
        words:
          'nightly is on: unpaused by Ann: the copy takes over\nweekly-maintenance is on already: enabled by Ann',
      });
      await eventually('it is on', async () => !(await stateOf('nightly')).paused);
      expect(await nightshift('pause', 'weekly-maintenance', ...who)).toMatchObject({ code: 0 });
      await eventually('it is paused', async () => (await stateOf('weekly-maintenance')).paused);
      const acts = await listAudit(sql, { subject: 'nightly' });
      expect(acts.map(({ actor, action }) => `${actor} ${action}`).slice(0, 2)).toEqual([
        'Ann schedule.unpause',
        'nightshift restore schedule.pause',
      ]);
      expect(await nightshift('pause', 'hourly', ...who)).toMatchObject({ code: 2 });
      expect(await nightshift('pause', '--by', 'Ann')).toMatchObject({ code: 2 });
    } finally {
      await line.close();
    }
  });

  it('loses neither a pause nor a change that come at the same time', async () => {
    const { client } = rigs.current;
    await apply(undefined, true);
    for (const minute of [1, 2, 3]) {
      const file = parseConfigFile(testConfig({ tasks: { 1: { schedule: { hour: 20, minute } } } }));
      const handle = client.schedule.getHandle('nightly');
      await Promise.all([apply(file), handle.pause(`round ${minute}`)]);
      await eventually('both', async () => {
        const { paused, note } = await stateOf('nightly');
        const [first] = await matchingTimes(
          client,
          'nightly',
          '2027-01-10T05:00:00Z',
          '2027-01-11T05:00:00Z',
        );
        return paused && note === `round ${minute}` && new Date(first ?? 0).getUTCMinutes() === minute;
      });
    }
  });

  it('is there while a night has something to do, and no longer', async () => {
    const { client } = rigs.current;
    await apply(undefined, true);
    const state = {
      sql: house.database.sql,
      nowMs: Date.parse('2027-01-15T12:00:00Z'),
      trigger: 'manual' as const,
    };
    const next = (file: ConfigFile) => nextNominalStart({ ...state, config: effectiveConfig(file) });
    const idle = parseConfigFile(testConfig({ tasks: { 1: { enabled: false } } }));
    expect(await apply(idle)).toContain('nightly: removed, none of its tasks can run');
    const ids = async () => (await describeSchedules(client)).map(({ scheduleId }) => scheduleId);
    await eventually('it is gone', async () => !(await ids()).includes('nightly'));
    expect(await next(idle)).toBeNull();
    // Without ingestion, but with a task that needs nothing: it fires, and the next night counts.
    const busy = parseConfigFile(
      testConfig({ tasks: { 1: { enabled: false } }, nightshift: { dependencies: { training: [] } } }),
    );
    expect(await apply(busy)).toContain('nightly: created');
    expect(await next(busy)).toBe('2027-01-16T03:45:00.000Z');
  });

  it('takes its pause with it when its task is disabled: nothing warns of it, or counts it', async () => {
    const { client } = rigs.current;
    const { sql } = house.database;
    await apply(undefined, true);
    const scheduleId = 'weekly-maintenance';
    await setSchedulePaused({ client, sql, scheduleId, paused: true, by: 'Ann', why: 'stopped' });
    const paused = async () => (await readPauseFacts(sql)).map((pause) => pause.scheduleId);
    const counted = async () => (await readPauses(sql)).map(({ labels }) => labels['schedule']);
    expect(await paused()).toEqual([scheduleId]);
    await apply(parseConfigFile(testConfig({ tasks: { 6: { enabled: false } } })), true);
    expect(await paused()).toEqual([]);
    expect(await counted()).toEqual(['nightly']);
    expect(await apply(undefined, true)).toContain(`${scheduleId}: created`);
    expect(await stateOf(scheduleId)).toEqual({ paused: false, note: 'enabled by Ann' });
  });

  it('moves when only the time zone changes', async () => {
    const { client } = rigs.current;
    await apply();
    await apply(parseConfigFile(testConfig({ timezone: 'America/Chicago' })));
    const [first] = await matchingTimes(client, 'nightly', '2027-01-10T00:00:00Z', '2027-01-11T12:00:00Z');
    expect(new Date(first ?? 0).toISOString()).toBe('2027-01-10T04:45:00.000Z');
  });

  it('changes the configuration of later runs too', async () => {
    rigs.current.use({ ...createFakes().activities, ...house.runs });
    const night = { universe: 'tiny', sessionDate: '2018-02-07' };
    expect((await rigs.current.night(night)).state).toBe('succeeded');
    await apply(parseConfigFile(testConfig({ tasks: { 5: { enabled: false } } })));
    const result = await rigs.current.night(night);
    expect(result.tasks.find(({ task }) => task === 'driftMonitoring')?.state).toBe('disabled');
  });
});

describe('starts', () => {
  beforeEach(open);
  afterEach(close);

  it('take the session from the nominal instant, however late they come, one night after the other', async () => {
    const { client } = rigs.current;
    rigs.current.use({ ...createFakes().activities, ...house.runs });
    await apply();
    // 22:45 in New York, Thursday 1 February 2018 to Wednesday the 7th; on the 3rd and 4th there is no session.
    await client.schedule.getHandle('nightly').backfill({
      start: new Date('2018-02-02T03:44:59Z'),
      end: new Date('2018-02-08T03:45:00Z'),
      overlap: ScheduleOverlapPolicy.BUFFER_ALL,
    });
    await eventually(
      'seven nights have ended',
      async () => {
        const nights = await listNights(house.database.sql);
        return nights.length === 7 && nights.every(({ completedAt }) => completedAt !== null);
      },
      90_000,
    );
    const nights = (await listNights(house.database.sql)).toSorted((a, b) =>
      a.workflowId < b.workflowId ? -1 : 1,
    );
    expect(nights.map(({ workflowId, sessionDate, state }) => [workflowId, sessionDate, state])).toEqual([
      ['nightly-2018-02-02T03:45:00Z', '2018-02-01', 'succeeded'],
      ['nightly-2018-02-03T03:45:00Z', '2018-02-02', 'succeeded'],
      ['nightly-2018-02-04T03:45:00Z', '2018-02-03', 'no_session'],
      ['nightly-2018-02-05T03:45:00Z', '2018-02-04', 'no_session'],
      ['nightly-2018-02-06T03:45:00Z', '2018-02-05', 'succeeded'],
      ['nightly-2018-02-07T03:45:00Z', '2018-02-06', 'succeeded'],
      ['nightly-2018-02-08T03:45:00Z', '2018-02-07', 'succeeded'],
    ]);
    expect(nights.every(({ trigger }) => trigger === 'schedule')).toBe(true);
    for (const [index, night] of nights.slice(1).entries()) {
      expect(Date.parse(night.startedAt)).toBeGreaterThanOrEqual(
        Date.parse(nights[index]?.completedAt ?? ''),
      );
    }
  });
});
