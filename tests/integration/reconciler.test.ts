import { Context } from '@temporalio/activity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createRunActivities } from '../../src/activities/runs.ts';
import { manualRunWorkflowId } from '../../src/contracts/wire/names.ts';
import { readMissedEvents } from '../../src/db/queries/alerts.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import { MISSED_EVENT } from '../../src/db/queries/missed-sessions.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { LEADER_LOCKS, withLeaderLock } from '../../src/db/queries/reconcile.ts';
import {
  findRunRequest,
  insertRunRequest,
  listAudit,
  takeRunRequest,
} from '../../src/db/queries/requests.ts';
import { saveScheduleState, scheduleStates } from '../../src/db/queries/schedule-state.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { reconcile } from '../../src/reconciler/reconcile.ts';
import { startReconciler } from '../../src/reconciler/start.ts';
import { missedNights, watch, type WatchDeps } from '../../src/reconciler/watchdog.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { bundledMarket } from '../support/bundled-market.ts';
import { openCommandLine } from '../support/command-line.ts';
import { createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';
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

function prepare(): Rig {
  rigs.current.use({ ...createFakes().activities, ...house.runs });
  return rigs.current;
}

const askFor = (requestId: string) =>
  insertRunRequest(house.api.sql, {
    requestId,
    task: 'ingestion',
    sessionDate: '2018-02-07',
    universe: 'tiny',
    force: false,
    trigger: 'manual',
    configHash: null,
    requestedBy: 'Ann',
  });

const tidy = () => reconcile({ client: rigs.current.client, sql: house.database.sql });

describe('the reconciler', () => {
  it('closes the rows of runs that are gone, and no others', async () => {
    const rig = prepare();
    rig.use({ ...createFakes().activities, ...house.runs, planIngestion: () => Context.current().cancelled });
    const lost = await rig.startNight({ universe: 'tiny', sessionDate: '2018-02-07' });
    await rig.startNight({ universe: 'tiny', sessionDate: '2018-02-06' });
    const open = () => listNights(house.database.sql, { open: true });
    await eventually('both run', async () => (await open()).length === 2);
    await eventually(
      'one attempt runs',
      async () => (await listTaskRuns(house.api.sql, { states: ['running'] }))[0],
    );
    await lost.terminate('Ann: it hangs');
    // Rows of the last seconds may still be written by their workflow.
    expect((await tidy()).closed).toEqual([]);
    await house.owner.sql`update ops.nights set started_at = now() - interval '1 minute'`;
    await house.owner.sql`update ops.task_runs set created_at = now() - interval '1 minute'`;
    const { closed } = await tidy();
    expect(closed).toMatchObject([
      { workflowId: lost.workflowId, reason: 'its workflow ended terminated: Ann: it hangs' },
    ]);
    expect((await open()).map((night) => night.sessionDate)).toEqual(['2018-02-06']);
    const tasks = await listTaskRuns(house.api.sql, { sessionDate: '2018-02-07' });
    expect(new Set(tasks.map((run) => run.state))).toEqual(new Set(['failed']));
    expect((await tidy()).closed).toEqual([]);
  });

  it('signals requests again that nobody took', async () => {
    prepare();
    await askFor('lost-signal');
    expect((await tidy()).signalled).toEqual([]);
    await house.owner.sql`update ops.run_requests set requested_at = now() - interval '31 seconds'`;
    expect((await tidy()).signalled).toEqual([{ taskRunId: 'lost-signal', sessionDate: '2018-02-07' }]);
    await eventually('it ran', async () => (await listTaskRuns(house.api.sql, { states: ['succeeded'] }))[0]);
    expect((await tidy()).signalled).toEqual([]);
  });

  it('refuses a request whose run was ended before it was planned, and logs it with its ids', async () => {
    const { client } = rigs.current;
    const { sql } = house.database;
    const [taskRunId, workflowId] = ['ended-early', manualRunWorkflowId('ended-early')];
    await askFor(taskRunId);
    const options = { workflowId, taskQueue: 'nobody', args: [{ taskRunId }] };
    const run = await client.workflow.start('manualRun', options);
    await takeRunRequest(sql, { requestId: taskRunId, workflowId });
    await house.owner.sql`update ops.run_requests set taken_at = now() - interval '1 minute'`;
    expect((await tidy()).refused).toEqual([]);
    await run.terminate('Ann: not now');
    const lines: unknown[] = [];
    const log = (...line: unknown[]): void => void lines.push(line);
    const running = startReconciler({ client, sql, ...bundledMarket, log });
    const refusal = await eventually('it is refused', async () => {
      return (await findRunRequest(sql, taskRunId))?.refusedReason ?? undefined;
    });
    await running.stop();
    expect(refusal).toBe('its workflow ended terminated: Ann: not now');
    expect(lines).toContainEqual([
      'reconciler',
      'WARNING',
      `the run ${taskRunId} ended before it was planned: ${refusal}`,
      { taskRunId, sessionDate: '2018-02-07' },
    ]);
  });

  it('keeps a pause that somebody set in the Web UI', async () => {
    const { client } = rigs.current;
    const file = parseConfigFile(testConfig());
    await applySchedules({ client, sql: house.database.sql, file, by: 'Ann', enable: true });
    await client.schedule.getHandle('nightly').pause('set elsewhere');
    await eventually('it is seen', async () => (await tidy()).schedules.includes('nightly'));
    const [nightly] = await scheduleStates(house.database.sql);
    expect(nightly).toMatchObject({ paused: true, note: 'set elsewhere' });
    expect((await tidy()).schedules).toEqual([]);
  });

  it('acts in one process at a time', async () => {
    const turns: string[] = [];
    const turn = (name: string) =>
      withLeaderLock(house.database.sql, LEADER_LOCKS.reconciler, async () => {
        turns.push(name);
        await new Promise((resolve) => setTimeout(resolve, 200));
      });
    const [first, second] = await Promise.all([turn('a'), turn('b')]);
    expect([first, second].filter((result) => result === null)).toHaveLength(1);
    expect(turns).toHaveLength(1);
  });
});

describe('the watchdog', () => {
  /** As if today were the day after a session of the bundled data. */
  function deps(now: string): WatchDeps {
    return {
      client: rigs.current.client,
      sql: house.database.sql,
      ...bundledMarket,
      now: () => Date.parse(now),
    };
  }
  const enable = async (since: string, paused = false) => {
    await saveScheduleState(house.database.sql, {
      scheduleId: 'nightly',
      paused,
      note: null,
      specHash: null,
    });
    await house.owner.sql`update ops.schedule_state set first_enabled_at = ${since}`;
    // A first plan stores the configuration.
    await rigs.current.night({ universe: 'tiny', sessionDate: '2018-02-04' });
  };

  it('starts only the newest missed night and reports the rest as coalesced', async () => {
    const rig = prepare();
    await enable('2018-01-01T00:00:00Z');
    const now = deps('2018-02-08T08:00:00Z');
    expect((await missedNights(now)).map((night) => night.sessionDate)).toEqual([
      '2018-02-07',
      '2018-02-06',
      '2018-02-05',
    ]);
    const [elsewhere] = await missedNights({ ...now, folderOption: ' --data-dir /srv/night' });
    expect(elsewhere?.command).toBe(
      'nightshift nightly --session 2018-02-07 --universe tiny --data-dir /srv/night',
    );
    const report = await watch(now);
    expect(report.started?.sessionDate).toBe('2018-02-07');
    expect(report.coalesced.map((night) => night.command)).toEqual([
      'nightshift nightly --session 2018-02-06 --universe tiny',
      'nightshift nightly --session 2018-02-05 --universe tiny',
    ]);
    await rig.client.workflow.getHandle(report.started?.workflowId ?? '').result();
    const [night] = await listNights(house.database.sql, { sessionDate: '2018-02-07' });
    expect(night).toMatchObject({ state: 'succeeded', trigger: 'watchdog' });
    // The next turn starts nothing older, and says nothing twice.
    expect(await watch(now)).toEqual({ started: null, coalesced: [] });
    expect(await openEvents(house.database.sql, 'session.missed')).toHaveLength(2);
    // Run by hand it is settled; the other is still named, at every look.
    await rig.night({ universe: 'tiny', sessionDate: '2018-02-06' });
    await watch(now);
    const open = async () =>
      (await openEvents(house.database.sql, MISSED_EVENT)).map(({ sessionDate }) => sessionDate);
    expect(await open()).toEqual(['2018-02-05']);
    const [other] = await missedNights(now);
    expect(other?.sessionDate).toBe('2018-02-05');
    expect(await readMissedEvents(house.database.sql)).toMatchObject([{ nominalMs: other?.nominalMs }]);
    // Nobody wants that one any more: it is left, and not found again.
    const line = await openCommandLine({ urls: house.urls, namespace: rig.namespace });
    const leave = (session: string) =>
      line.run('missed', 'leave', session, '--by', 'Ann', '--why', 'past its use');
    try {
      expect(await leave('2018-02-06')).toEqual({
        code: 2,
        words: 'nightshift: session: 2018-02-06 is not missed; missed: 2018-02-05 (tiny)',
      });
      expect(await leave('2018-02-05')).toEqual({
        code: 0,
        words: '2018-02-05 (tiny) is left: past its use',
      });
    } finally {
      await line.close();
    }
    expect(await watch(now)).toEqual({ started: null, coalesced: [] });
    expect([await open(), await missedNights(now), await readMissedEvents(house.database.sql)]).toEqual([
      [],
      [],
      [],
    ]);
    const act = { actor: 'Ann', action: 'session.leave', why: 'past its use' };
    expect(await listAudit(house.database.sql, { subject: 'tiny 2018-02-05' })).toMatchObject([act]);
  });

  it('starts nothing after the cut-off, while paused, before it was ever enabled', async () => {
    prepare();
    await enable('2018-01-01T00:00:00Z');
    const late = await watch(deps('2018-02-08T11:00:00Z'));
    expect(late.started).toBeNull();
    expect(late.coalesced).toHaveLength(3);
    await house.owner.sql`update ops.schedule_state set first_enabled_at = '2018-02-08T05:00:00Z'`;
    expect(await missedNights(deps('2018-02-08T08:00:00Z'))).toEqual([]);
    await enable('2018-01-01T00:00:00Z', true);
    expect(await missedNights(deps('2018-02-08T08:00:00Z'))).toEqual([]);
  });

  it('promises nothing for the time of a pause, whoever ended it', async () => {
    prepare();
    const { client } = rigs.current;
    const { sql } = house.database;
    const file = parseConfigFile(testConfig());
    await applySchedules({ client, sql, file, by: 'Ann', enable: true });
    await client.schedule.getHandle('nightly').pause('set elsewhere');
    await eventually('the pause is seen', async () => (await tidy()).schedules.includes('nightly'));
    await client.schedule.getHandle('nightly').unpause('gone on');
    await eventually('its end is seen', async () => (await tidy()).schedules.includes('nightly'));
    const acts = await listAudit(sql, { subject: 'nightly' });
    expect(acts.map(({ action, why }) => [action, why])).toEqual([
      ['schedule.unpause', 'gone on'],
      ['schedule.pause', 'set elsewhere'],
      ['schedule.unpause', 'enabled by Ann'],
    ]);
    // As if all that had been in February 2018: on since January, unpaused on Tuesday at noon.
    await house.owner.sql`update ops.schedule_state set first_enabled_at = '2018-01-01T00:00:00Z'`;
    await house.owner.sql`alter table ops.audit disable trigger all`;
    await house.owner.sql`update ops.audit set at = '2018-02-06T17:00:00Z'`;
    const missed = await missedNights(deps('2018-02-08T08:00:00Z'));
    expect(missed.map((night) => night.sessionDate)).toEqual(['2018-02-07', '2018-02-06']);
  });

  it('does not start a night again that failed or was cancelled', async () => {
    const rig = prepare();
    await enable('2018-01-01T00:00:00Z');
    rig.use({ ...createFakes().activities, ...house.runs, planIngestion: () => Context.current().cancelled });
    const handle = await rig.startNight({ universe: 'tiny', sessionDate: '2018-02-07' });
    await eventually('it runs', async () => (await listTaskRuns(house.api.sql, { states: ['running'] }))[0]);
    await handle.cancel();
    await handle.result().catch(() => undefined);
    const missed = await missedNights(deps('2018-02-08T08:00:00Z'));
    expect(missed.map((night) => night.sessionDate)).toEqual(['2018-02-06', '2018-02-05']);
  });

  it('does not start a night again that could not be planned', async () => {
    const rig = prepare();
    await enable('2018-02-07T00:00:00Z');
    const sessions = async (): Promise<never> => {
      throw new RangeError('the calendar file is damaged');
    };
    const runs = createRunActivities({ ...house.deps, sessions });
    rig.use({ ...createFakes().activities, ...runs });
    const now = deps('2018-02-08T08:00:00Z');
    const { started } = await watch(now);
    const handle = rig.client.workflow.getHandle(started?.workflowId ?? '');
    await expect(handle.result()).rejects.toThrow();
    expect(await watch(now)).toEqual({ started: null, coalesced: [] });
  });
});
