import { appendFile, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArtifactStore } from '../../src/artifacts/store.ts';
import { effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Sql } from '../../src/db/client.ts';
import { readTableFingerprints } from '../../src/db/queries/fingerprint.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { inDependencyOrder } from '../../src/db/transfer.ts';
import { backup } from '../../src/runtime/backup.ts';
import { currentVersion } from '../../src/runtime/data-folder.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { restore } from '../../src/runtime/restore.ts';
import { applySchedules, describeSchedules } from '../../src/temporal/schedules.ts';
import { testConfig } from '../support/house.ts';
import { RuntimeRig } from '../support/runtime-rig.ts';

let rig: RuntimeRig;
const path = (name: string): string => rig.path(name);

beforeAll(async () => {
  rig = await RuntimeRig.create();
});
afterAll(() => rig.dispose());

const withSql = async <T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> => {
  const database = createDatabase(url, { max: 1 });
  try {
    return await work(database.sql);
  } finally {
    await database.close();
  }
};
const withClient = async <T>(runtime: Runtime, work: (client: Client) => Promise<T>): Promise<T> => {
  const connection = await Connection.connect({ address: runtime.temporal });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
};

/** Rows with everything COPY must carry: nulls, tabs, backslashes, infinities, JSON, dates, an identity. */
async function fill(runtime: Runtime): Promise<string> {
  await withSql(runtime.urls.owner, async (sql) => {
    await sql`insert into market.instruments (symbol, name, sector, provider, metadata)
      values ('AAPL', ${'tab\there \\ and "quotes"\nline ü'}, null, 'archive', '{"a": [1, null]}')`;
    const [source] = await sql<{ id: number }[]>`insert into market.bar_sources
      (provider, dataset, price_basis, fetched_at) values ('archive', 'd', 'split', now()) returning source_id as id`;
    await sql`insert into market.bars (symbol, session_date, open, close, available_at, source_id, state, revision)
      select 'AAPL', '2013-02-08'::date + n, case when n % 7 = 0 then null else n + 0.1 end, 'NaN', now(),
             ${source?.id ?? 0}, 0, 0 from generate_series(1, 5000) n`;
    await sql`insert into ops.audit (actor, action, subject) values ('ann', 'review', 'x'), ('bob', 'skip', 'y')`;
  });
  const store = createArtifactStore(runtime.artifactUrl);
  const { hash } = await store.put(new TextEncoder().encode('model'));
  await store.putRef('folds', 'k', { modelHash: hash });
  await withClient(runtime, async (client) => {
    const handle = await client.schedule.create({
      scheduleId: 'desk',
      spec: { calendars: [{ hour: 22, minute: 45 }], timezone: 'America/New_York' },
      action: { type: 'startWorkflow', workflowType: 'nightlyPipeline', taskQueue: 'pipeline' },
    });
    await handle.pause('holiday of the desk');
    await client.workflow.start('nightlyPipeline', { workflowId: 'open-night', taskQueue: 'pipeline' });
  });
  return hash;
}

