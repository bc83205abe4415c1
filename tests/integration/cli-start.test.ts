import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_CONFIG } from '../../src/cli/app.ts';
import { isForConsole } from '../../src/cli/commands/up.ts';
import { createDatabase } from '../../src/db/client.ts';
import { readChildren } from '../../src/runtime/children-file.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { lockOwner } from '../../src/runtime/folder-lock.ts';
import { isRunning } from '../../src/runtime/process-identity.ts';
import { runHere } from '../support/cli.ts';
import { type CommandRun, runCommand } from '../support/command.ts';
import { copyFolder, sharedPreparedFolder } from '../support/prepared-folder.ts';

let dataDir: string;

/** Waits until a start has got as far as this file of its folder. */
const hasWritten = (file: string): Promise<void> =>
  vi.waitFor(async () => expect(await readdir(dataDir)).toContain(file), { timeout: 60_000, interval: 5 });

/** With this folder as the current one, as for a person who changed to it. */
async function inFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(folder);
  return await work().finally(() => process.chdir(before));
}

describe('Ctrl-C during the start', () => {
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

  it.each([
    ['before a server runs', 'lock.json'],
    ['while the servers start', 'children.json'],
  ])('ends it with 130 and leaves no process, %s', async (_when, file) => {
    const run = runCommand([
      'nightly',
      '--session',
      '2018-02-05',
      '--universe',
      'tiny',
      '--data-dir',
      dataDir,
    ]);
    runs.push(run);
    await hasWritten(file);
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
});

/** Without model workers and API: loading their libraries is not what is looked at. */
describe('`up` after a start that was interrupted', () => {
  let first: CommandRun;
  let second: CommandRun;
  const here = (...args: string[]) => runHere(...args, '--data-dir', dataDir);

  beforeAll(async () => {
    ({ path: dataDir } = await copyFolder(await sharedPreparedFolder()));
    await rm(dataFolderAt(dataDir).children);
    first = runCommand(['up', '--data-dir', dataDir]);
    await hasWritten('children.json');
    first.signal('SIGINT');
    expect(await first.exited, first.output()).toBe(130);
    second = runCommand(['up', '--ml-workers', '0', '--no-api', '--data-dir', dataDir]);
    await second.printed('Running. Ctrl-C stops it.');
  });
  afterAll(async () => {
    for (const run of [first, second]) {
      run?.signal('SIGINT');
      await run?.exited;
    }
    await rm(dataDir, { recursive: true, force: true });
  });

  it('works, and prints addresses and log lines', async () => {
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
  });

  it('carries out corrections of the calendar, on the clock of the exchange', async () => {
    expect((await here('calendar', 'list')).output).toBe('no overrides: the calendar file holds');
    const storm = ['2018-02-01', '--close', '13:00', '--by', 'Ann', '--why', 'storm'];
    const overridden = await here('calendar', 'override', ...storm);
    expect(overridden.output).toMatch(
      /^2018-02-01 hours, 09:30 to 13:00 New York time; by Ann at \S+: storm$/,
    );
    expect(overridden.code).toBe(0);
    const closed = ['2018-02-05', '--closed', '--by', 'Ann', '--why', 'mourning'];
    expect((await here('calendar', 'override', ...closed)).output).toMatch(/^2018-02-05 closed; by Ann at /);
    const removed = await here('calendar', 'remove', '2018-02-05', '--by', 'Bob', '--why', 'wrong day');
    expect(removed.output).toMatch(/^2018-02-05 override removed, 09:30 to 16:00 New York time; by Bob at /);
    expect((await here('calendar', 'list')).output.split('\n').slice(1)).toEqual([
      expect.stringMatching(/^2018-02-01 +early_close +13:00 +Ann +storm$/),
    ]);
    const all = await here('calendar', 'list', '--all');
    expect(all.output).toMatch(
      /^2018-02-05 +closed \(removed\) +Ann +mourning \(removed by Bob: wrong day\)$/m,
    );
    const senseless = await here('calendar', 'override', ...storm.with(2, '25:00'));
    expect(senseless).toEqual({
      code: 2,
      output: 'nightshift: close: 25:00 is not a time like 09:30',
    });
  });

  it('carries out what a person decides about impossible rows', async () => {
    const universe = join(dataDir, 'realty.txt');
    await writeFile(universe, 'O\nXOM\n');
    // The worker lives in another folder than whoever names the file.
    const asked = ['--universe', 'realty.txt', '--session', '2018-02-06', '--by', 'Ann'];
    const run = await inFolder(dataDir, () => here('run-task', 'ingestion', ...asked));
    expect(run, run.output).toMatchObject({ code: 0, output: expect.stringContaining('"quarantined": 4') });
    const listed = await here('quarantine', 'list');
    expect(listed.output).toMatch(/^O +2014-08-27 +archive +pending +1 +44\.675 44\.7 44\.66 44\.5272 /m);

    const release = ['release', 'O', '2014-08-27', '--by', 'Ann', '--why', 'seen elsewhere too'];
    const released = await here('quarantine', ...release);
    expect(released.output).toMatch(/^O 2014-08-27 \(archive\) released by Ann at \S+: seen elsewhere too$/);
    expect(released.code).toBe(0);
    const reject = ['O', '2014-11-06', '--by', 'Bob', '--why', 'no price'];
    const rejected = await here('quarantine', 'reject', ...reject);
    expect(rejected.output).toMatch(/^O 2014-11-06 \(archive\) rejected by Bob at \S+: no price$/);
    expect(rejected.code).toBe(0);
    // Again it is the same answer; the opposite is refused, and by whom it was decided is said.
    expect(await here('quarantine', ...release)).toEqual(released);
    const opposite = await here('quarantine', 'reject', ...release.slice(1));
    expect(opposite.code).toBe(2);
    expect(opposite.output).toMatch(
      /^nightshift: O 2014-08-27 archive was released by Ann at \S+: seen elsewhere too; a decision is not undone$/,
    );
    const all = await here('quarantine', 'list', '--status', 'all', '--symbol', 'O');
    expect(all.output).toMatch(/^O +2014-08-27 +archive +released .*; released by Ann: seen elsewhere too$/m);
    expect(all.output).toMatch(/^O +2014-11-06 +archive +rejected .*; rejected by Bob: no price$/m);
    expect((await here('quarantine', 'list')).output).not.toMatch(/2014/);
  });

  it('names the folder in every command that it tells people to type', async () => {
    const running = await attachRuntime(dataDir);
    const owner = createDatabase(running?.urls.owner ?? '', { max: 1 });
    await owner.sql`update ops.schedule_state set first_enabled_at = '2018-02-07T12:00:00Z'`;
    await owner.close();
    await running?.stop();
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2018-02-08T12:00:00Z') });
    const status = await here('status').finally(() => vi.useRealTimers());
    expect(status.output).toContain(
      `2018-02-07: nightshift nightly --session 2018-02-07 --universe sample --data-dir ${dataDir}`,
    );

    const run = runCommand(['run-task', 'ingestion', '--session', '2018-02-05', '--data-dir', dataDir]);
    await run.printed('Requested ingestion');
    run.signal('SIGINT');
    expect(await run.exited, run.output()).toBe(130);
    expect(run.output()).toContain(
      `goes on in the instance that runs; \`nightshift status --data-dir ${dataDir}\` shows it.`,
    );
  });

  it('refuses an environment that leads elsewhere than the instance, and changes nothing', async () => {
    const running = await attachRuntime(dataDir);
    await running?.stop();
    const other = new URL(running?.urls.owner ?? '');
    other.pathname = '/other';
    const elsewhere: [string, string][] = [
      ['DATABASE_URL', 'postgres://somebody:secret@127.0.0.1:1/desk'],
      ['DATABASE_URL', other.href],
      ['TEMPORAL_ADDRESS', '127.0.0.1:1'],
    ];
    for (const [name, value] of elsewhere) {
      vi.stubEnv(name, value);
      const applied = await here('config', 'apply').finally(() => vi.unstubAllEnvs());
      expect(applied.code, applied.output).toBe(2);
      expect(applied.output).toMatch(
        /^nightshift: the instance that runs on \S+ uses (Postgres|Temporal) 127\.0\.0\.1:\d+\S* \(this environment: 127\.0\.0\.1:\d+\S*\)\. Set /,
      );
      expect(applied.output).not.toMatch(/secret|:1\/desk.*Postgres for/);
    }
    vi.stubEnv('DATABASE_URL', 'postgres://somebody:secret@127.0.0.1:1/desk');
    const doctor = await here('doctor').finally(() => vi.unstubAllEnvs());
    expect(doctor.output).toMatch(/^FAIL {2}instance: the instance that runs on/m);
    expect(doctor.output).toMatch(/^ok {4}disk: /m);
    expect((await here('config', 'apply')).code).toBe(0);
  });

  it('starts no later night of several while one waits for a person', async () => {
    // The archive has no bar of it for ten sessions of March 2015, and there is no retry.
    const universe = join(dataDir, 'gap.txt');
    await writeFile(universe, 'DHR\n');
    const file: { scheduled_tasks: object[] } = JSON.parse(await readFile(DEFAULT_CONFIG, 'utf8'));
    const config = join(dataDir, 'no-retry.json');
    const tasks = file.scheduled_tasks.map((task) => ({ ...task, max_retries: 0, retry_on_failure: false }));
    await writeFile(config, JSON.stringify({ ...file, scheduled_tasks: tasks }));
    // With the schedule on, a review would have to end in time for the next night: in the afternoon at once.
    const pause = await here('schedule', 'pause', 'nightly', '--by', 'Ann', '--why', 'nights of the past');
    expect(pause.code, pause.output).toBe(0);
    const json = join(dataDir, 'report.json');
    const asked = ['--from', '2015-03-11', '--to', '2015-03-13', '--universe', universe, '--config', config];
    const nights = await here('nightly', ...asked, '--json', json);
    expect(nights.code, nights.output).toBe(4);
    expect(nights.output).toContain('A person has to decide: ingestion failed');
    expect(nights.output).toMatch(/^Not started, a review comes first: 2015-03-12, 2015-03-13$/m);
    const reports: unknown = JSON.parse(await readFile(json, 'utf8'));
    expect(reports).toMatchObject([{ sessionDate: '2015-03-11', status: 'awaiting_review' }]);
    expect(reports).toHaveLength(1);
  });

  it('lets the doctor compare the disk with what the configuration in force wants', async () => {
    const file: { nightshift: object } = JSON.parse(await readFile(DEFAULT_CONFIG, 'utf8'));
    const path = join(dataDir, 'huge.json');
    const nightshift = { ...file.nightshift, minFreeDiskGib: 1e9 };
    await writeFile(path, JSON.stringify({ ...file, nightshift }));
    expect((await here('config', 'apply', path)).code).toBe(0);
    const { output } = await here('doctor');
    expect(output).toMatch(/^ok {4}configuration: a night needs 1000000000 GiB free$/m);
    expect(output).toMatch(/^FAIL {2}disk: .* GiB free; .*a night needs 1000000000 GiB free$/m);
  });

  it('ends with 0 at Ctrl-C', async () => {
    second.signal('SIGINT');
    expect(await second.exited, second.output()).toBe(0);
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
