import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { type RunReport, runReportSchema } from '../../src/contracts/schemas/report.ts';
import { type NightTask, taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { createDatabase } from '../../src/db/client.ts';
import {
  changedTables,
  readTableFingerprints,
  type TableFingerprint,
} from '../../src/db/queries/fingerprint.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { startRuntime } from '../../src/runtime/embedded.ts';

const run = promisify(execFile);

export const VICTIMS = ['worker', 'ml', 'temporal', 'postgres', 'all'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Names of the children in the runtime's own list. */
const CHILD_PREFIX = { worker: 'worker-', ml: 'ml-', temporal: 'temporal', postgres: 'postgres' } as const;
const SESSION = '2018-02-06';
const NIGHT_LIMIT_MS = 170_000;

export type NightRun = {
  report: RunReport;
  fingerprints: TableFingerprint[];
  killedAt: string | null;
  wallMs: number;
  /** Fits of the night by the name of the worker that ran them, from Temporal's histories. */
  fitsByWorker: Record<string, number>;
};

export type ChaosFolder = { path: string; dispose: () => Promise<void> };

/** A folder of its own for one night, as a copy of another; remove it with `dispose`. */
export async function chaosFolder(from?: ChaosFolder): Promise<ChaosFolder> {
  const path = await mkdtemp(join(tmpdir(), 'nightshift-chaos-'));
  // Postgres insists on the owner and mode of its files.
  if (from !== undefined) await run('cp', ['-a', `${from.path}/.`, path]);
  return { path, dispose: () => rm(path, { recursive: true, force: true }) };
}

/** A folder whose servers were started once and stopped: cluster, migrations and namespace are there, no row. */
export async function preparedFolder(): Promise<ChaosFolder> {
  const folder = await chaosFolder();
  const workers = { typescript: 0, ml: 0 };
  const runtime = await startRuntime({ dataDir: folder.path, command: 'test', workers });
  await runtime.stop();
  // Each copy chooses its own.
  await rm(dataFolderAt(folder.path).ports);
  return folder;
}

/** Runs the tiny night through the real command; kills the victim while the task runs; reads the rows it left. */
export async function runNight(options: {
  dataDir: string;
  kill?: { victim: Victim; task: NightTask };
  mlWorkers?: number;
}): Promise<NightRun> {
  const startedAt = Date.now();
  const { kill, dataDir } = options;
  let command = startCommand(dataDir, options.mlWorkers);
  let killedAt: string | null = null;
  try {
    if (kill !== undefined) {
      killedAt = await killDuring({ ...kill, dataDir, command });
      if (kill.victim === 'all') command = startCommand(dataDir);
    }
    const report = await command.report(NIGHT_LIMIT_MS);
    const wallMs = Date.now() - startedAt;
    const [rows, fitsByWorker] = await Promise.all([fingerprints(dataDir), readFitsByWorker(dataDir)]);
    return { report, fingerprints: rows, killedAt, wallMs, fitsByWorker };
  } finally {
    await command.stop();
  }
}

/** Tables of the two nights that do not hold the same rows. */
export function differingTables(a: NightRun, b: NightRun): string[] {
  return changedTables(a.fingerprints, b.fingerprints);
}

type Command = { child: ChildProcess; report(limitMs: number): Promise<RunReport>; stop(): Promise<void> };

function startCommand(dataDir: string, mlWorkers = 1): Command {
  const reportPath = join(dataDir, 'report.json');
  const args = ['bin/nightshift.mjs', 'nightly', '--universe', 'tiny', '--session', SESSION];
  args.push('--ml-workers', String(mlWorkers));
  const child = spawn(process.execPath, [...args, '--data-dir', dataDir, '--json', reportPath, '--keep'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '', ARTIFACT_URL: '' },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    child,
    report: async (limitMs) => {
      const deadline = Date.now() + limitMs;
      while (Date.now() < deadline) {
        const text = await readFile(reportPath, 'utf8').catch(() => null);
        if (text !== null) return runReportSchema.parse(JSON.parse(text));
        if (child.exitCode !== null) throw new Error(`the command ended with ${child.exitCode}:\n${output}`);
        await sleep(200);
      }
      throw new Error(`no report after ${limitMs} ms:\n${output}`);
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Waits until the task's row says `running`, then kills at once. Resolves with the task's state just before. */
async function killDuring(options: {
  dataDir: string;
  victim: Victim;
  task: NightTask;
  command: Command;
}): Promise<string> {
  const { dataDir, victim, task, command } = options;
  const deadline = Date.now() + NIGHT_LIMIT_MS;
  const runtime = await attachWhenUp(dataDir, deadline);
  const database = createDatabase(runtime.urls.api, { max: 1 });
  try {
    for (;;) {
      if (Date.now() > deadline) throw new Error(`${task} did not run within ${NIGHT_LIMIT_MS} ms`);
      const [row] = await database.sql<{ state: string }[]>`
        select state from ops.task_runs where task = ${task} and session_date = ${SESSION}`;
      if (row?.state === 'running') break;
      if (row?.state === 'succeeded') throw new Error(`${task} ended before it could be killed`);
      await sleep(10);
    }
    const victims = (await runtime.children()).filter(
      ({ name }) => victim === 'all' || name.startsWith(CHILD_PREFIX[victim]),
    );
    if (victims.length === 0) throw new Error(`no process of ${victim} to kill`);
    if (victim === 'all') command.child.kill('SIGKILL');
    for (const { identity } of victims) process.kill(identity.pid, 'SIGKILL');
    return `running (${victims.map(({ name }) => name).join(', ')})`;
  } finally {
    await database.close();
  }
}

async function attachWhenUp(dataDir: string, deadline: number) {
  while (Date.now() < deadline) {
    const runtime = await attachRuntime(dataDir);
    if (runtime !== null) return runtime;
    await sleep(50);
  }
  throw new Error('the runtime did not come up');
}

async function fingerprints(dataDir: string): Promise<TableFingerprint[]> {
  const runtime = await attachWhenUp(dataDir, Date.now() + 30_000);
  const database = createDatabase(runtime.urls.api, { max: 1 });
  try {
    return await readTableFingerprints(database.sql);
  } finally {
    await database.close();
  }
}

/** Who ran the fits of training and backtest: the identity that the Web UI shows, `name:pid@host`. */
async function readFitsByWorker(dataDir: string): Promise<Record<string, number>> {
  const runtime = await attachWhenUp(dataDir, Date.now() + 30_000);
  const connection = await Connection.connect({ address: runtime.temporal });
  const client = new Client({ connection, namespace: runtime.namespace });
  const fits: Record<string, number> = {};
  try {
    for (const task of ['training', 'backtest'] as const) {
      const handle = client.workflow.getHandle(taskWorkflowId(task, SESSION, 'tiny'));
      const { events = [] } = await handle.fetchHistory();
      const types = new Map(
        (events ?? []).map((event) => [
          String(event.eventId),
          event.activityTaskScheduledEventAttributes?.activityType?.name,
        ]),
      );
      for (const { activityTaskStartedEventAttributes: started } of events ?? []) {
        if (!/^fit(Fold|Final)$/.test(types.get(String(started?.scheduledEventId)) ?? '')) continue;
        const name = started?.identity?.split(':')[0] ?? '';
        fits[name] = (fits[name] ?? 0) + 1;
      }
    }
    return fits;
  } finally {
    await connection.close();
  }
}
