import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { adoptFileAtStart, currentFile, freezeFile } from '../../src/activities/planning/config-source.ts';
import { configHash, effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Sql } from '../../src/db/client.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import { temporalTarget } from '../../src/cli/app.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';
import { runHere } from '../support/cli.ts';
import { testConfig } from '../support/house.ts';
import { type InstanceProcess, startInstance } from '../support/instance.ts';
import { copyFolder, sharedPreparedFolder } from '../support/prepared-folder.ts';

const at = (hour: number) =>
  testConfig({
    tasks: { 1: { schedule: { hour, minute: 30 } } },
    nightshift: { retention: { temporalDays: 45 }, logs: { maxMegabytes: 0.0001, schedulerBackups: 1 } },
  });
const instances: InstanceProcess[] = [];
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-config-'));
});
afterEach(async () => {
  for (const { process: child, exited } of instances.splice(0)) {
    child.kill('SIGTERM');
    await exited;
  }
  await vi.waitFor(() => rm(folder, { recursive: true, force: true }), { timeout: 30_000 });
});

async function fileWith(name: string, hour: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(at(hour)));
  return path;
}

describe('the file at start', () => {
  let database: TestDatabase;
  let sql: Sql;
  let close: () => Promise<void>;
  beforeEach(async () => {
    database = await createTestDatabase();
    const opened = createDatabase(database.urls.pipeline, { max: 1 });
    sql = opened.sql;
    close = () => opened.close();
  });
  afterEach(async () => {
    await close();
    await database.drop();
  });
  const hourNow = async (): Promise<number> => effectiveConfig(await currentFile(sql)).tasks.ingestion.hour;

  it('is taken over once, and again when it changed; a file nobody named replaces no other', async () => {
    const path = await fileWith('a.json', 20);
    expect(await adoptFileAtStart(sql, { path, named: false })).toMatchObject({ adopted: true });
    expect(await adoptFileAtStart(sql, { path, named: false })).toMatchObject({ adopted: false });
    await fileWith('a.json', 21);
    expect(await adoptFileAtStart(sql, { path, named: false })).toMatchObject({ adopted: true });
    expect(await hourNow()).toBe(21);
    const other = await fileWith('b.json', 22);
    expect(await adoptFileAtStart(sql, { path: other, named: false })).toMatchObject({
      adopted: false,
      keeps: path,
    });
    expect(await hourNow()).toBe(21);
    expect(await adoptFileAtStart(sql, { path: other, named: true })).toMatchObject({ adopted: true });
    expect(await hourNow()).toBe(22);
    await writeFile(other, '{');
    expect((await adoptFileAtStart(sql, { path: other, named: true })).problem).toContain('b.json');
    expect(await hourNow()).toBe(22);
  });

  it('is in force for both of two that start at once, and taken over by one', async () => {
    const path = await fileWith('a.json', 20);
    const start = async () => {
      const { adopted } = await adoptFileAtStart(sql, { path, named: false });
      return { adopted, hour: await hourNow() };
    };
    const both = await Promise.all([start(), start()]);
    expect(both.map(({ hour }) => hour)).toEqual([20, 20]);
    expect(both.filter(({ adopted }) => adopted)).toHaveLength(1);
  });

  it('is not what a run of its own configuration makes current', async () => {
    const path = await fileWith('a.json', 20);
    await adoptFileAtStart(sql, { path, named: false });
    const { config } = await freezeFile(sql, parseConfigFile(at(3)), 'tiny');
    expect(config.tasks.ingestion.hour).toBe(3);
    expect(await hourNow()).toBe(20);
  });
});

