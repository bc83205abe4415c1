// Tells a process from a later one with the same pid: for the set-up, and for src/runtime/process-identity.ts.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Start of a running process as the system states it, null where it does not say; undefined: no such process. */
export function startOf(pid) {
  if (!pidExists(pid)) return undefined;
  if (process.platform === 'linux') return startOnLinux(pid);
  if (process.platform === 'win32') return null;
  try {
    const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], options).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Pid and start of a process that runs. */
export function identify(pid) {
  return { pid, startedAt: startOf(pid) };
}

/** True while exactly this process runs. */
export function isRunning({ pid, startedAt }) {
  const start = startOf(pid);
  return start !== undefined && start === startedAt;
}

function pidExists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return error.code === 'EPERM';
  }
}

function startOnLinux(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The name in parentheses may hold spaces: fields are counted from behind it (state is the first).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}
