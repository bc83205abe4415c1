import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isForConsole } from '../../src/cli/commands/up.ts';
import { readChildren } from '../../src/runtime/children-file.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { lockOwner } from '../../src/runtime/folder-lock.ts';
import { isRunning } from '../../src/runtime/process-identity.ts';
import { type CommandRun, runCommand } from '../support/command.ts';

let dataDir: string;
const runs: CommandRun[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nightshift-start-'));
});
afterEach(async () => {
  for (const run of runs.splice(0)) {
    run.signal('SIGINT');
    await run.exited;
  }
  await rm(dataDir, { recursive: true, force: true });
});

function start(...args: string[]): CommandRun {
  const run = runCommand([...args, '--data-dir', dataDir]);
  runs.push(run);
  return run;
}

describe('Ctrl-C during the start', () => {
  it.each([
    ['before a server runs', 'lock.json'],
    ['while the servers start', 'children.json'],
  ])('ends it with 130 and leaves no process, %s', async (_when, file) => {
    const run = start('nightly', '--session', '2018-02-05', '--universe', 'tiny');
    await vi.waitFor(async () => expect(await readdir(dataDir)).toContain(file), {
      timeout: 60_000,
      interval: 5,
    });
    const seen = await readChildren(dataFolderAt(dataDir).children);
    run.signal('SIGINT');
    expect(await run.exited, run.output()).toBe(130);
    expect(run.output()).toContain('the start was interrupted: everything is stopped again');
    expect(run.output()).not.toContain('Night of');
    expect(await lockOwner(dataDir)).toBeNull();
    expect(await attachRuntime(dataDir)).toBeNull();
    const left = [...seen, ...(await readChildren(dataFolderAt(dataDir).children))];
    for (const { identity } of left) expect(await isRunning(identity)).toBe(false);
    expect((await readChildren(dataFolderAt(dataDir).children)).length).toBe(0);
  });

  it('the next start on that folder works, and `up` prints addresses and log lines', async () => {
    const first = start('up');
    await vi.waitFor(async () => expect(await readdir(dataDir)).toContain('children.json'), {
      timeout: 60_000,
      interval: 5,
    });
    first.signal('SIGINT');
    expect(await first.exited, first.output()).toBe(130);
    const second = start('up');
    await second.printed('Running. Ctrl-C stops it.');
    for (const name of [
      'Temporal Web UI  http',
      'Temporal         127',
      'Postgres  ',
      'Artifacts  ',
      'Logs  ',
    ]) {
      expect(second.output()).toContain(name);
    }
    await second.printed('worker is ready');
    // The servers' quiet lines stay in their files.
    expect(second.output()).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] \S+ - INFO - /m);
    expect(second.output()).not.toMatch(/ postgres - INFO - /);
    second.signal('SIGINT');
    expect(await second.exited).toBe(0);
  });
});

describe('log lines on the console', () => {
  it.each([
    ['worker-1', 'INFO', true],
    ['ml-1', 'WARNING', true],
    ['worker-1', 'DEBUG', false],
    ['postgres', 'INFO', false],
    ['temporal', 'ERROR', true],
    ['runtime', 'WARNING', false],
  ] as const)('%s %s: %s', (source, level, printed) => {
    expect(isForConsole({ source, level })).toBe(printed);
  });
});
