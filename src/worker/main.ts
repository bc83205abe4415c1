import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { type Logger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { TASK_QUEUES } from '../contracts/wire/names.ts';
import { readWorkerEnv, type WorkerEnv } from '../runtime/env.ts';
import { whenParentDies } from '../runtime/parent.ts';
import { registerSearchAttributes } from '../temporal/search-attributes.ts';
import { connectClient } from '../temporal/connection.ts';
import { startTracing } from '../tracing/start.ts';
import { composeActivities } from './compose.ts';
import { createJsonLogger } from './json-log.ts';
import { WORKFLOW_WORKER_LIMITS } from './limits.ts';
import { beatWhileAlive } from './liveness.ts';
import { openOwnLogFiles } from './own-log-files.ts';
import { observed } from './traced.ts';

const CONNECT_LIMIT_MS = 120_000;
const SHUTDOWN_GRACE = '15s';
const REACH_LIMIT_MS = 3_000;

/** The TypeScript worker: workflows and activities of `pipeline` and of `market-data`. */
async function main(): Promise<void> {
  const env = readWorkerEnv();
  const logger = createLogger(env);
  Runtime.install({
    logger,
    telemetryOptions: {
      logging: { filter: { core: 'WARN', other: 'WARN' }, forward: {} },
      ...(env.temporalMetricsAddress === null
        ? {}
        : {
            metrics: {
              prometheus: { bindAddress: env.temporalMetricsAddress, useSecondsForDurations: true },
            },
          }),
    },
  });
  // Sessions are cut by time zone: which database of zones did it must be known afterwards.
  const { node, icu, tz } = process.versions;
  logger.info('versions', { node, icu, tz });
  try {
    await serve(env, logger);
  } catch (error) {
    // For the files: Node prints what ends it to standard error only.
    logger.error('the worker ends', { error });
    throw error;
  }
}

/** What starts workers writes their files too; a worker on its own writes them itself. */
function createLogger({ ownLogFolder, workerName }: WorkerEnv): Logger {
  if (ownLogFolder === null) return createJsonLogger();
  const printed = createJsonLogger();
  const onProblem = (problem: string): void =>
    printed.warn('log files cannot be written', { folder: ownLogFolder, problem });
  return createJsonLogger(openOwnLogFiles({ folder: ownLogFolder, source: workerName, onProblem }));
}

async function serve(env: WorkerEnv, logger: Logger): Promise<void> {
  const tracing = await startTracing({
    url: env.tracesUrl,
    service: 'nightshift-worker',
    onProblem: (problem) => logger.warn('traces cannot be delivered', { problem }),
  });
  const temporal = connectClient({ interceptors: tracing === null ? [] : [tracing.client] });
  const connection = await connectPatiently(logger);
  await registerSearchAttributes(temporal.connection, temporal.client.options.namespace);
  const house = composeActivities({ env, client: temporal.client, logger });
  const common: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    namespace: temporal.client.options.namespace,
    // In histories and the Web UI: which worker ran it. Health checks look for the host at its end.
    identity: `${env.workerName}:${process.pid}@${hostname()}`,
    shutdownGraceTime: SHUTDOWN_GRACE,
    ...observed(tracing, await readFile(join(projectRoot, 'dist', 'workflows.js'), 'utf8')),
  };
  const workers = await Promise.all([
    Worker.create({
      ...common,
      taskQueue: TASK_QUEUES.pipeline,
      ...WORKFLOW_WORKER_LIMITS,
      maxConcurrentActivityTaskExecutions: 20,
      activities: house.pipeline,
    }),
    Worker.create({
      ...common,
      taskQueue: TASK_QUEUES.marketData,
      // Decisions of people about market data: few, and short.
      ...WORKFLOW_WORKER_LIMITS,
      maxCachedWorkflows: 10,
      maxConcurrentActivityTaskExecutions: 4,
      activities: house.marketData,
    }),
  ]);
  const stopBeating = beatWhileAlive({
    sql: house.sql,
    process: 'worker',
    logger,
    reachServer: async () => {
      await temporal.connection.withDeadline(Date.now() + REACH_LIMIT_MS, () =>
        temporal.connection.workflowService.getSystemInfo({}),
      );
    },
  });
  const stopWatching = whenParentDies(env.parentPid, () => {
    logger.error('the process that started this worker is gone');
    process.exit(1);
  });
  logger.info('worker is ready', { queues: [TASK_QUEUES.pipeline, TASK_QUEUES.marketData] });
  try {
    await Promise.all(workers.map((worker) => worker.run()));
  } finally {
    stopWatching();
    stopBeating();
    await connection.close();
    await temporal.close();
    await house.close();
    await tracing?.close();
  }
}

/** The SDK does not wait for a server that is not there yet; a worker that gives up at once stays down. */
async function connectPatiently(logger: Logger): Promise<NativeConnection> {
  const { connectionOptions } = loadClientConnectConfig();
  const deadline = Date.now() + CONNECT_LIMIT_MS;
  for (;;) {
    try {
      return await NativeConnection.connect(connectionOptions);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      logger.warn('Temporal does not answer yet', { address: connectionOptions.address });
      await sleep(500);
    }
  }
}

await main();
