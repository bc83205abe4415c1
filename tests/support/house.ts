import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Client } from '@temporalio/client';

import type { RunDeps } from '../../src/activities/planning/deps.ts';
import { createRunActivities } from '../../src/activities/runs.ts';
import type { RunActivities } from '../../src/contracts/activities.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { createArchiveProvider } from '../../src/providers/archive/archive-provider.ts';
import { readSessionTable } from '../../src/providers/calendar-file.ts';
import { readUniverse } from '../../src/providers/universe-file.ts';
import { createTestDatabase, type TestDatabase } from './env.ts';

export type House = {
  /** Login URLs of its database. */
  urls: TestDatabase['urls'];
  database: Database;
  /** Logged in as the API role. */
  api: Database;
  owner: Database;
  runs: RunActivities;
  /** What `runs` are made of, to make them with one part changed. */
  deps: RunDeps;
  /** Replaces the configuration file; new `runs` find it as at a start. */
  configure(document: unknown): Promise<void>;
  close(): Promise<void>;
};

type TaskChange = {
  timeout_minutes?: number;
  max_retries?: number;
  retry_on_failure?: boolean;
  enabled?: boolean;
  schedule?: { hour: number; minute: number; day_of_week?: string };
};

/** A configuration in the documents' format for the `tiny` universe, tasks changed by their number. */
export function testConfig(
  options: {
    tasks?: Record<number, TaskChange>;
    maxConcurrentJobs?: number;
    timezone?: string;
    nightshift?: object;
  } = {},
): unknown {
  return {
    global_settings: {
      ...(options.timezone === undefined ? {} : { timezone: options.timezone }),
      max_concurrent_jobs: options.maxConcurrentJobs ?? 1,
      job_defaults: { max_instances: 1, misfire_grace_time: 300 },
    },
    scheduled_tasks: [1, 2, 3, 4, 5, 6].map((id) => ({ task_id: id, ...options.tasks?.[id] })),
    nightshift: {
      universe: 'tiny',
      taskRetry: { initialIntervalSeconds: 0.1, backoffCoefficient: 1, maximumIntervalSeconds: 0.1 },
      ...options.nightshift,
    },
  };
}

/** The real book-keeping of runs on a database of its own and the bundled data. */
export async function openHouse(options: {
  client: Client;
  document?: unknown;
  now?: () => number;
  silenceToleratedMs?: number;
}): Promise<House> {
  const testDatabase: TestDatabase = await createTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-house-'));
  const configPath = join(folder, 'scheduler_config.json');
  const database = createDatabase(testDatabase.urls.pipeline, { max: 4 });
  const api = createDatabase(testDatabase.urls.api, { max: 2 });
  const owner = createDatabase(testDatabase.urls.owner, { max: 1 });
  const archive = createArchiveProvider({ directory: 'data/sample' });
  const deps: RunDeps = {
    database,
    client: options.client,
    provider: () => archive,
    sessions: () => readSessionTable('data/calendar/xnys.csv'),
    readUniverse: (nameOrFile) => readUniverse({ nameOrFile, bundledFolder: 'data/sample/universes' }),
    configPath,
    configNamed: true,
    dataDir: folder,
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.silenceToleratedMs === undefined ? {} : { silenceToleratedMs: options.silenceToleratedMs }),
  };
  const house: House = {
    urls: testDatabase.urls,
    database,
    api,
    owner,
    runs: createRunActivities(deps),
    deps,
    configure: async (document) => {
      await writeFile(configPath, JSON.stringify(document));
      house.runs = createRunActivities(deps);
    },
    close: async () => {
      await Promise.all([database.close(), api.close(), owner.close()]);
      await testDatabase.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await house.configure(options.document ?? testConfig());
  return house;
}
