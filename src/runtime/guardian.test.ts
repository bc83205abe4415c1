import { describe, expect, it, vi } from 'vitest';
import { startGuarded } from './guardian.ts';
import { identify, isRunning } from './process-identity.ts';
import { Supervised, type SupervisedSpec } from './supervisor.ts';

const base = { stopSignal: 'SIGTERM', graceMs: 1000, onLine: () => undefined } as const;
const shell = (script: string) => ({ ...base, command: '/bin/sh', args: ['-c', script] });

describe('guardian', () => {
  it('reports the exit code and every line, the last one without its end too', async () => {
    const lines: string[] = [];
    const options = shell('echo one; echo two >&2; printf three; exit 7');
    const child = await startGuarded({
      ...options,
      onLine: (line, stream) => lines.push(`${stream} ${line}`),
    });
    expect(await child.exited).toBe(7);
    await vi.waitFor(() => expect(lines.sort()).toEqual(['stderr two', 'stdout one', 'stdout three']));
  });

  it('passes arguments and environment through as they are', async () => {
    const lines: string[] = [];
    const child = await startGuarded({
      ...base,
      command: process.execPath,
      args: [
        '-p',
        'JSON.stringify([process.argv.slice(1), process.env.A, process.env.HOME])',
        '--',
        'a b',
        '$x "y"',
      ],
      env: { A: "it's", HOME: undefined },
      onLine: (line) => lines.push(line),
    });
    await child.exited;
    await vi.waitFor(() => expect(lines).toEqual([JSON.stringify([['a b', '$x "y"'], "it's", undefined])]));
  });

  it('asks the child to end with its signal', async () => {
    const lines: string[] = [];
    const script = 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
    const child = await startGuarded({ ...shell(script), onLine: (line) => lines.push(line) });
    await vi.waitFor(() => expect(lines).toContain('ready'), { timeout: 10_000 });
    await child.stop();
    expect(await child.exited).toBe(3);
    await vi.waitFor(() => expect(lines).toContain('asked'), { timeout: 10_000 });
  });

  it('kills a child that does not listen, after its grace', async () => {
    const lines: string[] = [];
    const script = 'trap "" TERM; echo deaf; while :; do sleep 0.05; done';
    const child = await startGuarded({ ...shell(script), onLine: (line) => lines.push(line) });
    // Before that it would still obey.
    await vi.waitFor(() => expect(lines).toContain('deaf'), { timeout: 10_000 });
    const startedAt = Date.now();
    await child.stop();
    expect(await child.exited).toBe(137);
    expect(Date.now() - startedAt).toBeGreaterThan(800);
    expect(await isRunning(child.identity)).toBe(false);
  });

  it('takes what the child started with it', async () => {
    const lines: string[] = [];
    const child = await startGuarded({
      ...shell('sleep 300 & echo $!; exit 0'),
      onLine: (line) => lines.push(line),
    });
    await child.exited;
    await vi.waitFor(() => expect(lines).toHaveLength(1), { timeout: 10_000 });
    await vi.waitFor(async () => expect(await identify(Number(lines[0]))).toBeNull(), { timeout: 10_000 });
  });

  it('says when a program cannot be started', async () => {
    const lines: string[] = [];
    const child = await startGuarded({
      ...base,
      command: '/no/such/program',
      args: [],
      onLine: (line) => lines.push(line),
    });
    expect(await child.exited).toBe(127);
    await vi.waitFor(() => expect(lines.join()).toContain('/no/such/program'));
  });
});

describe('supervisor', () => {
  const make = (script: string, backoffMs = [10, 10, 10, 10, 10]) => {
    const notes: string[] = [];
    let givenUp: (error: Error) => void = () => undefined;
    const dead = new Promise<Error>((resolve) => {
      givenUp = resolve;
    });
    const spec: SupervisedSpec = {
      name: 'child',
      prepare: () => Promise.resolve(shell(script)),
      ready: () => Promise.resolve(),
      readyTimeoutMs: 5000,
      onLine: () => undefined,
      backoffMs,
    };
    const supervised = new Supervised(spec, {
      onNote: (_name, text) => notes.push(text),
      onChange: () => undefined,
      onGivenUp: (_name, error) => givenUp(error),
    });
    return { supervised, notes, dead };
  };

  it('starts a dead child again five times, then gives up with the last lines it wrote', async () => {
    const { supervised, notes, dead } = make('echo "no such table" >&2; exit 4');
    await supervised.start();
    const error = await dead;
    expect(error.message).toContain('died 6 times');
    expect(error.message).toContain('code 4');
    expect(error.message).toContain('no such table');
    expect(notes.filter((note) => note.includes('restart'))).not.toHaveLength(0);
    expect(supervised.restarts).toBe(5);
    await supervised.stop();
  });

  it('gives up with lines that are still on their way when the child has ended', async () => {
    // Its own session, so that it outlives the group: what it says comes a little later than the exit.
    const late = `require("child_process").spawn("/bin/sh", ["-c", "sleep 0.1; echo too late >&2"],
      { detached: true, stdio: ["ignore", "ignore", "inherit"] }); process.exit(4)`;
    const { supervised, dead } = make(`exec '${process.execPath}' -e '${late}'`, []);
    await supervised.start();
    expect((await dead).message).toMatch(/ended with code 4\n {2}too late$/);
    await supervised.stop();
  });

  it('starts a killed child again', async () => {
    const { supervised } = make('sleep 300');
    await supervised.start();
    const first = supervised.identity;
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(supervised.identity?.pid ?? first?.pid).not.toBe(first?.pid), {
      timeout: 5000,
    });
    expect(supervised.restarts).toBe(1);
    await supervised.stop();
    expect(supervised.identity).toBeNull();
  });

  it('does not start a child again that was stopped', async () => {
    const { supervised, notes } = make('sleep 300');
    await supervised.start();
    await supervised.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(notes).toEqual([]);
    expect(supervised.identity).toBeNull();
  });
});