describe('an instance', () => {
  const dataDir = () => join(folder, 'data');
  const up = async (...args: string[]): Promise<InstanceProcess> => {
    const servers = ['up', '--no-workers', '--no-api'];
    const instance = startInstance({ args: [...servers, ...args, '--data-dir', dataDir()] });
    instances.push(instance);
    await instance.printed('Running.');
    return instance;
  };
  const finished = async (...args: string[]): Promise<string> => {
    const { code, output } = await runHere(...args, '--data-dir', dataDir());
    return `${code}: ${output}`;
  };
  const stop = async (instance: InstanceProcess): Promise<void> => {
    instance.process.kill('SIGTERM');
    await instance.exited;
  };
  async function inside<T>(look: (runtime: Runtime, sql: Sql) => Promise<T>): Promise<T> {
    const runtime = await attachRuntime(dataDir());
    if (runtime === null) throw new Error('it runs');
    const database = createDatabase(runtime.urls.pipeline, { max: 1 });
    try {
      return await look(runtime, database.sql);
    } finally {
      await database.close();
      await runtime.stop();
    }
  }
  /** Hour of the schedule on the server and of the configuration in force. */
  const hours = () =>
    inside(async (runtime, sql) => {
      const temporal = connectClient(temporalTarget(runtime));
      const { spec } = await temporal.client.schedule.getHandle('nightly').describe();
      await temporal.close();
      const { tasks } = effectiveConfig(await currentFile(sql));
      return [spec.calendars?.[0]?.hour?.[0]?.start, tasks.ingestion.hour];
    });

  /** How long Temporal keeps closed runs. */
  const daysKept = () =>
    inside(async (runtime) => {
      const temporal = connectClient(temporalTarget(runtime));
      const { connection, client } = temporal;
      const { namespace } = client.options;
      const { config } = await connection.workflowService.describeNamespace({ namespace });
      await temporal.close();
      return Number(config?.workflowExecutionRetentionTtl?.seconds) / 86_400;
    });

  it('refuses a file that cannot run, with its name, before anything starts', async () => {
    const path = join(folder, 'wrong.json');
    const block = { universe: 'nowhere', universes: { sp500: { model: { blocks: 0 } } } };
    await writeFile(path, JSON.stringify(testConfig({ nightshift: block })));
    for (const args of [
      ['up', '--config', path],
      ['config', 'check', path],
    ]) {
      const { code, output } = await runHere(...args);
      expect(code).toBe(2);
      expect(output).toContain(`${path}: the configuration is not valid`);
      expect(output).toContain('nightshift.universes.sp500.model.blocks: ');
    }
    await writeFile(path, JSON.stringify(testConfig({ nightshift: { universe: 'nowhere' } })));
    const named = await runHere('config', 'check', path);
    expect(named.code).toBe(2);
    expect(named.output).toContain('nightshift.universe: ');
    // In Berlin 22:45 is 16:45 at the exchange: the session is not settled.
    await writeFile(path, JSON.stringify(testConfig({ timezone: 'Europe/Berlin' })));
    const early = await runHere('config', 'check', path);
    expect(early.code).toBe(0);
    expect(early.output).toContain('it would have no session');
    expect(early.output).toMatch(/02:00 comes twice on \d{4}-10-\d\d: runs once, at 03:00/);
  });

  it('uses the settings for itself, and keeps what `config apply` applied: a second `up`, a restart and `nightly --config` do not undo it', async () => {
    await copyFolder(await sharedPreparedFolder(), dataDir());
    const first = await fileWith('first.json', 20);
    const second = await fileWith('second.json', 21);
    const own = await fileWith('own.json', 19);
    const owner = await up('--config', first);
    expect(owner.output()).toContain('nightly: created');
    expect(await hours()).toEqual([20, 20]);
    expect(await daysKept()).toBe(45);
    expect(await finished('config', 'apply', second)).toContain('0: ');
    expect(await hours()).toEqual([21, 21]);
    // Attached: neither the file of the clone nor a named one is taken over.
    expect(await finished('up', '--config', first)).toContain('--config without effect');
    expect(await hours()).toEqual([21, 21]);
    await stop(owner);
    // Files of a hundred bytes: each line of the servers began a new one.
    const logs = await readdir(join(dataDir(), 'logs'));
    expect(logs.filter((name) => name.startsWith('postgres.log'))).not.toEqual(['postgres.log']);
    const restarted = await up('--config', first);
    expect(await hours()).toEqual([21, 21]);
    await stop(restarted);

    // A day without a session needs a plan and no task; its configuration is its own.
    const args = ['--by', 'Ann', '--config', own, '--session', '2018-02-04', '--universe', 'tiny'];
    const night = await finished('nightly', ...args);
    expect(night).toContain('0: ');
    const again = await up();
    expect(again.output()).toContain('stays that of');
    expect(await hours()).toEqual([21, 21]);
    const nights = await inside((_runtime, sql) => listNights(sql));
    const expected = configHash(effectiveConfig(parseConfigFile(at(19)), 'tiny'));
    expect(nights).toMatchObject([{ sessionDate: '2018-02-04', configHash: expected, requestedBy: 'Ann' }]);
    const acts = await inside((_runtime, sql) => listAudit(sql, { subject: 'nightly/2018-02-04/tiny' }));
    expect(acts).toMatchObject([{ actor: 'Ann', action: 'night.start' }]);
    await stop(again);

    // The changed file is taken over by stop and start, and the schedule follows.
    await fileWith('first.json', 18);
    const changed = await up('--config', first);
    expect(changed.output()).toContain('applies to runs that start from now on');
    expect(await hours()).toEqual([18, 18]);
  });
});
