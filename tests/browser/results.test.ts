import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { storeQuarantine } from '../../src/db/queries/quarantine.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { temporalAway } from '../support/api-away.ts';
import { createFakes } from '../support/fakes.ts';
import { testConfig } from '../support/house.ts';
import { FLAG, LAST, putResults, putUniverse } from '../support/page-rows.ts';
import { type Dashboard, openDashboard } from './dashboard-scene.ts';
import { useScene } from './scene.ts';
import { DESK, PHONE, visitorOf } from './visitor.ts';

const scenes = useScene({ decisions: true });
let dashboard: Dashboard;
let ingest: Database;
const page = (): Page => scenes.page;
const { watch, wrong, violations, open, look, logIn } = visitorOf({
  page,
  dashboard: () => dashboard,
  screenshot: scenes.screenshot,
});

beforeAll(async () => {
  const { house, rig } = scenes.current;
  await putResults(house.owner.sql);
  await putUniverse(house.owner.sql, { universe: 'tiny', members: ['AAPL', 'MSFT'], sessions: [LAST] });
  dashboard = await openDashboard(scenes.current);
  ingest = createDatabase(house.urls.ingest, { max: 2 });
  const sessions = house.deps.sessions;
  const decisions = createDecisionActivities({
    db: ingest,
    sessions,
    clock: () => new Date('2018-02-08T05:00:00Z'),
  });
  rig.use({ ...createFakes().activities, ...house.runs, ...decisions });
});
afterAll(async () => {
  await dashboard?.close();
  await ingest?.close();
});

/** The page is as it should be in the dark and on a phone too, without what is looked for on every page. */
async function darkAndSmall(): Promise<void> {
  await page().emulateMedia({ colorScheme: 'dark' });
  await page().setViewportSize(PHONE);
  expect(await violations()).toEqual([]);
  expect(await page().evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width);
  await page().emulateMedia({ colorScheme: 'light' });
  await page().setViewportSize(DESK);
}

describe('the pages of results', () => {
  it('log in and say what went wrong in the dark and on a phone as well', async () => {
    watch();
    await open('/login');
    await page().getByRole('heading', { name: 'Log in' }).waitFor();
    await darkAndSmall();
    await logIn((await dashboard.token('admin')).text);
    await open('/runs/nothing');
    await page().getByText('there is no such run').waitFor();
    expect(await violations()).toEqual([]);
    await darkAndSmall();
    await open('/backtest?session=2017-07-04&universe=tiny');
    await page()
      .getByRole('link', { name: `The newest: ${LAST}` })
      .waitFor();
    await darkAndSmall();
    expect(wrong().every((line) => line.includes('404'))).toBe(true);
    await page()
      .getByRole('link', { name: `The newest: ${LAST}` })
      .click();
    await page()
      .getByRole('heading', { name: `Backtest of ${LAST}` })
      .waitFor();
    expect(wrong()).toEqual([]);
  });

  it('show every entry of the navigation, at a desk in one line', async () => {
    for (const size of [DESK, PHONE]) {
      await page().setViewportSize(size);
      const boxes = await Promise.all(
        (await page().locator('.top nav a').all()).map(async (link) => await link.boundingBox()),
      );
      expect(boxes).toHaveLength(8);
      for (const box of boxes) expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(size.width);
      if (size === DESK) expect(new Set(boxes.map((box) => box?.y)).size).toBe(1);
      else await scenes.screenshot('dashboard-navigation-phone', { fullPage: false });
    }
    await page().setViewportSize(DESK);
  });

  it('tell what a chart shows to keyboard and screen reader', async () => {
    await open(`/backtest?session=${LAST}&universe=tiny`);
    await page().locator('.u-legend').waitFor();
    const value = page().locator('.u-legend .u-value');
    const told = page().locator('figure.chart [role="status"]');
    await page().locator('.plot').focus();
    await page().keyboard.press('ArrowRight');
    expect(await value.allTextContents()).toEqual([LAST, '1.079', '1.158']);
    await page().keyboard.press('ArrowLeft');
    await page().keyboard.press('ArrowLeft');
    expect(await told.textContent()).toMatch(/2018-02-02, mean logit.* 1\.077, equal weight.* 1\.154/);
    await page().keyboard.press('Home');
    expect((await value.allTextContents()).slice(1)).toEqual(['1', '1']);
    await page().keyboard.press('End');
    await page().keyboard.press('+');
    await page().keyboard.press('Home');
    // Half of it is in sight: that is where the cursor stops.
    const [first = ''] = await value.allTextContents();
    expect(first > '2017-11-01' && first < LAST).toBe(true);
    await page().keyboard.press('-');
    await page().keyboard.press('Home');
    expect((await value.allTextContents()).slice(1)).toEqual(['1', '1']);
    await page().getByText('Numbers', { exact: false }).first().click();
    await page().getByText('the last 63 of 80 sessions').waitFor();
    await scenes.screenshot('dashboard-chart-numbers');
    expect(await violations()).toEqual([]);
    expect(wrong()).toEqual([]);
  });

  it('look for the same signals with a script as without one, and go on doing so when sorted', async () => {
    await open('/signals?universe=tiny&find=aapl');
    const shown = async (): Promise<string[]> =>
      await page().locator('#signals tbody tr:not([hidden]) th').allTextContents();
    expect(await shown()).toEqual(['AAPL']);
    await page().fill('#find', 'MSFT');
    await page().getByText('1 of 3 rows').waitFor();
    expect(await shown()).toEqual(['MSFT']);
    await page().fill('#find', '0.5');
    await page().getByText('0 of 3 rows').waitFor();
    await page().fill('#find', 'Technology');
    await page().getByText('2 of 3 rows').waitFor();
    await page().getByRole('link', { name: 'Symbol', exact: true }).click();
    await page().locator('th[aria-sort="ascending"]', { hasText: 'Symbol' }).waitFor();
    expect([await shown(), await page().inputValue('#find')]).toEqual([['AAPL', 'MSFT'], 'Technology']);
    expect(wrong()).toEqual([]);
  });

  it('draw months of nights, a flag, a model', async () => {
    await look('/history?universe=tiny', ['July 2017', 'earlier'], 'history-months');
    await look(`/drift?session=${FLAG.raised}&universe=tiny`, ['Retraining may be due'], 'drift-flag');
    await look('/models?universe=tiny', ['from session 2018-02-05 on', 'Share of the mean'], 'models-rows');
    const curve = page().locator('svg.square');
    expect(await curve.getAttribute('role')).toBe('img');
    expect(await curve.locator('.dot').count()).toBe(2);
  });
});

