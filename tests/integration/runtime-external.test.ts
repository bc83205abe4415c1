import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { NativeConnection, Worker } from '@temporalio/worker';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { type Runtime, startRuntime } from '../../src/runtime/embedded.ts';
import { testTemporal, uniqueName } from '../support/env.ts';

const run = promisify(execFile);
let root: string;
let outside: Runtime;

/** Servers that belong to somebody else: another instance plays them. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-external-'));
  outside = await startRuntime({
    dataDir: join(root, 'outside'),
    command: 'test',
    workers: { typescript: 0, ml: 0 },
  });
});
afterAll(async () => {
  await outside.stop();
  await rm(root, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

async function newDatabase(): Promise<string> {
  const name = uniqueName('ext').replace('-', '_');
  const admin = postgres(outside.urls.owner, { max: 1 });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const url = new URL(outside.urls.owner);
  url.pathname = `/${name}`;
  return url.href;
}
async function roleAt(url: string): Promise<unknown> {
  const sql = postgres(url, { max: 1 });
  try {
    return (await sql`select current_user as role`)[0]?.['role'];
  } finally {
    await sql.end();
  }
}
const start = (name: string): Promise<Runtime> =>
  startRuntime({ dataDir: join(root, name), command: 'test', workers: { typescript: 0, ml: 0 } });

describe('external services', () => {
  it('embeds nothing when the environment names them all, and finds the same logins on every machine', async () => {
    vi.stubEnv('DATABASE_URL', await newDatabase());
    vi.stubEnv('TEMPORAL_ADDRESS', outside.temporal);
    vi.stubEnv('TEMPORAL_NAMESPACE', 'default');
    vi.stubEnv('ARTIFACT_URL', pathToFileURL(join(root, 'shared')).href);
    const first = await start('one');
    expect(await first.children()).toEqual([]);
    expect(first.embedded).toEqual({ postgres: false, temporal: false, artifacts: false });
    expect(first).toMatchObject({ temporal: outside.temporal, namespace: 'default', temporalUi: null });
    expect((await readdir(join(root, 'one'))).includes('postgres')).toBe(false);
    expect(await roleAt(first.urls.ingest)).toBe('nightshift_ingest');
    const second = await start('two');
    expect(second.urls).toEqual(first.urls);
    expect(await roleAt(first.urls.api)).toBe('nightshift_api');
    await Promise.all([first.stop(), second.stop()]);
  });

  it('leaves the roles alone when each has its own variable, and says when one is missing', async () => {
    const database = await newDatabase();
    vi.stubEnv('DATABASE_URL', database);
    vi.stubEnv('TEMPORAL_ADDRESS', outside.temporal);
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
    vi.stubEnv('TEMPORAL_ADDRESS', outside.temporal);
    const runtime = await start('four');
    expect((await runtime.children()).map(({ name }) => name)).toEqual(['postgres']);
    await runtime.stop();
  });
});

describe('health of worker containers', () => {
  it('is good while this host asks for work, in both languages', async () => {
    const { address, namespace } = testTemporal();
    const connection = await NativeConnection.connect({ address });
    const taskQueue = uniqueName('health');
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      activities: { nothing: () => undefined },
    });
    const env = { ...process.env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
    const checks: [string, string][] = [
      [process.execPath, join(projectRoot, 'deploy', 'worker-health.mjs')],
      [venvPython(), join(projectRoot, 'deploy', 'ml_worker_health.py')],
    ];
    await worker.runUntil(async () => {
      for (const [program, script] of checks) {
        await vi.waitFor(() => run(program, [script, taskQueue], { env }), {
          timeout: 60_000,
          interval: 500,
        });
        await expect(run(program, [script, uniqueName('nobody')], { env })).rejects.toThrow();
      }
    });
    await connection.close();
  });
});
