import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { type Browser, chromium, type LaunchOptions } from 'playwright-core';

import { cacheFolder } from '../../scripts/lib/paths.mjs';
import { exists } from '../../src/runtime/files.ts';

const run = promisify(execFile);
/** What the package brings besides the browser: fonts, and the libraries a bare machine lacks. */
const PARTS = ['chromium.br', 'fonts.tar.br', 'al2023.tar.br'];

/** Chromium from its npm package, unpacked once per version into the product's cache; returns its folder. */
async function unpackedChromium(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const folder = join(cacheFolder(), 'chromium', version);
  if (await exists(folder)) return folder;
  // It unpacks into the system's temp folder; a process of its own has its own. Whoever is first wins.
  const stage = join(cacheFolder(), 'chromium', `.${version}-${randomBytes(6).toString('hex')}`);
  await mkdir(stage, { recursive: true });
  try {
    const parts = PARTS.map((part) => join(root, 'bin', part));
    const script = `import { inflate } from ${JSON.stringify(pathToFileURL(entry).href)};
      for (const part of ${JSON.stringify(parts)}) await inflate(part);`;
    await run(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: dirname(process.execPath), TMPDIR: stage },
    });
    await rename(stage, folder);
  } catch (error) {
    if (!(await exists(folder))) throw error;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  return folder;
}

/** How to start the browser: NIGHTSHIFT_CHROMIUM, the unpacked one, or the Chrome of this machine. */
async function launchOptions(): Promise<LaunchOptions> {
  // No sandbox: it cannot be had as root, and only our own server's pages are opened.
  const args = ['--no-sandbox', '--disable-background-networking', '--disable-gpu'];
  const named = process.env['NIGHTSHIFT_CHROMIUM'];
  if (named !== undefined && named !== '') return { args, executablePath: named };
  if (process.platform !== 'linux' || process.arch !== 'x64') return { args, channel: 'chrome' };
  const folder = await unpackedChromium();
  const fonts = join(folder, 'fonts.conf');
  if (!(await exists(fonts))) await writeFile(fonts, fontConfiguration(folder));
  return {
    args,
    executablePath: join(folder, 'chromium'),
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      FONTCONFIG_FILE: fonts,
      LD_LIBRARY_PATH: join(folder, 'al2023', 'lib'),
    },
  };
}

function fontConfiguration(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(folder, 'fonts')}</dir>
  <cachedir>${join(folder, 'font-cache')}</cachedir>
</fontconfig>
`;
}

/** A browser without a window. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({ headless: true, ...(await launchOptions()) });
}
