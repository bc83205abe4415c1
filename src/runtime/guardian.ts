import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { childEnv } from './env.ts';
import { identify, type ProcessIdentity } from './process-identity.ts';

/**
 * A shell between us and the child. Postgres, Temporal and most programs cannot watch their parent; the
 * guardian blocks on a pipe that only we hold open: when we end, kill -9 included, the read returns and it
 * stops the child (the polite signal, SIGKILL after the grace). It runs in a process group of its own, and
 * takes the group with it at the end, so that nothing the child started stays behind either.
 * fd 3 carries `pid N` and `exit CODE` to us; the child gets neither fd 3 nor the pipe.
 */
const GUARDIAN = `
signal=$1; grace=$2; shift 2
exec 9<&0
"$@" 3>&- 9<&- </dev/null &
child=$!
echo "pid $child" >&3
(
  while read -r line; do kill -s "$line" "$child" 2>/dev/null; done
  kill -s "$signal" "$child" 2>/dev/null
  left=$((grace * 10))
  while [ $left -gt 0 ] && kill -0 "$child" 2>/dev/null; do sleep 0.1; left=$((left - 1)); done
  kill -s KILL "$child" 2>/dev/null
) <&9 3>&- >/dev/null 2>&1 &
wait "$child"
echo "exit $?" >&3
kill -s KILL 0
`;

export type GuardedOptions = {
  command: string;
  args: string[];
  /** Added to our own environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Runs as this user (only as root). */
  user?: { uid: number; gid: number };
  /** How the child is asked to end, and how long until SIGKILL. */
  stopSignal: 'SIGTERM' | 'SIGINT';
  graceMs: number;
  /** Open file descriptors the child gets as 4, 5, … */
  descriptors?: number[];
  onLine: (line: string, stream: 'stdout' | 'stderr') => void;
};

export type GuardedChild = {
  /** Identity of the child itself (not of its guardian). */
  identity: ProcessIdentity;
  /** Exit code as a shell sees it (128 + signal when killed). Never rejects. */
  exited: Promise<number>;
  /** Asks the child to end and waits for it. */
  stop(): Promise<void>;
  /** Sends the child a signal. */
  signal(signal: NodeJS.Signals): void;
};

/** Starts a program that ends at the latest with this process. Rejects when it cannot be started. */
export async function startGuarded(options: GuardedOptions): Promise<GuardedChild> {
  const shell = process.platform === 'win32' ? spawnDirect(options) : spawnGuardian(options);
  shell.stdin?.on('error', ignore);
  readLines(shell.stdout, (line) => options.onLine(line, 'stdout'));
  readLines(shell.stderr, (line) => options.onLine(line, 'stderr'));
  const report = watchReport(shell);
  const pid = await report.pid;
  const identity = (await identify(pid)) ?? { pid, startedAt: 'ended', host: '' };
  return {
    identity,
    exited: report.exited,
    signal: (signal) => {
      // The guardian understands names without SIG; a closed pipe means that the child is going anyway.
      if (process.platform === 'win32') shell.kill(signal);
      else shell.stdin?.write(`${signal.replace('SIG', '')}\n`);
    },
    stop: async () => {
      if (process.platform === 'win32') shell.kill('SIGTERM');
      shell.stdin?.end();
      await report.exited;
    },
  };
}

function spawnGuardian(options: GuardedOptions): ChildProcess {
  const grace = String(Math.ceil(options.graceMs / 1000));
  const name = options.stopSignal.replace('SIG', '');
  const args = ['-c', GUARDIAN, 'nightshift-guardian', name, grace, options.command, ...options.args];
  return spawn('/bin/sh', args, {
    ...spawnOptions(options),
    ...options.user,
    // A session of its own: Ctrl-C in the terminal reaches us alone, and we stop things in order.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])],
  });
}

/** Windows has neither sh nor process groups: the next start ends what a killed parent left behind. */
function spawnDirect(options: GuardedOptions): ChildProcess {
  return spawn(options.command, options.args, {
    ...spawnOptions(options),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function spawnOptions(options: GuardedOptions): { env: Record<string, string>; cwd?: string } {
  return { env: childEnv(options.env), ...(options.cwd === undefined ? {} : { cwd: options.cwd }) };
}

/** What left the group of a child that ended may hold its pipes for ever. */
const DRAIN_LIMIT_MS = 250;

/** Reads `pid` and `exit` from the guardian; falls back to the guardian's own end. */
function watchReport(shell: ChildProcess): { pid: Promise<number>; exited: Promise<number> } {
  const control = shell.stdio[3];
  let childPid: number | undefined;
  let exitCode: number | undefined;
  let tellPid: (pid: number) => void = ignore;
  let failPid: (error: Error) => void = ignore;
  let tellExit: (code: number) => void = ignore;
  const pid = new Promise<number>((resolve, reject) => {
    tellPid = resolve;
    failPid = reject;
  });
  const exited = new Promise<number>((resolve) => {
    tellExit = resolve;
  });
  if (isReadable(control)) {
    readLines(control, (line) => {
      const [word, value] = line.split(' ');
      if (word === 'pid') tellPid((childPid = Number(value)));
      if (word !== 'exit') return;
      exitCode = Number(value);
      // Its last lines may still be on their way: they are read once the pipes are closed.
      setTimeout(tellExit, DRAIN_LIMIT_MS, exitCode).unref();
    });
  } else {
    shell.once('spawn', () => tellPid(shell.pid ?? 0));
  }
  shell.once('error', failPid);
  shell.once('close', (code) => {
    failPid(new Error('the guardian ended before its child started'));
    // Killed without a report: its child may live on, in the group the guardian leads.
    if (exitCode === undefined && childPid !== undefined && shell.pid !== undefined) killGroup(shell.pid);
    tellExit(exitCode ?? code ?? 137);
  });
  return { pid, exited };
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

/** Calls `onLine` for each line of a stream, also for a last one without its end. */
function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream === null) return;
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
    rest = '';
  });
  stream.on('error', ignore);
}

function isReadable(stream: Readable | Writable | null | undefined): stream is Readable {
  return stream !== null && stream !== undefined && 'read' in stream;
}

function ignore(): void {}
