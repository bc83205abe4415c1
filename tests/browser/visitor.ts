import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestBrowser } from '../support/browser.ts';
import type { Dashboard } from './dashboard-scene.ts';

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1400, height: 1300 };
/** Of a real night beside other tests: on a slow machine its training took more than a minute. */
const STEP_MS = 150_000;

/** What somebody does at the pages, and what a look at any of them has to find. */
export function visitorOf(parts: {
  page: () => Page;
  dashboard: () => Dashboard;
  screenshot: TestBrowser['screenshot'];
}) {
  const { page, dashboard, screenshot } = parts;
  const errors: string[] = [];

  /** Keeps what goes wrong on the page from here on: errors of scripts, what the policy refused, failed answers. */
  function watch(): void {
    const watched = page();
    watched.on('pageerror', (error) => errors.push(`script: ${error.message}`));
    watched.on('console', (message) => {
      if (message.type() === 'error') errors.push(`console: ${message.text()} ${watched.url()}`);
    });
  }

  /** What went wrong on the pages or behind them since it was asked last. */
  function wrong(): string[] {
    return [...errors.splice(0), ...dashboard().failures.splice(0)];
  }

  /** What axe finds wrong with the page as it is; by all its rules, or by some. */
  async function violations(rules: string[] = []): Promise<string[]> {
    await page().evaluate(axe.source);
    const options = {
      resultTypes: ['violations'],
      ...(rules.length === 0 ? {} : { runOnly: { type: 'rule', values: rules } }),
    };
    const found: { id: string; nodes: { html: string; failureSummary?: string }[] }[] = await page().evaluate(
      `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`,
    );
    return found.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`,
    );
  }

  async function open(path: string): Promise<void> {
    await page().goto(dashboard().url + path);
  }

  /** Opens a page, waits for its words, keeps a picture, looks for what is wrong: also in the dark and on a phone. */
  async function look(path: string, expected: (string | RegExp)[], name: string): Promise<void> {
    await open(path);
    for (const words of expected) await page().getByText(words).first().waitFor();
    await screenshot(`dashboard-${name}`);
    expect(await violations()).toEqual([]);
    await page().emulateMedia({ colorScheme: 'dark' });
    expect(await violations(['color-contrast'])).toEqual([]);
    await page().emulateMedia({ colorScheme: 'light' });
    await page().setViewportSize(PHONE);
    // A chart follows the new width when its observer is told.
    const width = (): Promise<number> => page().evaluate('document.documentElement.scrollWidth');
    await expect.poll(width, { timeout: 5_000 }).toBeLessThanOrEqual(PHONE.width);
    await page().setViewportSize(DESK);
    expect(wrong()).toEqual([]);
  }

  async function logIn(token: string): Promise<void> {
    await page().context().clearCookies();
    await open('/login');
    await page().fill('#token', token);
    await page().keyboard.press('Enter');
    await page().getByRole('button', { name: 'Log out' }).waitFor();
  }

  /** The same login in a browser that runs no script, so that nothing tells it what others do. */
  async function pageWithoutScript(): Promise<Page> {
    const context = page().context();
    const browser = context.browser();
    if (browser === null) throw new Error('the browser has gone');
    const other = await browser.newContext({
      javaScriptEnabled: false,
      storageState: await context.storageState(),
    });
    return await other.newPage();
  }

  /** Waits until the board says this; it is told to screen readers too. */
  async function announced(words: string): Promise<void> {
    const said = page().locator(`[data-announce*="${words}"]`);
    await said.waitFor({ state: 'attached', timeout: STEP_MS });
  }

  return { watch, wrong, violations, open, look, logIn, pageWithoutScript, announced };
}
