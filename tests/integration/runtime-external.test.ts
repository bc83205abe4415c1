import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { withDatabase } from '../../src/runtime/with-database.ts';
import { createTestDatabase, type TestDatabase, testTemporal, uniqueName } from '../support/env.ts';
import { startNode } from '../support/instance.ts';
import { RuntimeRig } from '../support/runtime-rig.ts';

const run = promisify(execFile);
let rig: RuntimeRig;
let outside: Runtime;

/** A Postgres that belongs to somebody else: another instance plays it. The Temporal server is that of the test run. */
beforeAll(async () => {
  rig = await RuntimeRig.create();
  outside = await rig.start(await rig.prepared('outside'), { only: 'database' });
});
afterAll(() => rig.dispose());
afterEach(() => vi.unstubAllEnvs());

async function newDatabase(): Promise<string> {
  const name = uniqueName('ext').replace('-', '_');
  await withDatabase(outside.urls.owner, (sql) => sql.unsafe(`create database ${name}`));
  const url = new URL(outside.urls.owner);
  url.pathname = `/${name}`;
  return url.href;
}
async function roleAt(url: string): Promise<unknown> {
  const rows = await withDatabase(url, (sql) => sql`select current_user as role`);
  return rows[0]?.['role'];
}

describe('external services', () => {
  const { address } = testTemporal();
  const start = (name: string): Promise<Runtime> => rig.start(rig.path(name));

  it('embeds nothing when the environment names them all, and finds the same logins on every machine', async () => {
    vi.stubEnv('DATABASE_URL', await newDatabase());
    vi.stubEnv('TEMPORAL_ADDRESS', address);
    vi.stubEnv('TEMPORAL_NAMESPACE', 'default');
    vi.stubEnv('ARTIFACT_URL', pathToFileURL(rig.path('shared')).href);
    const first = await start('one');
    expect(await first.children()).toEqual([]);
    expect(first.embedded).toEqual({ postgres: false, temporal: false, artifacts: false });
    expect(first).toMatchObject({ temporal: address, namespace: 'default', temporalUi: null });
    expect((await readdir(rig.path('one'))).includes('postgres')).toBe(false);
    expect(await roleAt(first.urls.ingest)).toBe('nightshift_ingest');
    const second = await start('two');
    expect(second.urls).toEqual(first.urls);
    expect(await roleAt(first.urls.api)).toBe('nightshift_api');
    await Promise.all([first.stop(), second.stop()]);
  });

  it('leaves the roles alone when each has its own variable, and says when one is missing', async () => {
    const database = await newDatabase();
    vi.stubEnv('DATABASE_URL', database);
    vi.stubEnv('TEMPORAL_ADDRESS', address);
    for (const role of ['INGEST', 'PIPELINE', 'ML', 'MAINTENANCE']) {
      vi.stubEnv(`NIGHTSHIFT_DB_URL_${role}`, `postgres://someone:secret@127.0.0.1:1/${role}`);
    }
    await expect(start('three')).rejects.toThrow('not for API');
    vi.stubEnv('NIGHTSHIFT_DB_URL_API', 'postgres://someone:secret@127.0.0.1:1/API');
    const runtime = await start('three');
    expect(runtime.rolePasswords).toBeNull();
    expect(runtime.urls.ingest).toBe('postgres://someone:secret@127.0.0.1:1/INGEST');
    await runtime.stop();
  });

  it('embeds only what is not named', async () => {
    vi.stubEnv('TEMPORAL_ADDRESS', address);
    const runtime = await rig.start(await rig.prepared('four'));
    expect((await runtime.children()).map(({ name }) => name)).toEqual(['postgres']);
    await runtime.stop();
  });
});

describe('a worker on its own, as its container runs it', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it('is healthy for the checks of both languages while it asks for work, and writes log files in its own folder', async () => {
    const { address } = testTemporal();
    const namespace = uniqueName('alone');
    const connection = await Connection.connect({ address });
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    await connection.close();
    const target = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
    const { urls } = database;
    const worker = startNode({
      args: ['--enable-source-maps', join(projectRoot, 'dist', 'worker', 'main.js')],
      env: {
        ...target,
        NIGHTSHIFT_DB_URL_INGEST: urls.ingest,
        NIGHTSHIFT_DB_URL_PIPELINE: urls.pipeline,
        NIGHTSHIFT_DB_URL_MAINTENANCE: urls.maintenance,
        NIGHTSHIFT_DB_URL_API: urls.api,
        ARTIFACT_URL: pathToFileURL(rig.path('shared')).href,
        NIGHTSHIFT_DATA_DIR: rig.path('worker'),
        NIGHTSHIFT_LOG_DIR: rig.path('logs'),
        NIGHTSHIFT_WORKER_NAME: 'desk-1',
      },
    });
    try {
      await worker.printed('worker is ready');
      const env = { ...process.env, ...target };
      const checks: [string, string][] = [
        [process.execPath, join(projectRoot, 'deploy', 'worker-health.mjs')],
        [venvPython(), join(projectRoot, 'deploy', 'ml_worker_health.py')],
      ];
      for (const [program, script] of checks) {
        await vi.waitFor(() => run(program, [script, TASK_QUEUES.pipeline], { env }), {
          timeout: 60_000,
          interval: 500,
        });
        await expect(run(program, [script, uniqueName('nobody')], { env })).rejects.toThrow();
      }
    } finally {
      worker.process.kill('SIGTERM');
    }
    expect(await worker.exited, worker.output()).toBe(0);
    expect(await readdir(rig.path('logs'))).toEqual(['desk-1']);
    const text = await readFile(join(rig.path('logs'), 'desk-1', 'scheduler.log'), 'utf8');
    expect(text).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] nightshift\.worker - INFO - worker is ready \{"queues":\["pipeline","market-data"\]\}$/m,
    );
    const { node, icu, tz } = process.versions;
    expect(tz).toMatch(/^\d{4}[a-z]$/);
    const versions = text.split('\n').find((line) => line.includes('nightshift.worker - INFO - versions '));
    expect(JSON.parse(versions?.split(' versions ')[1] ?? '{}')).toEqual({ node, icu, tz });
    // As many lines as on standard output: the files have all of them.
    expect(text.match(/^\[/gm)?.length).toBe(worker.output().match(/^\{/gm)?.length);
  });
});
