// Pictures of the pages for docs/screenshots, of an instance that runs: npx -y tsx scripts/screenshots.ts URL DATA_DIR
// [NAME…]. They show what its nights have left. That of a review is made by tests/browser/dashboard.test.ts.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launchChromium } from '../tests/support/chromium.ts';
import { projectRoot } from './lib/paths.mjs';

const FOLDER = join(projectRoot, 'docs', 'screenshots');
const DESK = { width: 1200, height: 800 };

/** `from`: what is scrolled to, where it is not the top. */
type Picture = { path: string; from?: string; dark?: boolean };
const PICTURES: Record<string, Picture> = {
  tonight: { path: '/' },
  symbol: { path: '/symbols/AAPL', from: 'h2:text("Price")' },
  models: { path: '/models', from: 'h2:text("Metrics beside the baselines")' },
  backtest: { path: '/backtest', dark: true },
  drift: { path: '/drift?feature=volumeRatio1to21' },
};

const [url, dataDir, ...wanted] = process.argv.slice(2);
if (url === undefined || dataDir === undefined) throw new Error('screenshots.ts URL DATA_DIR [NAME…]');
const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
const browser = await launchChromium();
try {
  await mkdir(FOLDER, { recursive: true });
  const context = await browser.newContext({
    viewport: DESK,
    reducedMotion: 'reduce',
    locale: 'en-US',
    timezoneId: 'UTC',
  });
  const page = await context.newPage();
  await page.goto(`${url}/login`);
  await page.fill('#token', token);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Log out' }).waitFor();
  for (const [name, { path, from, dark = false }] of Object.entries(PICTURES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    await page.goto(url + path, { waitUntil: 'load' });
    if (from !== undefined)
      await page.locator(from).evaluate((heading) => heading.parentElement?.scrollIntoView());
    // The first second of Tonight says that it is about to be live.
    if (path === '/') await page.getByText('live', { exact: true }).waitFor();
    await page.screenshot({ path: join(FOLDER, `${name}.png`) });
  }
} finally {
  await browser.close();
}
