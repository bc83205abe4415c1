// Step 3: the Temporal server (inside the `temporal` CLI), pinned.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { capture, mustRun, requireDisk, which } from './exec.mjs';
import { cacheFolder, cachedTemporal, projectRoot, TEMPORAL_SERVER_VERSION } from './paths.mjs';
import { readStamp, writeStamp } from './stamp.mjs';
import { SetupError } from './steps.mjs';
import { downloadTemporal } from './temporal-download.mjs';

const moduleFolder = join(projectRoot, 'tools', 'temporal');

/**
 * Path of a usable server, or null when one has to be made: a `temporal` on the PATH if it reports the
 * pinned server version, else the one in the product's cache.
 */
export async function findTemporal() {
  const onPath = which('temporal');
  if (onPath !== null && (await reportsPinnedServer(onPath))) return onPath;
  const cached = cachedTemporal();
  return isExecutable(cached) ? cached : null;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Asks the binary for its version; the answer is remembered by path, size and time of change. */
async function reportsPinnedServer(path) {
  const { size, mtimeMs } = statSync(path);
  const key = `${path}:${size}:${mtimeMs}`;
  const notes = join(cacheFolder(), 'temporal-on-path.json');
  const known = readStamp(notes);
  if (known.key === key) return known.server === TEMPORAL_SERVER_VERSION;
  const server = await serverVersion(path);
  writeStamp(notes, { key, server });
  return server === TEMPORAL_SERVER_VERSION;
}

async function serverVersion(path) {
  const { output } = await capture(path, ['--version']);
  return /Server (\d+\.\d+\.\d+)/.exec(output)?.[1] ?? null;
}

/** Downloads the official release, or builds the pinned module with Go. Resolves to the cached binary. */
export async function installTemporal({ note, signal }) {
  const target = cachedTemporal();
  const temporary = `${target}.${process.pid}.tmp`;
  mkdirSync(dirname(target), { recursive: true });
  removeAbandoned(target);
  const removeTemporary = () => rmSync(temporary, { force: true });
  process.once('exit', removeTemporary);
  try {
    if (process.env.NIGHTSHIFT_TEMPORAL_DOWNLOAD === '0') {
      note('the download is switched off (NIGHTSHIFT_TEMPORAL_DOWNLOAD=0)');
      await buildTemporal({ temporary, note, signal });
    } else {
      await downloadOrBuild({ temporary, note, signal });
    }
    const server = await serverVersion(temporary);
    if (server !== TEMPORAL_SERVER_VERSION) {
      throw new SetupError(`the new temporal reports server ${server}, not ${TEMPORAL_SERVER_VERSION}`, []);
    }
    renameSync(temporary, target);
    return target;
  } finally {
    process.removeListener('exit', removeTemporary);
    removeTemporary();
  }
}

/** Half files (200 MB each) of set-ups that were killed. */
function removeAbandoned(target) {
  for (const name of readdirSync(dirname(target))) {
    const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid !== undefined && !isProcess(Number(pid))) rmSync(join(dirname(target), name), { force: true });
  }
}

function isProcess(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function downloadOrBuild({ temporary, note, signal }) {
  try {
    note('looking for the official download (at most 5 s to connect)');
    await requireDisk(dirname(temporary), 0.6);
    await downloadTemporal({ target: temporary, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    note(`no download: ${error.message}`);
    await buildTemporal({ temporary, note, signal });
  }
}

async function buildTemporal({ temporary, note, signal }) {
  const go = which('go');
  if (go === null) {
    throw new SetupError('Go was not found, so the Temporal server cannot be built', [
      'Install Go 1.21 or newer (https://go.dev/dl),',
      `or put a \`temporal\` with server ${TEMPORAL_SERVER_VERSION} on the PATH, or set TEMPORAL_ADDRESS to a running cluster.`,
    ]);
  }
  const { output } = await capture(go, ['version']);
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(output) ?? [];
  if (Number(major) === 1 && Number(minor) < 21) {
    throw new SetupError(`Go ${major}.${minor} is too old: it cannot fetch the Go version this build needs`, [
      'Install Go 1.21 or newer (https://go.dev/dl).',
    ]);
  }
  await requireDisk(dirname(temporary), 1);
  note('building the Temporal server with Go: 4 to 10 minutes on two cores, once on this machine');
  const args = [
    'build',
    '-trimpath',
    '-ldflags=-s -w',
    '-o',
    temporary,
    'github.com/temporalio/cli/cmd/temporal',
  ];
  await mustRun('go build', go, args, {
    cwd: moduleFolder,
    signal,
    env: {
      // The compiler collects its garbage less often: a fifth of the build's CPU time, no more memory at its peak.
      GOGC: '400',
      ...process.env,
      CGO_ENABLED: '0',
      GOOS: '',
      GOARCH: '',
      GOWORK: 'off',
    },
    advice: (text) => [
      ...(/requires go|toolchain not available|GOTOOLCHAIN/.test(text)
        ? [
            'Go is too old and may not fetch a newer one: unset GOTOOLCHAIN, or install the version named above.',
          ]
        : []),
      ...(/signal: killed|cannot allocate memory/.test(text)
        ? ['The build needs about 3 GB of memory.']
        : []),
    ],
  });
  if (!existsSync(temporary)) throw new SetupError('go build left no binary', []);
}
