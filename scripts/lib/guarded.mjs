// Starts a program that ends at the latest with this process, kill -9 included.
import { spawn } from 'node:child_process';
import { identify } from './process-start.mjs';

/**
 * A shell around the program, leader of a process group of its own. It reads from a pipe that only we hold open:
 * when we close it or end, the whole group gets SIGTERM, and SIGKILL when the program is gone or after 3 s.
 */
const GUARDIAN = `
trap 'stopped=1' TERM
exec 9<&0
"$@" </dev/null 9<&- &
child=$!
(
  trap : TERM
  read -r line
  PATH=$PATH:/usr/bin:/bin
  kill -s TERM 0
  left=30
  while [ $left -gt 0 ] && kill -0 "$child"; do sleep 0.1; left=$((left - 1)); done
  kill -s KILL 0
) <&9 >/dev/null 2>&1 &
watcher=$!
exec 9<&-
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
[ -n "$stopped" ] && kill -s KILL 0
kill -s KILL "$watcher"
exit "$code"
`;

const running = new Map();
const listeners = new Set();

/** Those that run now, as identities of the leaders of their groups. */
export function guardedProcesses() {
  return [...running.values()];
}

/** Calls `listener` whenever one begins or ends, until the returned function is called. */
export function onGuardedChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Like `spawn`, with both outputs piped; `{ child, stop }`, where `stop` asks the program and all it started to end. */
export function spawnGuarded(command, args, options) {
  if (process.platform === 'win32') {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    return { child, stop: () => child.kill() };
  }
  const child = spawn('/bin/sh', ['-c', GUARDIAN, 'nightshift-set-up', command, ...args], {
    ...options,
    // Ctrl-C in the terminal reaches us alone, and we stop it.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It ended by itself meanwhile.
  child.stdin.on('error', () => undefined);
  if (child.pid !== undefined) {
    running.set(child.pid, identify(child.pid));
    tell();
    child.once('exit', () => {
      running.delete(child.pid);
      tell();
    });
  }
  return { child, stop: () => child.stdin.destroy() };
}

function tell() {
  for (const listener of listeners) listener();
}
