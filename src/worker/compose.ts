import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createBacktestActivities } from '../activities/backtest/activities.ts';
import { createDecisionActivities } from '../activities/decisions/activities.ts';
import { createDriftActivities } from '../activities/drift/activities.ts';
import { createIngestionActivities } from '../activities/ingestion/activities.ts';
import { createMaintenanceActivities } from '../activities/maintenance/activities.ts';
import { createQueueActivities } from '../activities/queue.ts';
import { createRunActivities } from '../activities/runs.ts';
import { createScanActivities } from '../activities/scan/activities.ts';
import { findSlotRequests } from '../activities/slot-requests.ts';
import { createTrainingActivities } from '../activities/training/activities.ts';
import { createArtifactStore } from '../artifacts/store.ts';
import { createDatabase, type Sql } from '../db/client.ts';
import { findSlotHolders } from '../db/queries/task-runs.ts';
import { createProviders } from '../providers/by-name.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../providers/calendar-file.ts';
import { readUniverse } from '../providers/universe-file.ts';
import type { WorkerEnv } from '../runtime/env.ts';

export type House = {
  pipeline: Record<string, (input: never) => Promise<unknown>>;
  marketData: Record<string, (input: never) => Promise<unknown>>;
  /** The pipeline role's connection, for liveness. */
  sql: Sql;
  close(): Promise<void>;
};

/** Builds every dependency once: connections per role, artifact store, providers, and the activities on them. */
export function composeActivities(options: { env: WorkerEnv; client: Client; logger: Logger }): House {
  const { env, client, logger } = options;
  const { databaseUrls } = env;
  const ingest = createDatabase(databaseUrls.ingest, { max: 4 });
  const pipeline = createDatabase(databaseUrls.pipeline, { max: 8 });
  const maintenance = createDatabase(databaseUrls.maintenance, { max: 2 });
  const artifacts = createArtifactStore(env.artifactUrl);
  const clock = () => new Date();
  const sessions = () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  const { sampleDataDir } = env;
  const shippedConfig = join(projectRoot, 'config', 'scheduler_config.json');
  const bundledFolder = join(sampleDataDir, 'universes');
  const provider = createProviders({ sampleDataDir });
  const readNamedUniverse = (name: string) => readUniverse({ nameOrFile: name, bundledFolder });
  const common = { db: pipeline, artifacts, clock, logger };

  return {
    sql: pipeline.sql,
    pipeline: {
      ...createRunActivities({
        database: pipeline,
        client,
        provider,
        sessions,
        readUniverse: readNamedUniverse,
        configPath: env.configPath ?? shippedConfig,
        configNamed: env.configPath !== null && env.configPath !== shippedConfig,
        dataDir: env.dataDir,
      }),
      ...createQueueActivities({
        client,
        findSlotHolders: () => findSlotHolders(pipeline.sql),
        findSlotRequests: () => findSlotRequests(pipeline.sql),
      }),
      ...createTrainingActivities(common),
      ...createScanActivities(common),
      ...createBacktestActivities(common),
      ...createDriftActivities(common),
      ...createMaintenanceActivities({
        ...common,
        db: maintenance,
        logFolder: env.logDir,
        tempFolders: [join(env.dataDir, 'tmp')],
      }),
    },
    marketData: {
      ...createIngestionActivities({
        db: ingest,
        provider,
        sessions,
        readUniverse: readNamedUniverse,
        clock,
      }),
      ...createDecisionActivities({ db: ingest, sessions, clock }),
    },
    close: async () => {
      await Promise.all([ingest.close(), pipeline.close(), maintenance.close()]);
    },
  };
}
