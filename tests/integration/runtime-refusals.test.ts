import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensureSchedules, temporalTarget } from '../../src/cli/app.ts';
import { createDatabase } from '../../src/db/client.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { attachRuntime, stopRunning } from '../../src/runtime/attach.ts';
import { currentVersion, dataFolderAt, ensurePorts } from '../../src/runtime/data-folder.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { isRoot } from '../../src/runtime/postgres-user.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import { describeSchedules, setSchedulePaused } from '../../src/temporal/schedules.ts';
import { runHere } from '../support/cli.ts';
import { childrenOf } from '../support/instance.ts';
import { expectGone, query, RuntimeRig } from '../support/runtime-rig.ts';

const run = promisify(execFile);
let rig: RuntimeRig;
beforeEach(async () => {
  rig = await RuntimeRig.create();
});
afterEach(() => rig.dispose());

describe('refusals', () => {
  it('names port and owner when a stored port is taken', async () => {
    const dataDir = await rig.prepared();
    const ports = await ensurePorts(dataFolderAt(dataDir));
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(ports.temporal, '127.0.0.1', resolve));
    await expect(rig.start(dataDir)).rejects.toThrow(
      `port ${ports.temporal} (Temporal) is taken by pid ${process.pid}`,
    );
    await new Promise((resolve) => squatter.close(resolve));
    // Nothing of the failed start is left: the next one works.
    expect((await rig.start(dataDir)).ports).toEqual(ports);
  });

  it.each([
    ['schema', 99, 'layout'],
    ['temporalServer', '99.0.0', 'Temporal server'],
    ['postgresMajor', 99, 'Postgres'],
  ])('refuses a folder of a newer product (%s)', async (key, value, part) => {
    const dataDir = rig.path('data');
    await mkdir(dataDir);
    const version = { ...(await currentVersion()), [key]: value };
    await writeFile(join(dataDir, 'version.json'), JSON.stringify(version));
    await expect(rig.start(dataDir)).rejects.toThrow(`newer Nightshift`);
    await expect(rig.start(dataDir)).rejects.toThrow(part);
    expect((await readdir(dataDir)).includes('postgres')).toBe(false);
  });

  it('says what is wrong with the environment', async () => {
    vi.stubEnv('DATABASE_URL', 'mysql://x/y');
    await expect(rig.start(rig.path('data'))).rejects.toThrow('DATABASE_URL');
    vi.unstubAllEnvs();
  });

  it.runIf(canMount())('starts no night under 2 GiB of free disk, but the database of a backup', async () => {
    const dataDir = rig.path('data');
    await mkdir(dataDir);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=800m', 'tmpfs', dataDir]);
    try {
      const { code, output } = await runHere('nightly', '--universe', 'tiny', '--data-dir', dataDir);
      expect(code).toBe(1);
      expect(output).toMatch(
        new RegExp(
          `only 0\\.\\d\\d GiB free on the disk of ${dataDir}: a night needs 2 GiB\\. Free some space, or use --data-dir`,
        ),
      );
      expect(await readdir(dataDir)).not.toContain('postgres');
      await rig.prepared();
      const database = await rig.start(dataDir, { only: 'database' });
      expect(await query(database.urls.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
      await database.stop();
    } finally {
      // Lazily: this process keeps the folder of Postgres open.
      await run('umount', ['-l', dataDir]);
    }
  });
});

describe('an upgrade of Temporal', () => {
  const OLD = '1.30.4';
  /** As the other version left it: its server's database has that version in its name. */
  async function makeOld(dataDir: string): Promise<void> {
    const temporal = join(dataDir, 'temporal');
    for (const name of await readdir(temporal)) {
      await rename(join(temporal, name), join(temporal, name.replace('1.31.2', OLD)));
    }
    const version = { ...(await currentVersion()), temporalServer: OLD };
    await writeFile(join(dataDir, 'version.json'), JSON.stringify(version));
  }
  const versionOf = async (dataDir: string): Promise<unknown> =>
    JSON.parse(await readFile(join(dataDir, 'version.json'), 'utf8'));

  it('asks no question when no run is open; does not lose open runs, unless told to, and brings the schedules along; is stopped from outside', async () => {
    const dataDir = await rig.prepared();
    await makeOld(dataDir);
    const first = await rig.start(dataDir);
    expect(await versionOf(dataDir)).toEqual(await currentVersion());

    // Two that start together find no schedule, and both make them.
    const applied = () => ensureSchedules({ runtime: first, enable: true });
    const lines = (await Promise.all([applied(), applied()])).flat();
    expect(lines.filter((line) => line === 'nightly: created')).toHaveLength(1);
    const night = {
      workflowId: 'nightly/2018-02-06/tiny',
      runId: 'r1',
      sessionDate: '2018-02-06',
      universe: 'tiny',
      universeVersion: 'v1',
      trigger: 'cli' as const,
      configHash: 'c1',
      requestedBy: null,
      nominalInstant: null,
      plan: {},
    };
    const database = createDatabase(first.urls.owner, { max: 1 });
    await insertConfig(database.sql, { configHash: 'c1', body: {} });
    await claimNight(database.sql, night);
    const before = await withClient(first, async (client) => {
      const pause = { scheduleId: 'nightly', paused: true, by: 'Bob', why: 'quarter end' };
      await setSchedulePaused({ client, sql: database.sql, ...pause });
      return scheduleStates(client);
    });
    expect(before).toEqual({
      nightly: { paused: true, note: 'paused by Bob: quarter end' },
      'weekly-maintenance': { paused: false, note: 'enabled by nightshift up' },
    });
    await database.close();
    await first.stop();
    await makeOld(dataDir);

    const { code, output } = await runHere('nightly', '--universe', 'tiny', '--data-dir', dataDir);
    expect(code).toBe(1);
    expect(output).toContain(
      `nightshift: ${dataDir} was used with Temporal 1.30.4; this version brings 1.31.2, which starts empty, ` +
        'and 1 run is still open (nightly/2018-02-06/tiny). Let Nightshift 0.1.0 finish, or give up what is ' +
        `open: \`nightshift up --abandon-runs --data-dir ${dataDir}\`.`,
    );

    // The very command it names.
    const instance = rig.run(['up', '--abandon-runs', '--no-workers', '--no-api', '--data-dir', dataDir]);
    await instance.printed('Running.');
    expect(instance.output()).toContain('gave up nightly/2018-02-06/tiny');
    const second = await attachRuntime(dataDir);
    if (second === null) throw new Error('it runs');
    const [row] = await query(second.urls.owner, 'select state, reason from ops.nights');
    expect(row).toMatchObject({
      state: 'cancelled',
      reason: 'abandoned: Temporal 1.30.4 was replaced by 1.31.2',
    });
    expect(
      await query(second.urls.owner, `select actor, subject from ops.audit where action = 'run.abandon'`),
    ).toMatchObject([{ actor: userInfo().username, subject: 'nightly/2018-02-06/tiny' }]);
    expect(await withClient(second, scheduleStates)).toEqual(before);
    expect(await readdir(join(dataDir, 'temporal'))).toEqual(
      expect.arrayContaining(['temporal-1.30.4.db', 'temporal-1.31.2.db']),
    );
    expect(await versionOf(dataDir)).toEqual(await currentVersion());

    // Any process may stop it, once.
    const children = await childrenOf(dataDir);
    expect(await stopRunning(dataDir)).toBe(instance.process.pid);
    expect(await instance.exited).toBe(0);
    await expectGone(Object.values(children));
    expect(await attachRuntime(dataDir)).toBeNull();
    expect(await stopRunning(dataDir)).toBeNull();
  });
});

async function withClient<T>(runtime: Runtime, work: (client: Client) => Promise<T>): Promise<T> {
  const temporal = connectClient(temporalTarget(runtime));
  try {
    return await work(temporal.client);
  } finally {
    await temporal.close();
  }
}

async function scheduleStates(client: Client): Promise<Record<string, unknown>> {
  const found = await describeSchedules(client);
  return Object.fromEntries(found.map(({ scheduleId, paused, note }) => [scheduleId, { paused, note }]));
}

/** A disk of a size of our own needs more rights than most have. */
function canMount(): boolean {
  if (!isRoot() || process.platform !== 'linux') return false;
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}
