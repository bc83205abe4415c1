import { expect, it } from 'vitest';

import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';
import { scheduleStates } from '../../src/db/queries/schedule-state.ts';
import { applySchedules, setSchedulePaused } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { useScene } from './scene.ts';

const scenes = useScene();

it('shows both schedules, and on the page of a paused one who paused it and why', async () => {
  const scene = scenes.current;
  const { sql } = scene.house.database;
  const { client } = scene.rig;
  const file = parseConfigFile(testConfig());
  await applySchedules({ client, sql, file, by: 'Ann', enable: true });
  await setSchedulePaused({
    client,
    sql,
    scheduleId: SCHEDULE_IDS.nightly,
    paused: true,
    by: 'Ann',
    why: 'the exchange tests',
  });
  const states = await scheduleStates(sql);
  expect(
    Object.fromEntries(states.map(({ scheduleId, paused, note }) => [scheduleId, { paused, note }])),
  ).toEqual({
    [SCHEDULE_IDS.nightly]: { paused: true, note: 'paused by Ann: the exchange tests' },
    [SCHEDULE_IDS.weekly]: { paused: false, note: 'enabled by Ann' },
  });

  await scene.goto('schedules');
  await scene.sees(
    '2 Schedules',
    /Paused nightly nightlyPipeline/,
    /Running weekly-maintenance maintenanceRun/,
    'at 10:45 PM America/New_York',
    'Every Sunday at 2:00 AM America/New_York',
  );
  await scenes.screenshot('schedules');
  await scene.goto(`schedules/${SCHEDULE_IDS.nightly}`);
  await scene.sees('Paused', 'paused by Ann: the exchange tests', '"trigger": "schedule"');
  await scenes.screenshot('schedule-paused');
});
