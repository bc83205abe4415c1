import { Client, Connection } from '@temporalio/client';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_TIMES } from '../../src/api/deps.ts';
import type { Task, TaskState } from '../../src/contracts/wire/names.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { findApiToken, revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { beginAttempt } from '../../src/db/queries/attempts.ts';
import { beat } from '../../src/db/queries/liveness.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import { insertTaskRuns, transitionTaskRuns } from '../../src/db/queries/task-runs.ts';
import { useBrowser } from '../support/browser.ts';
import { testTemporal } from '../support/env.ts';
import { type House, openHouse } from '../support/house.ts';
import { newNight, newTaskRun } from '../support/rows.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { type Dashboard, openDashboard } from './dashboard-scene.ts';
import { DESK, PHONE, visitorOf } from './visitor.ts';

/** Rows of a night that only this file changes: what the pages do when they change is the subject. */
const NIGHT = newNight({ trigger: 'watchdog', universe: 'tiny' });
const SECONDS = { timeout: 20_000 };
const browser = useBrowser();
const page = (): Page => browser.page;

let connection: Connection;
let house: House;
let postgres: TcpProxy;
let behind: Database;
let http: TcpProxy;
let dashboard: Dashboard;
const { watch, wrong, violations, open, logIn } = visitorOf({
  page,
  dashboard: () => dashboard,
  screenshot: browser.screenshot,
});

async function proxyTo(url: URL): Promise<TcpProxy> {
  return await TcpProxy.to({ host: url.hostname, port: Number(url.port) });
}

beforeAll(async () => {
  const { address, namespace } = testTemporal();
  connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  house = await openHouse({ client });
  const url = new URL(house.urls.api);
  postgres = await proxyTo(url);
  url.port = String(postgres.port);
  behind = createDatabase(url.href, { max: 4, connectTimeoutMs: 1_000 });
  const { sql } = behind;
  const served = await openDashboard(
    { house, rig: { client, namespace } },
    {
      sql,
      findToken: (tokenId) => findApiToken(sql, tokenId),
      times: { ...API_TIMES, tokenMs: 0, beatMs: 1_000 },
    },
  );
  http = await proxyTo(new URL(served.url));
  dashboard = { ...served, url: `http://127.0.0.1:${http.port}` };
  await claimNight(house.database.sql, NIGHT);
  await insertTaskRuns(house.database.sql, [
    run('ingestion', []),
    run('training', ['ingestion']),
    run('backtest', ['ingestion']),
    run('overnightScan', ['training']),
  ]);
  // A run by hand, so that there is a table that scrolls.
  await insertTaskRuns(house.database.sql, [newTaskRun({ task: 'ingestion', state: 'failed' })]);
  for (const process of ['worker', 'ml'])
    await beat(house.owner.sql, { process, host: 'desk', pid: 1, maxGapMs: 1_000 });
});
afterAll(async () => {
  await dashboard?.close();
  await http?.close();
  await behind?.close();
  await postgres?.close();
  await house?.close();
  await connection?.close();
});

function run(task: Task, dependsOn: Task[]) {
  const { workflowId, runId, sessionDate, universe } = NIGHT;
  return newTaskRun({
    taskRunId: `${task}-1`,
    nightWorkflowId: workflowId,
    nightRunId: runId,
    starterWorkflowId: workflowId,
    starterRunId: runId,
    trigger: NIGHT.trigger,
    requestedBy: null,
    task,
    sessionDate,
    universe,
    dependsOn,
  });
}

async function change(task: Task, state: TaskState): Promise<void> {
  const { sql } = house.database;
  const taskRunId = `${task}-1`;
  await transitionTaskRuns(sql, [
    { taskRunId, state, reason: state === 'awaiting_review' ? 'folds differ' : null },
  ]);
  if (state === 'running')
    await beginAttempt(sql, { taskRunId, workflowId: `w-${task}`, runId: 'r', attempt: 1 });
}

const state = async (): Promise<string> => (await page().textContent('#live-state')) ?? '';
const becomes = (words: string) => expect.poll(state, SECONDS).toBe(words);
const dot = (): Promise<string> =>
  page().evaluate(`getComputedStyle(document.querySelector('.live-line'), '::before').backgroundColor`);
const told = async (words: string): Promise<void> =>
  page().locator(`[data-announce*="${words}"]`).waitFor({ state: 'attached' });

