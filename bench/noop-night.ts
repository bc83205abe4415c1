/**
 * A no-op night against five bare children with one activity each, on the same server in the same run.
 *
 * `node bench/run.mjs noop-night [--rounds 30]`. The night is the product's own: planned on real Postgres, slots,
 * rows of tasks and attempts; only its tasks do nothing. One slot, so its children run one after the other: the
 * reference runs in sequence too; five at once are shown beside it. In memory, then with a database file.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

import { projectRoot } from '../scripts/lib/paths.mjs';
import { createQueueActivities } from '../src/activities/queue.ts';
import { findSlotRequests } from '../src/activities/slot-requests.ts';
import { createRunActivities } from '../src/activities/runs.ts';
import { createDatabase } from '../src/db/client.ts';
import { migrate } from '../src/db/migrate.ts';
import { findSlotHolders } from '../src/db/queries/task-runs.ts';
import { roleUrl } from '../src/db/roles.ts';
import { createProviders } from '../src/providers/by-name.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../src/providers/calendar-file.ts';
import { readUniverse } from '../src/providers/universe-file.ts';
import { chooseFreePorts } from '../src/runtime/ports.ts';
import { ownerUrl, postgresSpec } from '../src/runtime/postgres.ts';
import { Supervised, type SupervisedSpec } from '../src/runtime/supervisor.ts';
import { temporalSpec } from '../src/runtime/temporal.ts';
import { median } from './lib/report.ts';

const GOAL_RATIO = 2.2;
const WARM_UP_ROUNDS = 3;
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } });
const rounds = Number(values.rounds);

Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
});
const folder = mkdtempSync(join(tmpdir(), 'nightshift-noop-'));
const running: Supervised[] = [];

try {
  const pipelineUrl = await startPostgres();
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(projectRoot, 'bench', 'noop-night.workflows.ts'),
    logger: new DefaultLogger('ERROR'),
  });
  console.log(
    `no-op night, ${rounds} rounds each, medians in ms; ${cpus().length} x ${cpus()[0]?.model ?? ''}`,
  );
  for (const databaseFile of [null, join(folder, 'temporal.db')])
    await measure({ databaseFile, pipelineUrl, code });
} finally {
  for (const child of running.reverse()) await child.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function start(spec: SupervisedSpec): Promise<Supervised> {
  const child = new Supervised(spec, {
    onNote: (name, text) => console.error(`${name}: ${text}`),
    onChange: () => undefined,
    onGivenUp: (_name, error) => console.error(error.message),
  });
  running.push(child);
  await child.start();
  return child;
}

/** A migrated Postgres with the product's own settings. Resolves to the pipeline role's URL. */
async function startPostgres(): Promise<string> {
  const [port = 0] = await chooseFreePorts(1);
  const password = (): string => randomBytes(18).toString('base64url');
  const ownerPassword = password();
  const dataDir = join(folder, 'postgres');
  await start(await postgresSpec({ dataDir, tempDir: folder, port, ownerPassword, onLine: () => undefined }));
  const url = ownerUrl({ port, ownerPassword, database: 'postgres' });
  const rolePasswords = {
    ingest: password(),
    pipeline: password(),
    ml: password(),
    maintenance: password(),
    api: password(),
  };
  await migrate({ ownerUrl: url, rolePasswords });
  return roleUrl({ url, role: 'pipeline', password: rolePasswords.pipeline });
}

async function measure(options: {
  databaseFile: string | null;
  pipelineUrl: string;
  code: string;
}): Promise<void> {
  const [port = 0, uiPort = 0] = await chooseFreePorts(2);
  const { databaseFile } = options;
  const server = await start(await temporalSpec({ port, uiPort, databaseFile, onLine: () => undefined }));
  const address = `127.0.0.1:${port}`;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection });
  const database = createDatabase(options.pipelineUrl, { max: 8 });
  const sampleDataDir = join(projectRoot, 'data', 'sample');
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'pipeline',
    workflowBundle: { code: options.code },
    activities: {
      nothing: async () => undefined,
      ...createQueueActivities({
        client,
        findSlotHolders: () => findSlotHolders(database.sql),
        findSlotRequests: () => findSlotRequests(database.sql),
      }),
      ...createRunActivities({
        database,
        client,
        provider: createProviders({ sampleDataDir }),
        sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
        readUniverse: (nameOrFile) =>
          readUniverse({ nameOrFile, bundledFolder: join(sampleDataDir, 'universes') }),
        configPath: join(projectRoot, 'config', 'scheduler_config.json'),
        configNamed: false,
        dataDir: folder,
      }),
    },
  });
  let id = 0;
  const timed = async (workflow: string, args: unknown[]): Promise<number> => {
    id += 1;
    const startedAt = performance.now();
    await client.workflow.execute(workflow, { workflowId: `${workflow}-${id}`, taskQueue: 'pipeline', args });
    return performance.now() - startedAt;
  };
  const forms = {
    night: () =>
      timed('nightlyPipeline', [{ trigger: 'manual', universe: 'tiny', sessionDate: '2018-02-07' }]),
    sequence: () => timed('bareParent', [{ inSequence: true }]),
    atOnce: () => timed('bareParent', [{ inSequence: false }]),
  };
  await worker.runUntil(async () => {
    const times = { night: [] as number[], sequence: [] as number[], atOnce: [] as number[] };
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
      for (const name of ['night', 'sequence', 'atOnce'] as const) {
        const took = await forms[name]();
        if (round >= WARM_UP_ROUNDS) times[name].push(took);
      }
    }
    const [night, sequence, atOnce] = [median(times.night), median(times.sequence), median(times.atOnce)];
    const ratio = night / sequence;
    console.log(
      `${databaseFile === null ? 'in memory    ' : 'database file'}  night ${night.toFixed(0)}  ` +
        `five bare children in sequence ${sequence.toFixed(0)} (ratio ${ratio.toFixed(2)}, goal ${GOAL_RATIO}: ` +
        `${ratio <= GOAL_RATIO ? 'met' : 'missed'})  at once ${atOnce.toFixed(0)} (ratio ${(night / atOnce).toFixed(2)})`,
    );
  });
  await native.close();
  await connection.close();
  await database.close();
  await server.stop();
  running.splice(running.indexOf(server), 1);
}
