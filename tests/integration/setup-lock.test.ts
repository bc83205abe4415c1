import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { removeStale } from '../../scripts/lib/setup-lock.mjs';
import { identify, isRunning, type ProcessIdentity } from '../../src/runtime/process-identity.ts';
import { hashOf, useSetupCopy } from '../support/setup-copy.ts';

const copy = useSetupCopy();

describe('the lock', () => {
  let lock: string;
  /** A build that takes as long as the file `hold` is there, and says when two of them run at once. */
  beforeEach(async () => {
    await copy.nodePackagesDone();
    await copy.pythonDone();
    const cache = join(copy.root, 'cache', 'nightshift');
    await mkdir(cache, { recursive: true });
    lock = join(cache, `setup-${hashOf([copy.project]).slice(0, 16)}.lock`);
    await copy.program(
      'go',
      `if [ "$1" = version ]; then echo "go version go1.26.4 linux/amd64"; exit; fi
/bin/mkdir ${copy.root}/building || echo two >> ${copy.root}/overlap
trap "" TERM
echo $$ >> ${copy.root}/pids
/bin/sh -c 'echo $$ >> ${copy.root}/pids; while [ -e ${copy.root}/hold ]; do /bin/sleep 0.05; done'
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho "temporal version 0 (Server 1.31.2, UI 2)"\\n' > "$2"
/bin/chmod 755 "$2"
/bin/rmdir ${copy.root}/building`,
    );
  });

  const pidsOfBuild = async (): Promise<ProcessIdentity[]> => {
    const pids = (await readFile(join(copy.root, 'pids'), 'utf8')).trim().split('\n').map(Number);
    expect(pids).toHaveLength(2);
    return (await Promise.all(pids.map(identify))).filter((identity) => identity !== null);
  };
  /** The processes of a build that goes on until it is ended. */
  const untilBuilding = (): Promise<ProcessIdentity[]> =>
    vi.waitFor(pidsOfBuild, { timeout: 20_000, interval: 20 });

  it('of a killed set-up is taken over, also when its pid belongs to another process by now', async () => {
    const earlier = { ...(await identify(process.pid)), startedAt: 'before the last boot', children: [] };
    await writeFile(lock, JSON.stringify(earlier));
    expect(await copy.setup()).toMatchObject({ code: 0 });
    await rm(join(copy.root, 'cache', 'nightshift', 'temporal'), { recursive: true });
    await writeFile(lock, String(process.pid));
    expect(await copy.setup()).toMatchObject({ code: 0 });
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('of one that runs is waited for, here by its process and elsewhere by its sign of life', async () => {
    const holder = { ...(await identify(process.pid)), children: [] };
    for (const living of [holder, { ...holder, pid: 1, startedAt: 'there', host: `not-${hostname()}` }]) {
      await writeFile(lock, JSON.stringify(living));
      const waiting = copy.start();
      await vi.waitFor(() => expect(waiting.output()).toContain('another set-up of this folder is running'), {
        timeout: 20_000,
      });
      expect(waiting.output()).not.toContain('building');
      await rm(lock);
      expect(await waiting.over).toMatchObject({ code: 0 });
      await rm(join(copy.root, 'cache', 'nightshift', 'temporal'), { recursive: true });
    }
  });

  it('is not taken from one that was faster to take over', async () => {
    await writeFile(lock, 'the new one');
    removeStale(lock, 'the stale one');
    expect(await readFile(lock, 'utf8')).toBe('the new one');
    removeStale(lock, 'the new one');
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('lets one of several at a time work that find a stale one', async () => {
    await writeFile(lock, JSON.stringify({ pid: 4_194_303, startedAt: 'x', host: hostname(), children: [] }));
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => copy.setup()));
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await readdir(copy.root)).not.toContain('overlap');
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('is free and nothing runs on after %s', async (signal, code) => {
    await writeFile(join(copy.root, 'hold'), '');
    const run = copy.start();
    const build = await untilBuilding();
    run.process.kill(signal);
    const { code: ended, output } = await run.over;
    expect(ended).toBe(code);
    expect(output).toContain('because it was interrupted');
    expect(output).not.toContain('    at ');
    for (const identity of build) expect(await isRunning(identity)).toBe(false);
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('is held after kill -9 until what was started is gone too, which is soon', async () => {
    await writeFile(join(copy.root, 'hold'), '');
    const run = copy.start();
    const build = await untilBuilding();
    run.process.kill('SIGKILL');
    await run.over;
    // It ignores the polite signal: the next one may not begin meanwhile.
    const next = copy.start();
    await vi.waitFor(() => expect(next.output()).toContain('another set-up of this folder is running'), {
      timeout: 20_000,
    });
    await vi.waitFor(() => expect(next.output()).toContain('building'), { timeout: 20_000, interval: 10 });
    for (const identity of build) expect(await isRunning(identity)).toBe(false);
    await rm(join(copy.root, 'hold'));
    await rm(join(copy.root, 'building'), { recursive: true });
    await next.over;
  });
});