describe('a live board', () => {
  it('changes under a person who types, holds a button or has scrolled, and takes nothing from them', async () => {
    watch();
    await change('ingestion', 'running');
    await logIn((await dashboard.token('operator')).text);
    await open('/');
    await becomes('live');
    await page().locator('#end-night-summary').click();
    await page().fill('#why-end-night', 'half a reason');
    const cancel = page().getByRole('button', { name: /^Cancel the night What works is asked to stop/ });
    await cancel.focus();
    await page().evaluate(`window.held = [
      ...document.querySelectorAll('#board :is(a, button, input, summary, details, .scroll)')]`);
    await change('ingestion', 'succeeded');
    await change('training', 'running');
    await told('training running');
    expect(await page().evaluate('window.held.filter((node) => !node.isConnected).length')).toBe(0);
    expect(await page().evaluate('window.held.length')).toBeGreaterThan(10);
    expect(await page().evaluate('document.activeElement.value')).toBe('cancel');
    expect(await page().inputValue('#why-end-night')).toBe('half a reason');

    // A press that begins before a change and ends after it.
    await page().locator('.dag a', { hasText: 'Backtest' }).hover();
    await page().mouse.down();
    await change('backtest', 'waiting');
    await page().locator('.dag .node-queued').waitFor();
    await page().mouse.up();
    await page().waitForURL('**/runs/backtest-1');
    expect(wrong()).toEqual([]);
  });

  it('looks like a form where it ends a night, also on a phone', async () => {
    await open('/');
    await becomes('live');
    await page().locator('#end-night-summary').click();
    const choices = page().locator('#end-night .choices');
    const display = `getComputedStyle(document.querySelector('#end-night .choices')).display`;
    expect(await page().evaluate(display)).toBe('grid');
    await browser.screenshot('live-end-night', { fullPage: false });
    expect(await violations()).toEqual([]);
    await page().emulateMedia({ colorScheme: 'dark' });
    expect(await violations(['color-contrast'])).toEqual([]);
    await page().setViewportSize(PHONE);
    await choices.scrollIntoViewIfNeeded();
    await browser.screenshot('live-end-night-phone-dark', { fullPage: false });
    expect(await page().evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width);
    await page().emulateMedia({ colorScheme: 'light' });
    await page().setViewportSize(DESK);
  });

  it('says on every page that a task waits for a decision, while others still run', async () => {
    await house.owner
      .sql`update ops.liveness set beat_at = now() - interval '10 minutes' where process = 'ml'`;
    await open('/');
    await becomes('live');
    expect(await page().title()).toBe('Tonight · Nightshift');
    await change('backtest', 'running');
    await change('training', 'awaiting_review');
    await expect
      .poll(() => page().textContent('#announcer'), SECONDS)
      .toMatch(
        /^training of 2018-02-07 waits for your decision, night of 2018-02-07: running, backtest running/,
      );
    expect(await page().title()).toBe('(1) Tonight · Nightshift');
    await page().getByRole('link', { name: 'Tonight 1 to decide' }).waitFor();
    await page().getByText('No ml runs').waitFor();
    await page().setViewportSize(PHONE);
    const head = page().getByRole('heading', { name: 'Training failed and waits for your decision' });
    const trouble = page().getByText('No ml runs');
    const [above, below] = [await head.boundingBox(), await trouble.boundingBox()];
    expect(above?.y).toBeLessThan(PHONE.height / 2);
    expect(below?.y).toBeGreaterThan(above?.y ?? 0);
    await browser.screenshot('live-review-phone', { fullPage: false });
    await page().setViewportSize(DESK);
    expect(await violations()).toEqual([]);
    // The page's clock goes on where the server has nothing new to send.
    await page().evaluate(`document.querySelector('[data-part="trouble"] [data-ago]').dataset.ago =
      new Date(Date.now() - 7_200_000).toISOString()`);
    await page().getByText('ml was last heard 2 h ago').waitFor();
    await open('/history');
    expect(await page().title()).toBe('(1) History · Nightshift');
    await page().getByRole('link', { name: 'Tonight 1 to decide' }).waitFor();
    await open('/');
    await becomes('live');
    await change('training', 'failed');
    await expect.poll(() => page().title(), SECONDS).toBe('Tonight · Nightshift');
    expect(wrong()).toEqual([]);
  });

  it('says that it is old while Postgres is away, and is live again by itself, on a stream that held or a new one', async () => {
    await open('/');
    await becomes('live');
    const green = await dot();
    await postgres.close();
    await becomes('not up to date: Postgres does not answer');
    expect(await dot()).not.toBe(green);
    // Some beats, each of which asks Postgres whether the login holds.
    await page().waitForTimeout(3_000);
    expect(await state()).toBe('not up to date: Postgres does not answer');
    await postgres.listen();
    await becomes('live');
    expect(await dot()).toBe(green);

    await postgres.close();
    await http.close();
    await becomes('connection lost, trying again');
    await http.listen();
    const refused = await page().waitForResponse((answer) => answer.status() === 503);
    expect(new URL(refused.url()).pathname).toBe('/');
    await postgres.listen();
    await becomes('live');
    await change('backtest', 'succeeded');
    await told('3 of 4 tasks over');
    expect(wrong().filter((words) => !/ERR_|503|chunked/.test(words))).toEqual([]);
  });

  it('opens its stream anew where the server has fallen silent on it', async () => {
    await page().route('**/live', () => undefined);
    await page().clock.install();
    await open('/');
    await page().clock.fastForward(41_000);
    await becomes('connection lost, trying again');
    await page().unroute('**/live');
    await becomes('live');
    wrong();
  });

  it('brings back a page that could not be drawn, with what was asked for', async () => {
    await postgres.close();
    await open('/history?universe=tiny');
    await page().getByText('This page comes back by itself.').waitFor();
    const again = page().getByRole('link', { name: 'Try again' });
    expect(await again.getAttribute('href')).toBe('/history?universe=tiny');
    await postgres.listen();
    await page().getByRole('heading', { name: 'History' }).waitFor();
    expect(page().url()).toContain('universe=tiny');
    wrong();
  });

  it('says that its login has ended, and does not ask for ever', async () => {
    const { tokenId, text } = await dashboard.token('viewer');
    await logIn(text);
    await open('/');
    await becomes('live');
    await revokeApiToken(house.api.sql, { tokenId, by: 'Ann', why: 'left' });
    await becomes('not live: you are not logged in any more');
    const asked: string[] = [];
    page().on('request', (request) => asked.push(request.url()));
    await setNightState(house.database.sql, { ...NIGHT, state: 'partial', reason: null });
    await page().waitForTimeout(3_000);
    expect(asked).toEqual([]);
    expect(await page().locator('[data-announce]').getAttribute('data-announce')).toContain(': running');
    expect(wrong()).toEqual([]);
  });
});
