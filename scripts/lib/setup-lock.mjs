// One set-up at a time: two commands started together would install into the same folders.
import { randomUUID } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimes,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { guardedProcesses, onGuardedChange } from './guarded.mjs';
import { cacheFolder, projectRoot } from './paths.mjs';
import { identify, isRunning } from './process-start.mjs';
import { hashOf } from './stamp.mjs';

/** The holder touches its lock this often: so those on other hosts (containers with one cache) see that it lives. */
const TOUCH_MS = 5000;
const FOREIGN_STALE_MS = 30_000;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** The lock of the set-up of this project. */
function setupLockPath() {
  return join(cacheFolder(), `setup-${hashOf(projectRoot).slice(0, 16)}.lock`);
}

/**
 * Runs `work(signal)` while holding the set-up lock of this project; waits for another set-up to end first. Ctrl-C,
 * SIGTERM and SIGHUP abort `signal`; when `work` is over, what is thrown then has the `exitCode` of that.
 */
export async function withSetupLock(work) {
  const path = setupLockPath();
  mkdirSync(dirname(path), { recursive: true });
  await acquire(path);
  const lock = hold(path);
  const abort = new AbortController();
  let exitCode;
  const handlers = Object.entries(SIGNALS).map(([name, number]) => {
    const handler = () => {
      exitCode ??= 128 + number;
      abort.abort();
    };
    // Once: who sends it again does not want to wait.
    process.once(name, handler);
    return [name, handler];
  });
  try {
    const result = await work(abort.signal);
    if (exitCode !== undefined) throw new Error('set-up was interrupted');
    return result;
  } catch (error) {
    if (exitCode === undefined) throw error;
    process.stderr.write('set-up was interrupted: what it had started is stopped\n');
    throw Object.assign(new Error('set-up was interrupted', { cause: error }), { exitCode, printed: true });
  } finally {
    for (const [name, handler] of handlers) process.removeListener(name, handler);
    lock.release();
  }
}

async function acquire(path) {
  for (let told = false; !createWhole(path, contentOf()); ) {
    const text = readOrNull(path);
    if (text === null) continue;
    if (!isHeld(path, text)) {
      removeStale(path, text);
      continue;
    }
    if (!told) {
      const { pid, host } = JSON.parse(text);
      const where = host === hostname() ? '' : ` on ${host}`;
      process.stderr.write(
        `another set-up of this folder is running (pid ${pid}${where}), waiting for it (lock: ${path})\n`,
      );
      told = true;
    }
    await sleep(500);
  }
}

/** Keeps the lock true while work is done: which processes of ours run, and that we live. */
function hold(path) {
  const write = () => {
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, contentOf());
      renameSync(temporary, path);
    } catch {
      // A full disk: the step that filled it says so, and the lock as it is still names us.
      rmSync(temporary, { force: true });
    }
  };
  const stopListening = onGuardedChange(write);
  const touch = setInterval(() => utimes(path, new Date(), new Date(), () => undefined), TOUCH_MS);
  touch.unref();
  const release = () => {
    clearInterval(touch);
    stopListening();
    process.removeListener('exit', release);
    // With something of ours still running it stays, and counts as held until that is gone.
    if (guardedProcesses().length > 0) return;
    if (parse(readOrNull(path))?.pid === process.pid) rmSync(path, { force: true });
  };
  process.once('exit', release);
  return { release };
}

const contentOf = () =>
  JSON.stringify({ ...identify(process.pid), host: hostname(), children: guardedProcesses() });

/** While the holder lives, or something it had started: a killed set-up takes seconds to be gone altogether. */
function isHeld(path, text) {
  const holder = parse(text);
  if (holder === null) return false;
  if (holder.host === hostname()) return [holder, ...holder.children].some(isRunning);
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && Date.now() - found.mtimeMs < FOREIGN_STALE_MS;
}

/** Null for what is no lock of ours (a bare pid of an older version, a damaged file). */
function parse(text) {
  try {
    const { pid, startedAt, host, children } = JSON.parse(text);
    return Number.isInteger(pid) && Array.isArray(children) ? { pid, startedAt, host, children } : null;
  } catch {
    return null;
  }
}

/**
 * Removes the lock that was judged stale by its content. Of two that do, the second may find the new lock of the
 * first: it is taken away under a name of its own, looked at, and put back unless it is the judged one.
 */
export function removeStale(path, judged) {
  const taken = `${path}.${process.pid}.${randomUUID()}.taken`;
  try {
    // A look first: between this and the rename there is hardly any time.
    if (readOrNull(path) !== judged) return;
    renameSync(path, taken);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  try {
    if (readFileSync(taken, 'utf8') !== judged) linkSync(taken, path);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(taken, { force: true });
  }
}

function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Creates a file with its content in one step; false when it exists. */
function createWhole(path, content) {
  const temporary = `${path}.${process.pid}.${randomUUID()}.tmp`;
  writeFileSync(temporary, content);
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}
