import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { build } from '../../scripts/build.mjs';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createDatabase } from '../../src/db/client.ts';
import { migrate } from '../../src/db/migrate.ts';
import type { RolePasswords } from '../../src/db/roles.ts';
import { exists } from '../../src/runtime/files.ts';
import { chooseFreePorts } from '../../src/runtime/ports.ts';
import { ownerUrl, postgresSpec } from '../../src/runtime/postgres.ts';
import { Supervised, type SupervisorEvents } from '../../src/runtime/supervisor.ts';
import { temporalSpec } from '../../src/runtime/temporal.ts';
import { TEMPLATE_DATABASE, type TestPostgres } from './provided.ts';

const running: Supervised[] = [];
let folder: string | undefined;

const events: SupervisorEvents = {
  onNote: (name, text) => console.error(`[test ${name}] ${text}`),
  onChange: () => undefined,
  onGivenUp: (name, error) => console.error(`[test ${name}] ${error.message}`),
};
const silent = (): void => undefined;

/** One host has one clock: a timer or retry of some milliseconds need not wait until all clocks agree (a second). */
const PROMPT_TIMERS = [
  'history.timerProcessorMaxTimeShift="10ms"',
  'history.timerProcessorMaxPollRPS=2000',
].flatMap((setting) => ['--dynamic-config-value', setting]);

/** One Temporal server and one Postgres for all tests that need them: the same programs the product starts. */
export async function setup(project: TestProject): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-test-'));
  project.provide('runFolder', folder);
  const [postgresPort = 0, temporalPort = 0, uiPort = 0] = await chooseFreePorts(3);
  const [postgresAddress] = await Promise.all([
    startPostgres(folder, postgresPort),
    startTemporal(temporalPort, uiPort),
    buildBundles(project),
  ]);
  project.provide('postgres', postgresAddress);
  project.provide('temporalAddress', `127.0.0.1:${temporalPort}`);
  project.provide('temporalUi', `http://127.0.0.1:${uiPort}`);
}

export async function teardown(): Promise<void> {
  await Promise.all(running.map((child) => child.stop()));
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

async function startTemporal(port: number, uiPort: number): Promise<void> {
  const spec = await temporalSpec({
    port,
    uiPort,
    databaseFile: null,
    extraArgs: PROMPT_TIMERS,
    onLine: silent,
  });
  const server = new Supervised(spec, events);
  running.push(server);
  await server.start();
}

async function startPostgres(root: string, port: number): Promise<TestPostgres> {
  const ownerPassword = randomBytes(24).toString('base64url');
  const spec = await postgresSpec({
    dataDir: join(root, 'postgres'),
    tempDir: root,
    port,
    ownerPassword,
    // Nothing here has to survive a power cut.
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
    onLine: silent,
  });
  const server = new Supervised(spec, events);
  running.push(server);
  await server.start();
  const password = (): string => randomBytes(24).toString('base64url');
  const rolePasswords: RolePasswords = {
    ingest: password(),
    pipeline: password(),
    ml: password(),
    maintenance: password(),
    api: password(),
  };
  const connection = { port, ownerPassword };
  const templateError = await migrateTemplate({ connection, rolePasswords });
  return { ownerUrl: ownerUrl({ ...connection, database: 'postgres' }), rolePasswords, templateError };
}

/** Migrates the template once; each test database is a copy. The error is thrown where a database is asked for. */
async function migrateTemplate(input: {
  connection: { port: number; ownerPassword: string };
  rolePasswords: RolePasswords;
}): Promise<string | null> {
  const server = createDatabase(ownerUrl({ ...input.connection, database: 'postgres' }), { max: 1 });
  try {
    await server.sql.unsafe(`create database ${TEMPLATE_DATABASE}`);
    const url = ownerUrl({ ...input.connection, database: TEMPLATE_DATABASE });
    await migrate({ ownerUrl: url, rolePasswords: input.rolePasswords });
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    await server.close();
  }
}

/** The bundles a worker starts from. A test that needs a bundle which cannot be built fails by itself. */
async function buildBundles(project: TestProject): Promise<void> {
  await build().catch((error: unknown) => console.error('build failed:', error));
  const path = join(projectRoot, 'dist', 'workflows.js');
  project.provide('workflowBundlePath', (await exists(path)) ? path : '');
}
