import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { startOf } from '../../scripts/lib/process-start.mjs';

const run = promisify(execFile);

/** A process that can be told from a later one with the same pid. */
export type ProcessIdentity = {
  pid: number;
  /** Start of the process as the system states it, with the boot it belongs to; null where unknown (Windows). */
  startedAt: string | null;
  host: string;
};

/** Identity of a running process; null when no such process runs. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  const startedAt = startOf(pid);
  return startedAt === undefined ? null : { pid, startedAt, host: hostname() };
}

/** True while exactly this process runs; false after a reboot or when its pid belongs to another by now. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== null && now.startedAt === identity.startedAt;
}

/** The command line of a process, for messages; null when it cannot be read. */
export async function commandOf(pid: number): Promise<string | null> {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const words = raw.split('\0').filter((word) => word !== '');
    return words.length === 0 ? null : words.join(' ');
  }
  if (process.platform === 'win32') return null;
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? null : stdout.trim();
}

/** Waits until the process is gone. False when it still runs after `timeoutMs`. */
export async function waitUntilGone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (await isRunning(identity)) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

/** Ends a process: the polite signal first, SIGKILL when it does not go within `graceMs`. */
export async function endProcess(input: {
  identity: ProcessIdentity;
  signal: NodeJS.Signals;
  graceMs: number;
}): Promise<void> {
  const { identity, signal, graceMs } = input;
  for (const next of [signal, 'SIGKILL'] as const) {
    if (!(await isRunning(identity))) return;
    try {
      process.kill(identity.pid, next);
    } catch {
      // It ended between the look and the signal.
    }
    if (await waitUntilGone(identity, graceMs)) return;
  }
  throw new Error(`process ${identity.pid} could not be ended`);
}