/** One instance, saved while it runs and when it is stopped; each test goes on with what the one before has left. */
describe('backup and restore', () => {
  const document = testConfig({ tasks: { 1: { schedule: { hour: 21, minute: 15 } } } });
  const why = expect.stringMatching(/^paused by nightshift restore: restored from the backup of .*original/);
  let original: Runtime;
  let hash: string;
  let before: Awaited<ReturnType<typeof readTableFingerprints>>;
  let copy: Runtime;

  beforeAll(async () => {
    original = await rig.start(await rig.prepared('original'));
    hash = await fill(original);
    await withClient(original, (client) =>
      withSql(original.urls.pipeline, (sql) =>
        applySchedules({ client, sql, file: parseConfigFile(document), by: 'ann', enable: true }),
      ),
    );
    before = await withSql(original.urls.owner, readTableFingerprints);
  });

  it('brings rows, sequences, artifacts, secrets, schedules and open runs back, beside the original', async () => {
    const lastAudit = await lastAuditId(original);
    const saved = await backup({ dataDir: path('original'), target: path('backup') });
    expect(saved.rows).toBeGreaterThan(5000);
    expect((await stat(path('backup'))).mode & 0o777).toBe(0o700);
    expect((await stat(path('backup/secrets.json'))).mode & 0o777).toBe(0o600);

    const report = await restore({ dataDir: path('copy'), source: path('backup') });
    expect(report.rows).toBe(saved.rows);
    expect(report.paused).toEqual(['nightly', 'weekly-maintenance']);
    expect(JSON.parse(await readFile(path('copy/version.json'), 'utf8'))).toEqual(await currentVersion());
    copy = await rig.start(path('copy'));
    expect(copy.ports.postgres).not.toBe(original.ports.postgres);
    expect(await withSql(copy.urls.pipeline, readTableFingerprints)).toEqual(before);
    expect(await readFile(path('copy/secrets.json'), 'utf8')).toBe(
      await readFile(path('original/secrets.json'), 'utf8'),
    );
    expect((await stat(path('copy/secrets.json'))).mode & 0o777).toBe(0o600);

    // The numbers go on where they were: two schedules were paused here since, each with an audit row or two.
    const audits = await withSql(copy.urls.owner, (sql) => listAudit(sql));
    expect(audits.filter(({ actor }) => actor !== 'nightshift restore')).toHaveLength(lastAudit);
    const [audit] = await withSql(
      copy.urls.owner,
      (sql) =>
        sql<
          { id: number }[]
        >`insert into ops.audit (actor, action, subject) values ('c', 'd', 'e') returning audit_id as id`,
    );
    expect(audit?.id).toBe(audits.length + 1);
    await expect(withSql(copy.urls.owner, (sql) => sql`update ops.audit set actor = 'x'`)).rejects.toThrow(
      'append-only',
    );

    const store = createArtifactStore(copy.artifactUrl);
    expect(Buffer.from(await store.get(hash)).toString()).toBe('model');
    expect(await store.getRef('folds', 'k')).toEqual({ modelHash: hash });
    await withClient(copy, async (client) => {
      const { state } = await client.schedule.getHandle('desk').describe();
      expect(state).toMatchObject({ paused: true, note: 'holiday of the desk' });
      expect((await client.workflow.getHandle('open-night').describe()).status.name).toBe('RUNNING');
    });
  });

  it('pauses in the copy what was on in the original, and carries the configuration in force', async () => {
    const saved = parseConfigFile(
      JSON.parse(await readFile(path('copy/config/scheduler_config.json'), 'utf8')),
    );
    expect(effectiveConfig(saved)).toEqual(effectiveConfig(parseConfigFile(document)));
    const again = await withClient(copy, (client) =>
      withSql(copy.urls.pipeline, async (sql) => {
        // As every `up` does: it lifts no pause but that of a schedule nobody has switched on.
        await applySchedules({ client, sql, file: parseConfigFile(document), by: 'up', enable: true });
        return describeSchedules(client);
      }),
    );
    expect(again).toMatchObject([
      { scheduleId: 'nightly', paused: true, note: why },
      { scheduleId: 'weekly-maintenance', paused: true, note: why },
    ]);
    const audit = await withSql(copy.urls.api, (sql) => listAudit(sql, { subject: 'nightly' }));
    expect(audit).toContainEqual(
      expect.objectContaining({ actor: 'nightshift restore', action: 'schedule.pause' }),
    );
    const there = await withClient(original, describeSchedules);
    expect(there.map(({ paused }) => paused)).toEqual([false, false]);
    await copy.stop();
  });

  it('saves an instance that does not run, and leaves it stopped', async () => {
    await original.stop();
    await backup({ dataDir: path('original'), target: path('stopped') });
    expect((await readdir(path('original'))).includes('lock.json')).toBe(false);
    await restore({ dataDir: path('second'), source: path('stopped') });
    const second = await rig.start(path('second'), { only: 'database' });
    expect(await withSql(second.urls.owner, readTableFingerprints)).toEqual(before);
  });

  it('saves the file of the project where no configuration was ever applied, and has no schedule to pause', async () => {
    const dataDir = await rig.prepared('new');
    await backup({ dataDir, target: path('backup-of-new') });
    expect(await readFile(path('backup-of-new/config/scheduler_config.json'), 'utf8')).toBe(
      await readFile('config/scheduler_config.json', 'utf8'),
    );
  });

  it('refuses a damaged backup, a folder in use and a target that exists', async () => {
    const [dataDir, target] = [path('original'), path('stopped')];
    await expect(backup({ dataDir, target })).rejects.toThrow('exists already');
    await expect(restore({ dataDir, source: target })).rejects.toThrow('is not empty');
    const third = path('third');
    await appendFile(join(target, 'database/ops.audit.copy.gz'), 'x');
    await expect(restore({ dataDir: third, source: target })).rejects.toThrow('ops.audit.copy.gz');
    await rm(join(target, 'secrets.json'));
    await expect(restore({ dataDir: third, source: target })).rejects.toThrow('damaged');
    await writeFile(join(target, 'manifest.json'), '{}');
    await expect(restore({ dataDir: third, source: target })).rejects.toThrow();
    await expect(restore({ dataDir: third, source: rig.root })).rejects.toThrow('not a backup');
  });
});

async function lastAuditId(runtime: Runtime): Promise<number> {
  const [row] = await withSql(
    runtime.urls.owner,
    (sql) => sql<{ id: number }[]>`select max(audit_id)::int as id from ops.audit`,
  );
  return row?.id ?? 0;
}

describe('order of tables', () => {
  it('puts what is referred to first and names a circle', () => {
    const table = (name: string) => ({ schema: 's', table: name, columns: ['a'] });
    const ordered = inDependencyOrder(
      [table('a'), table('b'), table('c')],
      [
        { child: 's.a', parent: 's.b' },
        { child: 's.b', parent: 's.c' },
      ],
    );
    expect(ordered.map((entry) => entry.table)).toEqual(['c', 'b', 'a']);
    expect(() =>
      inDependencyOrder(
        [table('a'), table('b')],
        [
          { child: 's.a', parent: 's.b' },
          { child: 's.b', parent: 's.a' },
        ],
      ),
    ).toThrow('s.a, s.b');
  });
});
