// Step 1: node_modules from the lockfile.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, mustRun, requireDisk, which } from './exec.mjs';
import { requireGlibc } from './libc.mjs';
import { projectRoot } from './paths.mjs';
import { hashOf, readStamp, writeStamp } from './stamp.mjs';

const lockPath = join(projectRoot, 'package-lock.json');
const stampPath = join(projectRoot, 'node_modules', '.nightshift-setup.json');

/** What compiled parts are made for: system, processor, ABI of Node. */
const target = () => `${process.platform}-${process.arch}-${process.versions.modules}`;
const wanted = () => hashOf(readFileSync(lockPath), process.platform, process.arch, process.versions.modules);

/** True when node_modules was made from this lockfile, by set-up or by npm itself. */
export function nodePackagesReady() {
  const hash = wanted();
  if (readStamp(stampPath).hash === hash) return true;
  if (!npmInstalledSameVersions()) return false;
  writeStamp(stampPath, { hash, target: target() });
  return true;
}

/**
 * npm's own record of what is installed; it lets a developer's `npm install x` stand without `npm ci`. Only of what was
 * installed for this system: the packages of another one are optional, so that they are missing tells nothing.
 */
function npmInstalledSameVersions() {
  if (readStamp(stampPath).target !== target()) return false;
  const installed = readStamp(join(projectRoot, 'node_modules', '.package-lock.json')).packages ?? {};
  const { packages } = JSON.parse(readFileSync(lockPath, 'utf8'));
  return Object.entries(packages).every(
    ([path, { version, optional, integrity }]) =>
      path === '' ||
      (installed[path] === undefined
        ? optional === true
        : installed[path].version === version && installed[path].integrity === integrity),
  );
}

/** Node's own description of this process; null where it was built without. */
function reportHeader() {
  if (process.report === undefined) return null;
  process.report.excludeNetwork = true;
  return process.report.getReport().header ?? null;
}

/** npm ci. The npm that started us is used when there is one. */
export async function installNodePackages({ signal }) {
  if (process.platform === 'linux') {
    const header = reportHeader();
    const loader = header === null ? (await capture('ldd', ['--version'])).output : '';
    requireGlibc({ platform: process.platform, header, loader });
  }
  await requireDisk(projectRoot, 1.5);
  const npmScript = process.env.npm_execpath;
  const [command, prefix] = npmScript?.endsWith('npm-cli.js')
    ? [process.execPath, [npmScript]]
    : [which('npm') ?? 'npm', []];
  await mustRun('npm ci', command, [...prefix, 'ci', '--no-audit', '--no-fund'], {
    cwd: projectRoot,
    signal,
    shell: process.platform === 'win32' && prefix.length === 0,
    advice: (output) => [
      ...(/can only install|not in sync|Missing:/.test(output)
        ? ['package.json and package-lock.json disagree: run `npm install` and commit the lockfile.']
        : []),
      ...(/npm: (command )?not found|ENOENT.*npm/.test(output)
        ? ['npm was not found: it comes with Node.js.']
        : []),
    ],
  });
  writeStamp(stampPath, { hash: wanted(), target: target() });
}
