import { Context } from '@temporalio/activity';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';
import { storeQuarantine } from '../../src/db/queries/quarantine.ts';
import { revokeApiToken } from '../../src/db/queries/api-tokens.ts';
import { listAudit, reviewsOf } from '../../src/db/queries/requests.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { readBackfill } from '../../src/temporal/backfill.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { QUICK_SETTINGS } from '../support/task-settings.ts';
import {
  type Dashboard,
  openDashboard,
  openRealTasks,
  type RealTasks,
  scriptSizes,
} from './dashboard-scene.ts';
import { useScene } from './scene.ts';
import { DESK, PHONE, visitorOf } from './visitor.ts';

const SESSION = '2018-02-06';
const NEXT = '2018-02-07';
const WAITS = 'Training failed and waits for your decision';
const NIGHT_MS = 480_000;
const MAX_SCRIPT_BYTES = 200_000;
const scenes = useScene({ decisions: true });

let dashboard: Dashboard;
let real: RealTasks;
const page = (): Page => scenes.page;
const { watch, wrong, violations, open, look, logIn, pageWithoutScript, announced } = visitorOf({
  page,
  dashboard: () => dashboard,
  screenshot: scenes.screenshot,
});
/** Days away: a review has to end before the next night begins, at whatever hour this runs. */
const NIGHTS = { hour: 22, minute: 45, day_of_week: String((new Date().getUTCDay() + 2) % 7) };
const CONFIG = testConfig({ nightshift: QUICK_SETTINGS, tasks: { 1: { schedule: NIGHTS } } });

beforeAll(async () => {
  const scene = scenes.current;
  await scene.house.configure(CONFIG);
  real = await openRealTasks(scene.house);
  dashboard = await openDashboard(scene);
});
afterAll(async () => {
  await dashboard?.close();
  await real?.close();
});

