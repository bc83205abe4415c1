import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Runtime } from '@temporalio/worker';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import { createIngestionActivities } from '../../src/activities/ingestion/activities.ts';
import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { createScanActivities } from '../../src/activities/scan/activities.ts';
import { createTrainingActivities } from '../../src/activities/training/activities.ts';
import { API_TIMES, type ApiDeps } from '../../src/api/deps.ts';
import { coverageReader } from '../../src/api/provider-coverage.ts';
import { createArtifactStore } from '../../src/artifacts/store.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { createProviderChain } from '../../src/providers/chain.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { readUniverse } from '../../src/providers/universe-file.ts';
import { beatWhileAlive } from '../../src/worker/liveness.ts';
import { testTemporal } from '../support/env.ts';
import type { AllActivities } from '../support/fakes.ts';
import type { House } from '../support/house.ts';
import { startMlBridge } from '../support/ml-bridge.ts';
import type { Rig } from '../support/rig.ts';
import { sharedArchive } from '../support/sample-archive.ts';
import { type ServedApi, serveApi } from '../support/served-api.ts';

const SAMPLE = join(projectRoot, 'data', 'sample');

/** The tasks of a night as the workers do them, on a house's rows and artifacts of their own. */
export type RealTasks = {
  activities: Partial<AllActivities>;
  /** Postgres as ingestion has it. */
  ingest: Database;
  close: () => Promise<void>;
};

/** Real activities for all tasks; the models in one process of Python, without its worker. */
export async function openRealTasks(house: House): Promise<RealTasks> {
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-dashboard-'));
  const artifactUrl = pathToFileURL(join(folder, 'artifacts')).href;
  const ingest = createDatabase(house.urls.ingest, { max: 4 });
  const ml = startMlBridge(artifactUrl);
  const provider = createProviderChain({ providers: [sharedArchive(SAMPLE)] });
  const sessions = () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  const clock = () => new Date('2018-02-08T05:00:00Z');
  const common = { db: house.database, artifacts: createArtifactStore(artifactUrl), clock };
  const models = ml.on(artifactUrl);
  // The workers of these tests are in this process, too.
  const stopBeats = beatWhileAlive({
    sql: house.database.sql,
    process: 'worker',
    logger: Runtime.instance().logger,
    reachServer: () => Promise.resolve(),
  });
  return {
    ingest,
    activities: {
      ...house.runs,
      ...createTrainingActivities(common),
      ...createScanActivities(common),
      ...createBacktestActivities(common),
      ...createDriftActivities(common),
      ...createIngestionActivities({
        db: ingest,
        provider: () => provider,
        sessions,
        readUniverse: (nameOrFile) => readUniverse({ nameOrFile, bundledFolder: join(SAMPLE, 'universes') }),
        clock,
      }),
      ...createDecisionActivities({ db: ingest, sessions, clock }),
      ...models,
    },
    close: async () => {
      stopBeats();
      await Promise.all([ml.stop(), ingest.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type Dashboard = ServedApi & {
  /** What went wrong inside. */
  failures: string[];
  /** A token of a role; its name is the role's. */
  token: (role: ApiRole) => Promise<{ tokenId: string; text: string }>;
};

/** The API with its pages on a port of its own. */
export async function openDashboard(
  parts: { house: House; rig: Pick<Rig, 'client' | 'namespace'> },
  change: Partial<Omit<ApiDeps, 'stopping'>> = {},
): Promise<Dashboard> {
  const { house, rig } = parts;
  await adoptFileAtStart(house.database.sql, { path: house.deps.configPath, named: true });
  const failures: string[] = [];
  const served = await serveApi({
    sql: house.api.sql,
    findToken: (tokenId) => findApiToken(house.api.sql, tokenId),
    times: API_TIMES,
    pipelineSql: house.database.sql,
    client: rig.client,
    log: (level, message, fields) => {
      if (level === 'ERROR') failures.push(`${message}: ${JSON.stringify(fields)}`);
    },
    configPath: house.deps.configPath,
    limits: { tokenPerMinute: 6_000, anonymousPerMinute: 300 },
    coverageOf: coverageReader(SAMPLE),
    workflowsUrl: `${testTemporal().ui}/namespaces/${rig.namespace}/workflows`,
    ...change,
  });
  return {
    ...served,
    failures,
    token: async (role) => {
      const { tokenId, secretHash, text } = newApiToken();
      await insertApiToken(house.api.sql, {
        tokenId,
        name: `the ${role}`,
        role,
        secretHash,
        createdBy: 'Ann',
      });
      return { tokenId, text };
    },
  };
}

/** Bytes of each script that the pages load, as it was built. */
export async function scriptSizes(): Promise<number[]> {
  const folder = join(projectRoot, 'dist', 'assets');
  const manifest: Record<string, string> = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const scripts = Object.values(manifest).filter((name) => name.endsWith('.js'));
  return await Promise.all(scripts.map(async (name) => (await stat(join(folder, name))).size));
}