describe('what people do at them', () => {
  it('makes a bar of a row that was held back', async () => {
    const { sql } = ingest;
    const raw = [
      { open: 10, high: 9, low: 11, close: 10, volume: 1 },
      { open: 10, high: 11, low: 9, close: 10.5, volume: 7 },
    ];
    const row = {
      symbol: 'AAPL',
      sessionDate: '2018-02-05',
      provider: 'archive',
      priceBasis: 'asTraded',
      raw,
    };
    const held = { ...row, codes: ['duplicate'], reason: 'two rows', availableAt: '2018-02-05T23:00:00Z' };
    await sql.begin((tx) => storeQuarantine(tx, { rows: [held], taskRunId: 'test' }));
    await open('/data?universe=tiny');
    await page().getByText('Decide about AAPL 2018-02-05').click();
    await page().selectOption('#row-0', '2');
    await page().fill('#why-held-0', 'the second is the exchange’s');
    await page().getByRole('button', { name: 'Release' }).click();
    await page().getByText('AAPL 2018-02-05, bar: released').waitFor();
    await page()
      .getByText(/by the admin, .*: the second is the exchange’s/)
      .waitFor();
    const bars = await sql`
      select high, volume from market.bars where symbol = 'AAPL' and session_date = '2018-02-05'`;
    expect(bars).toEqual([{ high: 11, volume: 7 }]);
    expect(wrong()).toEqual([]);
  });

  it('revokes a token, and shows times here, tokens and the configuration in force', async () => {
    const { house, rig } = scenes.current;
    const file = parseConfigFile(testConfig());
    await applySchedules({ client: rig.client, sql: house.database.sql, file, by: 'Ann', enable: true });
    const { tokenId, text } = await dashboard.token('viewer');
    await open('/settings');
    // The browser is in UTC, the exchange five hours behind it in winter and four in summer.
    const local = page()
      .locator('td time')
      .filter({ hasText: /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), / });
    expect(await local.first().textContent()).toMatch(/, 20\d\d, 0[23]:45 AM UTC$/);
    expect(await local.count()).toBe(20);
    const row = page().getByRole('row').filter({ hasText: tokenId }).first();
    expect(await row.textContent()).toMatch(/the viewer\s*viewer.*Ann/);
    await page().getByText('Settle delay minutes').waitFor();
    await row.getByText('Revoke', { exact: false }).first().click();
    await row.getByLabel('Reason').fill('left the desk');
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page().getByText(`the token ${tokenId} is revoked`).waitFor();
    await page()
      .getByText(/revoked by the admin|by the admin,/)
      .first()
      .waitFor();
    expect(await listAudit(house.api.sql, { subject: tokenId, limit: 1 })).toMatchObject([
      { action: 'token.revoke', actor: 'the admin', why: 'left the desk' },
    ]);
    const ask = async () =>
      (await fetch(`${dashboard.url}/api/v1/nights`, { headers: { authorization: `Bearer ${text}` } }))
        .status;
    await expect.poll(ask, { timeout: 5_000 }).toBe(401);
    expect(wrong()).toEqual([]);
  });
});

it('the pages show what the rows know while Temporal does not answer', async () => {
  const temporal = temporalAway();
  const away = await openDashboard(scenes.current, { client: temporal.client });
  const { url } = dashboard;
  try {
    await page().goto(`${away.url}/login`);
    await page().fill('#token', (await dashboard.token('operator')).text);
    await page().keyboard.press('Enter');
    await page().getByText('Temporal does not answer', { exact: true }).waitFor();
    expect(await violations()).toEqual([]);
    await darkAndSmall();
    await page().goto(`${away.url}/signals?universe=tiny`);
    await page()
      .getByRole('heading', { name: `Signals of ${LAST}` })
      .waitFor();
  } finally {
    await page().goto(`${url}/login`);
    await away.close();
    await temporal.close();
  }
});
