import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

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
  if (!pidExists(pid)) return null;
  const startedAt = await startOf(pid);
  return startedAt === undefined ? null : { pid, startedAt, host: hostname() };
}

/** True while exactly this process runs; false after a reboot or when its pid belongs to another by now. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== null && now.startedAt === identity.startedAt;
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** undefined: the process is gone (or a zombie); null: this system does not say. */
async function startOf(pid: number): Promise<string | null | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    if (stat === null) return undefined;
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    // The name in parentheses may hold spaces: fields are counted from behind it (state is the first).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${boot}/${fields[19]}`;
  }
  if (process.platform === 'win32') return null;
  const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? undefined : stdout.trim();
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
