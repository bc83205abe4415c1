import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { type RunReport, runReportSchema } from '../../src/contracts/schemas/report.ts';
import { type NightTask, taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { createDatabase, type Sql } from '../../src/db/client.ts';
import { isTransientDatabaseError } from '../../src/db/errors.ts';
import {
  changedTables,
  readTableFingerprints,
  type TableFingerprint,
} from '../../src/db/queries/fingerprint.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import type { Runtime } from '../../src/runtime/embedded.ts';

export const VICTIMS = ['worker', 'ml', 'temporal', 'postgres', 'all'] as const;
export type Victim = (typeof VICTIMS)[number];
export type Kill = { victim: Victim; task: NightTask };

/** Names of the children in the runtime's own list. */
const CHILD_PREFIX = { worker: 'worker-', ml: 'ml-', temporal: 'temporal', postgres: 'postgres' } as const;
const SESSION = '2018-02-06';

/** How long a night may take that is hit so often, beside other tests. */
export const nightLimitMs = (kills: number): number => 170_000 + kills * 60_000;

export type NightRun = {
  report: RunReport;
  fingerprints: TableFingerprint[];
  /** Its kills in the order in which they were made. */
  killed: string[];
  wallMs: number;
  /** Fits of the night by the name of the worker that ran them, from Temporal's histories. */
  fitsByWorker: Record<string, number>;
};

/** Runs the tiny night through the real command; kills each victim while its task runs; reads the rows it left. */
export async function runNight(options: {
  dataDir: string;
  kills?: readonly Kill[];
  mlWorkers?: number;
}): Promise<NightRun> {
  const startedAt = Date.now();
  const { kills = [], dataDir } = options;
  const deadline = startedAt + nightLimitMs(kills.length);
  let command = startCommand(dataDir, options.mlWorkers);
  const killed: string[] = [];
  try {
    // Scan and backtest need the same things: which of them runs first is no promise.
    const open = [...kills];
    while (open.length > 0) {
      const kill = await killNext({ kills: open, dataDir, command, deadline });
      killed.push(`${kill.victim} during ${kill.task}`);
      open.splice(open.indexOf(kill), 1);
      if (kill.victim === 'all') command = startCommand(dataDir);
    }
    const report = await command.report(deadline);
    const wallMs = Date.now() - startedAt;
    const [rows, fitsByWorker] = await Promise.all([fingerprints(dataDir), readFitsByWorker(dataDir)]);
    return { report, fingerprints: rows, killed, wallMs, fitsByWorker };
  } finally {
    await command.stop();
  }
}

/** Tables of the two nights that do not hold the same rows. */
export function differingTables(a: NightRun, b: NightRun): string[] {
  return changedTables(a.fingerprints, b.fingerprints);
}

type Command = { child: ChildProcess; report(deadline: number): Promise<RunReport>; stop(): Promise<void> };

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
    report: async (deadline) => {
      while (Date.now() < deadline) {
        const text = await readFile(reportPath, 'utf8').catch(() => null);
        if (text !== null) return runReportSchema.parse(JSON.parse(text));
        if (child.exitCode !== null) throw new Error(`the command ended with ${child.exitCode}:\n${output}`);
        await sleep(200);
      }
      throw new Error(`no report in time:\n${output}`);
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Waits until the row of one of the tasks says `running`, then kills its victim at once. Resolves with that kill. */
async function killNext(options: {
  kills: readonly Kill[];
  dataDir: string;
  command: Command;
  deadline: number;
}): Promise<Kill> {
  const { kills, dataDir, command, deadline } = options;
  const runtime = await attachWhenUp(dataDir, deadline);
  const database = createDatabase(runtime.urls.api, { max: 1 });
  try {
    for (;;) {
      const states = await taskStates(database.sql);
      const late = kills.find(({ task }) => states.get(task) === 'succeeded');
      if (late !== undefined) throw new Error(`${late.task} ended before it could be killed`);
      const kill = kills.find(({ task }) => states.get(task) === 'running');
      if (kill !== undefined) {
        await killVictim({ victim: kill.victim, runtime, command });
        return kill;
      }
      if (Date.now() > deadline) throw new Error(`none ran in time: ${JSON.stringify(kills)}`);
      await sleep(10);
    }
  } finally {
    await database.close();
  }
}

async function killVictim(options: { victim: Victim; runtime: Runtime; command: Command }): Promise<void> {
  const { victim, runtime, command } = options;
  const victims = (await runtime.children()).filter(
    ({ name }) => victim === 'all' || name.startsWith(CHILD_PREFIX[victim]),
  );
  if (victims.length === 0) throw new Error(`no process of ${victim} to kill`);
  if (victim === 'all') command.child.kill('SIGKILL');
  for (const { identity } of victims) process.kill(identity.pid, 'SIGKILL');
}

/** States of the night's tasks; empty while the database is still away after an earlier kill. */
async function taskStates(sql: Sql): Promise<Map<string, string>> {
  try {
    const rows = await sql<{ task: string; state: string }[]>`
      select task, state from ops.task_runs where session_date = ${SESSION}`;
    return new Map(rows.map(({ task, state }) => [task, state]));
  } catch (error) {
    if (isTransientDatabaseError(error)) return new Map();
    throw error;
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
