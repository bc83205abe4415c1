import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFailed } from 'vitest';

import { projectRoot } from '../../scripts/lib/paths.mjs';
import { launchChromium } from './chromium.ts';

const SCREENSHOTS = join(projectRoot, 'test-artifacts', 'screenshots');
const VIEWPORT = { width: 1400, height: 1300 };
/** A page of the Web UI on two busy cores; on quiet ones it needs well under a second. */
const PAGE_MS = 60_000;
export type TestBrowser = {
  /** A tab of this test run; closed with the browser. */
  readonly page: Page;
  /** Writes `test-artifacts/screenshots/<name>.png` of the whole page, or of what is in sight. */
  screenshot: (name: string, options?: { fullPage: boolean }) => Promise<void>;
};

/** A browser for all tests of a file. A failing test leaves a screenshot of what it saw. */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined;
  let context: BrowserContext | undefined;
  let page: Page | undefined;
  beforeAll(async () => {
    browser = await launchChromium();
    context = await browser.newContext({
      viewport: VIEWPORT,
      timezoneId: 'UTC',
      locale: 'en-US',
      // What spins is drawn by the processor here.
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(PAGE_MS);
    page = await context.newPage();
  });
  afterAll(async () => browser?.close());
  const screenshot = async (name: string, { fullPage } = { fullPage: true }): Promise<void> => {
    await mkdir(SCREENSHOTS, { recursive: true });
    await page?.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage });
  };
  return {
    get page() {
      if (page === undefined) throw new Error('the browser starts before the first test');
      onTestFailed(async ({ task }) => screenshot(`failed-${task.name.replaceAll(/\W+/g, '-')}`));
      return page;
    },
    screenshot,
  };
}
