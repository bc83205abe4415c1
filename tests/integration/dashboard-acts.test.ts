import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { API_TIMES } from '../../src/api/deps.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';
import { revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { findNight, listNights, type NightRow } from '../../src/db/queries/nights.ts';
import { listAudit, reviewsOf } from '../../src/db/queries/requests.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { cookieOf, toldBy, usePages, valueOf } from './page-house.ts';
import { S } from './queue-house.ts';
import { deleteSchedules } from '../support/schedules.ts';

const pages = usePages();
const { desk } = pages;
const PROBLEM = 'NumericFailure: folds differ';
const why = 'looked at it';

/** Somebody's login, with what their forms carry. */
async function operator() {
  const cookie = await pages.cookie('operator');
  const csrf = valueOf(await pages.page(cookie, '/'), 'csrf');
  return {
    cookie,
    page: (path: string) => pages.page(cookie, path),
    /** What became of it. */
    act: async (path: string, fields: Record<string, string>) =>
      toldBy(await pages.act(cookie, path, { csrf, why, ...fields })),
  };
}

/** Training fails whenever it is run. */
function prepareFailing(): void {
  desk.prepare({
    registerTraining: () => Promise.reject(ApplicationFailure.nonRetryable('folds differ', 'NumericFailure')),
  });
}

async function waitingRunId(): Promise<string> {
  return await eventually('a run waits for a person', async () => {
    const [row] = await listTaskRuns(desk.house.api.sql, { states: ['awaiting_review'] });
    return row?.taskRunId;
  });
}

/** A night whose training waits for a person, and its run. */
async function waitingNight(): Promise<{ night: NightRow; runId: string }> {
  prepareFailing();
  await desk.rig.startNight({ universe: 'tiny', sessionDate: S });
  const runId = await waitingRunId();
  const [night] = await listNights(desk.house.api.sql);
  if (night === undefined) throw new Error('there is no night');
  return { night, runId };
}

const isClosed = async (night: NightRow): Promise<NightRow | false> => {
  const row = await findNight(desk.house.api.sql, night);
  return row !== null && row.completedAt !== null && row;
};

describe('acts of the pages', () => {
  it.each([
    ['skip', 'partial', null],
    ['abort', 'failed', 'aborted by operator: looked at it'],
  ])('decide %s about a task that waits, which everybody is told', async (decision, state, reason) => {
    const { night, runId } = await waitingNight();
    const { page, act } = await operator();
    expect(await page('/models')).toContain('1 to decide');
    // What the page knows may be a second old.
    const attempts = await eventually(
      'the review is on the page',
      async () => valueOf(await page('/'), 'attempts') || undefined,
    );
    expect(await act('/acts/review', { runId, attempts, decision })).toEqual({
      kind: 'done',
      text: `training of ${S}: ${decision}`,
    });
    const ended = await eventually('its end', () => isClosed(night));
    expect([ended.state, ended.reason]).toEqual([state, reason]);
    const [training] = await listTaskRuns(desk.house.api.sql, { task: 'training' });
    expect(training?.reason).toContain(PROBLEM);
    expect(await reviewsOf(desk.house.api.sql, runId)).toMatchObject([
      { decision, decidedBy: 'operator', why },
    ]);
    expect(await page('/models')).not.toContain('to decide');
  });

  it('cancel a night, and refuse one that is over', async () => {
    const { night } = await waitingNight();
    const { act } = await operator();
    const { runId } = night;
    expect(await act('/acts/night-end', { runId, how: 'cancel' })).toEqual({
      kind: 'done',
      text: `the night of ${S} is asked to stop`,
    });
    expect((await eventually('its end', () => isClosed(night))).state).toBe('cancelled');
    expect(await listAudit(desk.house.api.sql, { subject: night.workflowId })).toMatchObject([
      { action: 'night.cancel', actor: 'operator', why, details: { runId } },
    ]);
    expect(await act('/acts/night-end', { runId, how: 'terminate' })).toEqual({
      kind: 'refused',
      text: `the night of ${S} is over: cancelled`,
    });
  });

  it('terminate a night', async () => {
    const { night } = await waitingNight();
    const { act } = await operator();
    const { workflowId, runId } = night;
    expect(await act('/acts/night-end', { runId, how: 'terminate' })).toMatchObject({
      kind: 'done',
      text: expect.stringContaining('terminated') as unknown,
    });
    const { status } = await desk.rig.client.workflow.getHandle(workflowId, runId).describe();
    expect(status.name).toBe('TERMINATED');
    expect(await listAudit(desk.house.api.sql, { subject: workflowId })).toMatchObject([
      { action: 'night.terminate', actor: 'operator', why, details: { runId } },
    ]);
  });

  it('refuse a task whose needs are not met in the words of the page; forced it runs, and is terminated', async () => {
    prepareFailing();
    await adoptFileAtStart(desk.house.database.sql, { path: desk.house.deps.configPath, named: true });
    const { page, act } = await operator();
    const ask = (more: Record<string, string> = {}) => {
      const key = crypto.randomUUID();
      return act('/acts/task', { task: 'training', sessionDate: S, universe: 'tiny', key, ...more });
    };
    expect(await ask()).toEqual({
      kind: 'refused',
      text: 'ingestion did not succeed for that session; to run it all the same, tick “Also when what it needs did not succeed”',
    });
    expect(await page('/')).toContain('Also when what it needs did not succeed');
    expect(await ask({ force: 'yes' })).toMatchObject({ kind: 'done' });
    const runId = await waitingRunId();
    expect(await page('/')).toContain(`data-announce="training of ${S} waits for your decision`);
    expect(await act('/acts/run-end', { runId, how: 'terminate' })).toMatchObject({ kind: 'done' });
    const [run] = await listTaskRuns(desk.house.api.sql, { task: 'training' });
    const { starterWorkflowId = '', starterRunId } = run ?? {};
    const { status } = await desk.rig.client.workflow.getHandle(starterWorkflowId, starterRunId).describe();
    expect(status.name).toBe('TERMINATED');
  });

  it('unpause a schedule and start it, and say that the schedule asked for what it starts', async () => {
    desk.prepare();
    const { client } = desk.rig;
    const { sql } = desk.house.database;
    const scheduleId = SCHEDULE_IDS.weekly;
    await applySchedules({ client, sql, file: parseConfigFile(testConfig()), by: 'Ann', enable: true });
    const { page, act } = await operator();
    const done = (text: string) => ({ kind: 'done', text });
    await act('/acts/schedule', { scheduleId, verb: 'pause' });
    expect(await act('/acts/schedule', { scheduleId, verb: 'unpause' })).toEqual(
      done(`${scheduleId} is unpaused`),
    );
    const { state } = await client.schedule.getHandle(scheduleId).describe();
    expect(state).toMatchObject({ paused: false, note: expect.stringContaining(why) as unknown });
    const triggered = await act('/acts/schedule', { scheduleId, verb: 'trigger' });
    const { recentActions } = (await client.schedule.getHandle(scheduleId).describe()).info;
    const started = recentActions[0]?.action.workflow.workflowId ?? 'nothing';
    expect(triggered).toEqual(done(`${scheduleId} has started ${started}`));
    const run = await eventually('it has run', async () => {
      const [row] = await listTaskRuns(desk.house.api.sql, { task: 'weeklyMaintenance' });
      return row?.state === 'succeeded' && row;
    });
    expect(await listAudit(desk.house.api.sql, { subject: scheduleId })).toMatchObject([
      { action: 'schedule.trigger', actor: 'operator', why },
      { action: 'schedule.unpause', actor: 'operator', why },
      { action: 'schedule.pause', actor: 'operator', why },
      { action: 'schedule.unpause', actor: 'Ann', why: 'enabled by Ann' },
    ]);
    const html = await page(`/runs/${encodeURIComponent(run.taskRunId)}`);
    expect(html.match(/by (the schedule|hand|null)/g)).toEqual([
      'by the schedule',
      'by the schedule',
      'by the schedule',
    ]);
    await deleteSchedules(client);
  });
});

describe('a live page', () => {
  it('hears within fifteen seconds that its token was revoked, and nothing after it', async () => {
    // A login may be known for two seconds more.
    expect(API_TIMES.beatMs).toBeLessThanOrEqual(13_000);
    pages.restart({ times: { ...API_TIMES, beatMs: 100 } });
    const { tokenId, text } = await pages.token('viewer');
    const cookie = cookieOf(await pages.logIn(text));
    const live = await pages.api.request('/live', { headers: { cookie } });
    const reader = live.body?.pipeThrough(new TextDecoderStream()).getReader();
    let told = '';
    const isTold = async (words: string): Promise<void> => {
      for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
        told += read.value;
        if (told.includes(words)) return;
      }
    };
    await isTold('event: beat');
    await revokeApiToken(desk.house.api.sql, { tokenId, by: 'Ann', why: 'left' });
    await isTold('never said');
    expect(told).toMatch(/^event: board\n.*event: beat\n.*event: over\ndata: \n\n$/s);
  });
});
