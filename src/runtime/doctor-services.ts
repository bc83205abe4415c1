import { randomUUID } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { createArtifactStore } from '../artifacts/store.ts';
import { SEARCH_ATTRIBUTES } from '../contracts/wire/messages.ts';
import { TASK_QUEUES } from '../contracts/wire/names.ts';
import { ROLES } from '../db/roles.ts';
import { appliedMigrations, knownMigrations } from '../db/transfer.ts';
import { connectClient } from '../temporal/connection.ts';
import { attachRuntime } from './attach.ts';
import { dataFolderAt } from './data-folder.ts';
import type { Check, Finding } from './doctor.ts';
import { checkApi } from './doctor-api.ts';
import type { Runtime } from './embedded.ts';
import { withDatabase } from './with-database.ts';

/** A worker asks for work at least once a minute; one that did not is gone or stuck. */
const POLLER_FRESH_MS = 90_000;

/** Examines the servers and workers of a running instance. */
export async function checkServices(
  dataDir: string | undefined,
  attempt: (check: Check) => Promise<Finding[]>,
): Promise<Finding[]> {
  const runtime = await attachRuntime(dataDir);
  if (runtime === null) return [];
  const checks: Check[] = [
    {
      part: 'postgres',
      advice: 'See postgres.log; `nightshift down` and `up` start it again.',
      look: () => checkDatabase(runtime),
    },
    {
      part: 'temporal',
      advice: 'See temporal.log; `nightshift down` and `up` start it again.',
      look: () => checkTemporal(runtime),
    },
    {
      part: 'runs',
      advice:
        'Their workflow tasks fail again and again; the last error is in the Web UI and in scheduler.log.',
      look: () =>
        withTemporal(runtime, (connection) => checkRuns({ connection, namespace: runtime.namespace })),
    },
    ...Object.values(TASK_QUEUES).map(
      (queue): Check => ({
        part: `workers on ${queue}`,
        advice:
          'See scheduler.log for the last words of the worker; `nightshift down` and `up` start it again.',
        look: () => checkPollers(runtime, queue),
      }),
    ),
    checkApi({ url: runtime.api, tokenPath: dataFolderAt(runtime.dataDir).adminToken }),
    {
      part: 'artifacts',
      advice: 'The folder or bucket must be writable: check ARTIFACT_URL, permissions and credentials.',
      look: () => checkArtifacts(runtime.artifactUrl),
    },
    {
      part: 'children',
      advice: 'Restarts are named in scheduler.log with their cause.',
      look: () => checkChildren(runtime),
    },
  ];
  const findings = await Promise.all(checks.map(attempt));
  await runtime.stop();
  return findings.flat();
}

/** Every role can log in and the schema is that of this version. */
async function checkDatabase(runtime: Runtime): Promise<string> {
  for (const role of ROLES) await withDatabase(runtime.urls[role], (sql) => sql`select 1`);
  return withDatabase(runtime.urls.owner, async (sql) => {
    const [applied, known] = [await appliedMigrations(sql), await knownMigrations()];
    if (applied !== known) throw new Error(`${applied} of ${known} migrations are applied`);
    const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`;
    return `${runtime.postgres}, server ${row?.version}, all roles log in, ${applied} migrations`;
  });
}

const NAMED_RUNS = 5;

/** Open runs, and those among them that cannot go on because their own code fails. */
export async function checkRuns({
  connection,
  namespace,
}: {
  connection: Connection;
  namespace: string;
}): Promise<string> {
  const open = `ExecutionStatus = 'Running'`;
  const stuck = `${open} AND TemporalReportedProblems IS NOT NULL`;
  const service = connection.workflowService;
  const count = async (query: string): Promise<number> =>
    Number((await service.countWorkflowExecutions({ namespace, query })).count);
  const problems = await count(stuck);
  if (problems > 0) {
    const { executions } = await service.listWorkflowExecutions({
      namespace,
      query: stuck,
      pageSize: NAMED_RUNS,
    });
    const names = executions.map(({ execution }) => execution?.workflowId).join(', ');
    throw new Error(`${problems} open ${problems === 1 ? 'run' : 'runs'} cannot go on: ${names}`);
  }
  return `${await count(open)} open, none of them stuck`;
}

async function withTemporal<T>(runtime: Runtime, work: (connection: Connection) => Promise<T>): Promise<T> {
  const { temporal: address, namespace, embedded } = runtime;
  const client = connectClient({ address, namespace, embedded: embedded.temporal });
  try {
    return await client.connection.withDeadline(Date.now() + 10_000, () => work(client.connection));
  } finally {
    await client.close();
  }
}

async function checkTemporal(runtime: Runtime): Promise<string> {
  return withTemporal(runtime, async (connection) => {
    const { namespace } = runtime;
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400;
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = SEARCH_ATTRIBUTES.filter((name) => customAttributes[name] === undefined);
    if (missing.length > 0) throw new Error(`search attributes are missing: ${missing.join(', ')}`);
    // A new server's default; a configuration may ask for any number of days.
    if (days <= 1) throw new Error(`namespace ${namespace} forgets closed runs after ${days} days`);
    return `${runtime.temporal}, namespace ${namespace}, closed runs kept ${days} days`;
  });
}

async function checkPollers(runtime: Runtime, queue: string): Promise<string> {
  return withTemporal(runtime, async (connection) => {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace: runtime.namespace,
      taskQueue: { name: queue },
      // 2 is ACTIVITY: every worker of ours polls for activities.
      taskQueueType: 2,
    });
    const fresh = (pollers ?? []).filter(
      ({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLLER_FRESH_MS,
    );
    if (fresh.length === 0) throw new Error('no worker asks for work');
    return fresh.map(({ identity }) => identity).join(', ');
  });
}

/** Writes, reads and removes a small file. */
async function checkArtifacts(url: string): Promise<string> {
  const store = createArtifactStore(url);
  const name = `doctor/${randomUUID()}.txt`;
  const bytes = new TextEncoder().encode(name);
  await store.putNamed(name, bytes);
  const found = await store.getNamed(name);
  await store.delete(name);
  if (found === null || Buffer.compare(found, bytes) !== 0)
    throw new Error(`${url} did not give back what was written`);
  return url;
}

async function checkChildren(runtime: Runtime): Promise<string | Finding[]> {
  const children = await runtime.children();
  const list = children.map(({ name, identity }) => `${name} (pid ${identity.pid})`).join(', ');
  const restarted = children.filter(({ restarts }) => restarts > 0);
  if (restarted.length === 0) return list;
  const text = `${list}; restarted: ${restarted.map(({ name, restarts }) => `${name} ${restarts} times`).join(', ')}`;
  return [{ level: 'warning', part: 'children', text, advice: 'The causes are in scheduler.log.' }];
}