describe('the dashboard', () => {
  it('asks for a token, says in words when it is a wrong one, and goes on where one wanted to', async () => {
    watch();
    const { text } = await dashboard.token('operator');
    await open('/history');
    expect(new URL(page().url()).pathname).toBe('/login');
    await page().fill('#token', `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`);
    await page().keyboard.press('Enter');
    await page().getByText('This token is not known, or was revoked.').waitFor();
    await scenes.screenshot('dashboard-login');
    expect(await violations()).toEqual([]);
    expect(wrong()).toMatchObject([expect.stringContaining('401')]);
    await page().fill('#token', text);
    await page().keyboard.press('Enter');
    await page().getByRole('heading', { name: 'History' }).waitFor();
    await look('/', ['No night yet', 'There is no schedule yet'], 'no-night');
    for (const path of ['history', 'signals', 'models', 'backtest', 'drift', 'data']) {
      await open(`/${path}`);
      await page().getByText(/yet$/).first().waitFor();
    }
    expect(wrong()).toEqual([]);
  });

  it(
    'shows a night that was asked for on the page: live, its failure, the decision there, and its end',
    async () => {
      const scene = scenes.current;
      const { house } = scene;
      scene.rig.use(real.activities);
      await house.owner.sql`revoke insert on turbomode.model_versions from nightshift_pipeline`;
      await open('/');
      await page().fill('#session-night', SESSION);
      await page().fill('#why-night', 'the first one');
      await page().getByRole('button', { name: 'Run the night' }).click();
      await page().getByText(`the night of ${SESSION} (tiny) is asked for`).waitFor();
      await announced('training running');
      await page()
        .getByText(/Attempt 1 of 1: \d+ s of at most 2 h/)
        .waitFor();
      await page().locator('#end-night-summary').click();
      await page().fill('#why-end-night', 'typed meanwhile');
      await page()
        .getByRole('button', { name: /^Terminate the night/ })
        .focus();
      await page().getByText('fold fits', { exact: false }).first().waitFor();
      await announced(`night of ${SESSION}: waits for you`);
      expect(await page().inputValue('#why-end-night')).toBe('typed meanwhile');
      expect(await page().evaluate('document.activeElement.value')).toBe('terminate');
      expect(await page().textContent('#live-state')).toBe('live');
      const [start] = await listAudit(house.api.sql, { limit: 1, subject: `nightly/${SESSION}/tiny` });
      expect(start).toMatchObject({ actor: 'the operator', action: 'night.start', why: 'the first one' });

      await look('/', [WAITS, 'permission denied for table model_versions'], 'review');
      await page().emulateMedia({ colorScheme: 'dark' });
      await page().setViewportSize(PHONE);
      await page().getByRole('heading', { name: WAITS }).waitFor();
      await scenes.screenshot('dashboard-review-phone-dark', { fullPage: false });
      const top = await page().getByRole('heading', { name: WAITS }).boundingBox();
      expect(top?.y).toBeLessThan(PHONE.height / 2);
      await page().emulateMedia({ colorScheme: 'light' });
      await page().setViewportSize(DESK);

      const late = await pageWithoutScript();
      await late.goto(dashboard.url);
      await house.owner.sql`grant insert on turbomode.model_versions to nightshift_pipeline`;
      const [waiting] = await listTaskRuns(house.api.sql, { states: ['awaiting_review'] });
      const { taskRunId = '', nightRunId } = waiting ?? {};

      await open('/');
      await page().keyboard.press('Tab');
      expect(await page().evaluate('document.activeElement.textContent.trim()')).toBe('Skip to the content');
      await page().keyboard.press('Enter');
      const focused = async (): Promise<string> => await page().evaluate('document.activeElement.id');
      for (let tabs = 0; tabs < 10 && (await focused()) !== `why-${taskRunId}`; tabs += 1)
        await page().keyboard.press('Tab');
      expect(await focused()).toBe(`why-${taskRunId}`);
      await page().keyboard.type('granted it again');
      await page().keyboard.press('Tab');
      expect(await focused()).toBe(`retry-${taskRunId}`);
      await page().keyboard.press('Enter');
      await page().getByText(`training of ${SESSION}: retry`).waitFor();

      await late.fill(`#why-${taskRunId}`, 'it takes too long');
      await late.click(`#skip-${taskRunId}`);
      await late.getByText('Refused:').waitFor();
      await late.getByText('the operator decided: retry, granted it again').waitFor();
      await late.context().close();
      const decisions = [{ decision: 'retry', decidedBy: 'the operator', why: 'granted it again' }];
      expect(await reviewsOf(house.api.sql, taskRunId)).toMatchObject(decisions);

      await announced(`night of ${SESSION}: succeeded`);
      expect(await page().textContent('#announcer')).toContain('succeeded');
      const [training] = await listTaskRuns(house.api.sql, { task: 'training' });
      expect(training).toMatchObject({ taskRunId, nightRunId, state: 'succeeded', attempts: 2 });
      // What the first attempt had fitted was found again.
      expect(training?.result).toMatchObject({ foldsFitted: 0 });
      expect(wrong()).toEqual([]);
    },
    NIGHT_MS,
  );

  it('shows its results, page by page', async () => {
    const scene = scenes.current;
    await applySchedules({
      client: scene.rig.client,
      sql: scene.house.database.sql,
      file: parseConfigFile(CONFIG),
      by: 'Ann',
      enable: true,
    });
    await eventually('the schedules are read again', async () => {
      await open('/');
      return (await page().getByText('The nightly run').count()) > 0;
    });
    await look('/', ['Last night', 'The nightly run'], 'tonight');
    const [training] = await listTaskRuns(scene.house.api.sql, { task: 'training' });
    await look('/history', ['February 2018', 'Night'], 'history');
    await page()
      .getByRole('link', { name: `training of ${SESSION} succeeded` })
      .click();
    await page().getByText('Steps of the newest attempt').waitFor();
    expect(page().url()).toContain(encodeURIComponent(training?.taskRunId ?? 'none'));
    await look(
      new URL(page().url()).pathname,
      ['Fit fold', 'Attempts, oldest first', 'history of attempt 1', 'Training begins', 'Further entries'],
      'run',
    );
    await page().getByRole('link', { name: 'its night' }).click();
    await look(
      new URL(page().url()).pathname,
      [`Night of ${SESSION}`, 'Temporal Web UI', 'Is done'],
      'night',
    );
    await look('/signals', [`Signals of ${SESSION}`, 'No signal was issued'], 'signals');
    await page().getByRole('link', { name: 'Symbol', exact: true }).click();
    await page().locator('th[aria-sort="ascending"]', { hasText: 'Symbol' }).waitFor();
    const symbols = await page().locator('#signals tbody th').allTextContents();
    expect(symbols).toEqual(symbols.toSorted());
    await page().fill('#find', 'aapl');
    await page().getByText('1 of 8 rows').waitFor();
    await page().getByRole('link', { name: 'AAPL' }).click();
    await look(
      new URL(page().url()).pathname,
      ['adjusted for splits', 'What each model says', 'Features of'],
      'symbol',
    );
    await page().locator('.u-legend').first().waitFor();
    await look('/models', ['Metrics beside the baselines', 'Calibration', 'in use'], 'models');
    await look('/backtest', ['Equity after costs', 'Portfolios'], 'backtest');
    await page().locator('.u-legend').first().waitFor();
    await look('/drift', ['Series by session', 'Numbers of'], 'drift');
    await page().locator('.heat tbody th a').first().click();
    await page().getByText('in each left the baseline').waitFor();
    await look('/data', ['Quarantine', 'Freshness', 'Coverage'], 'data');
    await look('/settings', ['Schedules', 'The next ten times', 'session begin'], 'settings');
    await page().getByRole('link', { name: 'The API' }).click();
    await page().getByText('GET /api/v1/symbols/{symbol}/bars', { exact: true }).click();
    await page().getByText('Parameters of GET /api/v1/symbols/{symbol}/bars').waitFor();
    await page().emulateMedia({ colorScheme: 'dark' });
    expect(await violations()).toEqual([]);
    await page().emulateMedia({ colorScheme: 'light' });
    await look('/docs', ['How to ask', 'POST /scheduler/run_backtest_generator'], 'docs');
    expect(wrong()).toEqual([]);
  });

  it('decides about a row that was held back', async () => {
    const { ingest } = real;
    const raw = [{ open: 10, high: 9, low: 11, close: 10, volume: 1 }];
    const held = { symbol: 'AAPL', sessionDate: '2016-01-04', provider: 'archive', priceBasis: 'asTraded' };
    await ingest.sql.begin(async (tx) => {
      const rows = [
        {
          ...held,
          codes: ['high_below_low'],
          reason: 'high below low',
          raw,
          availableAt: '2018-02-06T23:00:00Z',
        },
      ];
      await storeQuarantine(tx, { rows, taskRunId: 'test' });
    });
    await look('/data', ['High below low', '10 9 11 10 × 1'], 'data-quarantine');
    await page().getByText('Decide about AAPL 2016-01-04').click();
    await page().fill('#why-held-0', 'no exchange says so');
    await page().getByRole('button', { name: 'Reject' }).click();
    await page().getByText('AAPL 2016-01-04, bar: rejected').waitFor();
    await page()
      .getByText(/by the operator, .*: no exchange says so/)
      .waitFor();
    expect(wrong()).toEqual([]);
  });

  it('previews a backfill, begins it with a reason, says how far it is, and cancels it', async () => {
    const scene = scenes.current;
    scene.rig.use({
      ...createFakes().activities,
      ...scene.house.runs,
      planIngestion: () => Context.current().cancelled,
    });
    await open('/settings');
    await page().fill('#backfill-from', SESSION);
    await page().fill('#backfill-to', NEXT);
    await page().getByRole('button', { name: 'Preview' }).click();
    const { pathname, search } = new URL(page().url());
    await look(pathname + search, ['1 night', /a night, the median of 1 earlier session/], 'backfill');
    await page().fill('#why-backfill', 'one is missing');
    await page().getByRole('button', { name: 'Run this night' }).click();
    await page().getByText(`the backfill of ${NEXT} to ${NEXT} (tiny) has begun`).waitFor();
    await eventually('its night runs', async () => {
      await open('/settings');
      return (await page().getByText(`0 of 1, now ${NEXT}`).count()) > 0;
    });
    await page().getByText('Cancel it', { exact: true }).click();
    await page().fill('#why-cancel-backfill', 'enough seen');
    expect(await violations()).toEqual([]);
    await page().getByRole('button', { name: 'Cancel it and the night it is at' }).click();
    await page().getByText('is asked to stop').waitFor();
    await eventually(
      'it has stopped',
      async () => (await readBackfill(scene.rig.client))?.state === 'cancelled',
    );
    expect(wrong()).toEqual([]);
  });

  it('pauses a schedule, with the reason in its note', async () => {
    await open('/');
    await page().locator(`#switch-summary-${SCHEDULE_IDS.nightly}`).click();
    await page().fill(`#why-${SCHEDULE_IDS.nightly}`, 'the exchange tests');
    await page().getByRole('button', { name: 'Pause' }).click();
    await page().getByText('nightly is paused').waitFor();
    await page().getByText('paused by the operator: the exchange tests').first().waitFor();
    const { state } = await scenes.current.rig.client.schedule.getHandle(SCHEDULE_IDS.nightly).describe();
    expect(state).toMatchObject({ paused: true, note: 'paused by the operator: the exchange tests' });
    expect(wrong()).toEqual([]);
  });

  it('shows what a run by hand is at, cancels it with a reason, and retries it', async () => {
    const { house, rig } = scenes.current;
    let runs = 0;
    const planIngestion: AllActivities['planIngestion'] = async () => {
      runs += 1;
      if (runs > 1) return { batches: [], symbols: 0, parallelBatches: 1 };
      Context.current().heartbeat({ phase: 'asking', done: 3, total: 8 });
      return await Context.current().cancelled;
    };
    rig.use({ ...createFakes().activities, ...house.runs, planIngestion });
    await open('/');
    await page().fill('#why-task', 'prices were corrected');
    await page().getByRole('button', { name: 'Run the task' }).click();
    const link = page().getByRole('link', { name: `Ingestion of ${NEXT}` });
    await link.first().click();
    const path = new URL(page().url()).pathname;
    await eventually('its progress is seen', async () => {
      await open(path);
      return (await page().getByText('asking 3 of 8').count()) > 0;
    });
    await look(path, ['Plan of what is missing', 'Asked for by the operator', 'Log'], 'run-pending');
    await page().locator('#end-run-summary').click();
    await page().fill('#why-end-run', 'the wrong session');
    await page().getByRole('button', { name: 'Cancel the run' }).click();
    await page().getByText('the run is asked to stop').waitFor();
    await eventually('it is over', async () => {
      await open(path);
      return (await page().getByRole('button', { name: 'Retry the task' }).count()) > 0;
    });
    await page().fill('#why-retry', 'it was the right one');
    await page().getByRole('button', { name: 'Retry the task' }).click();
    await page().getByText('ingestion is asked for again').waitFor();
    await eventually('the retry has succeeded', async () =>
      (await listTaskRuns(house.api.sql, { task: 'ingestion', limit: 1 })).every(
        ({ state }) => state === 'succeeded',
      ),
    );
    const [asked] = await listAudit(house.api.sql, { subject: decodeURIComponent(path.split('/')[2] ?? '') });
    expect(asked).toMatchObject({ action: 'run.retry', actor: 'the operator', why: 'it was the right one' });
    expect(wrong()).toEqual([]);
  });

  it('shows a viewer no button, and refuses what is sent all the same', async () => {
    await logIn((await dashboard.token('viewer')).text);
    await open('/');
    await page().getByText('Next runs').waitFor();
    expect(await page().getByRole('button').allTextContents()).toHaveLength(2);
    const cookies = await page().context().cookies();
    const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
    expect(cookies).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
    const csrf = await page().inputValue('form[action="/logout"] input[name="csrf"]');
    const post = async (fields: Record<string, string>, headers: Record<string, string>): Promise<number> => {
      const answer = await fetch(`${dashboard.url}/acts/schedule`, {
        method: 'POST',
        redirect: 'manual',
        headers: { cookie, ...headers },
        body: new URLSearchParams({ scheduleId: SCHEDULE_IDS.nightly, verb: 'unpause', why: 'x', ...fields }),
      });
      return answer.status;
    };
    const own = { origin: dashboard.url };
    expect(await post({ csrf }, own)).toBe(403);
    await logIn((await dashboard.token('admin')).text);
    expect(await post({ csrf }, { origin: 'http://127.0.0.1:1' })).toBe(403);
    const read = await page().evaluate(`fetch('/api/v1/nights').then((answer) => answer.status)`);
    expect(read).toBe(200);
    const act = await page().evaluate(
      `fetch('/api/v1/schedules/nightly/unpause', { method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ why: 'x' }) }).then((answer) => answer.status)`,
    );
    expect(act).toBe(403);
    expect(wrong()).toMatchObject([expect.stringContaining('403')]);
  });

  it('ends a login with its token, and with the button', async () => {
    const { tokenId, text } = await dashboard.token('operator');
    await logIn(text);
    await revokeApiToken(scenes.current.house.api.sql, { tokenId, by: 'Ann', why: 'left' });
    await eventually('the login has ended', async () => {
      await open('/data');
      return new URL(page().url()).pathname === '/login';
    });
    await logIn((await dashboard.token('operator')).text);
    await page().getByRole('button', { name: 'Log out' }).click();
    await page().getByRole('heading', { name: 'Log in' }).waitFor();
    await open('/settings');
    expect(new URL(page().url()).pathname).toBe('/login');
    expect(wrong()).toEqual([]);
  });

  it('lets the process stop while a page is live', async () => {
    await logIn((await dashboard.token('viewer')).text);
    await open('/');
    await page().getByText('live', { exact: true }).waitFor();
    const startedAtMs = Date.now();
    await dashboard.close();
    expect(Date.now() - startedAtMs).toBeLessThan(5_000);
    await page().getByText('connection lost, trying again').waitFor();
  });

  it('brings less than 200 KB of script', async () => {
    const sizes = await scriptSizes();
    expect(sizes.length).toBe(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_SCRIPT_BYTES);
  });
});
