import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { currentFile } from '../../activities/planning/config-source.ts';
import { coverageReader } from '../../api/provider-coverage.ts';
import {
  findUniverse,
  type MeantUniverse,
  nameOfUniverse,
  newestSession,
  NoSessionError,
  usualUniverse,
} from '../../api/run-target.ts';
import { type ConfigFile, knownUniverses } from '../../contracts/schemas/config.ts';
import { manualRunWorkflowId } from '../../contracts/wire/names.ts';
import type { Sql } from '../../db/client.ts';
import { findRunRequest, newRunId } from '../../db/queries/requests.ts';
import { findTaskRun, type TaskRunRow } from '../../db/queries/task-runs.ts';
import { archiveFolder } from '../../runtime/env.ts';
import { folderOption } from '../../runtime/folder-option.ts';
import { requestManualRun, runIdOfKey } from '../../temporal/manual-request.ts';
import { readRunFailure } from '../../temporal/verbs.ts';
import { adoptConfiguration, type App, openApp } from '../app.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { lostRunError } from '../lost-run.ts';
import { universeOf } from '../nightly-wish.ts';
import { createNotes } from '../notes.ts';
import { actor, requireDate, requireTask } from '../options.ts';

type RunTaskOptions = {
  session?: string;
  universe?: string;
  force?: boolean;
  key?: string;
  by?: string;
  wait: boolean;
  dataDir?: string;
};

const CLOSED = new Set(['succeeded', 'failed', 'skipped', 'cancelled', 'disabled', 'awaiting_review']);
const POLL_MS = 300;

/** `nightshift run-task TASK`: one task through the same queue as the night; needs are checked unless forced. */
export function runTaskCommand(): Command {
  return new Command('run-task')
    .description('run one task by hand: its own time is ignored, its needs are not')
    .argument('<task>', 'name, or the number 1 to 6')
    .option('--session <date>', 'session (default: the newest that is over and can be had)')
    .option('--universe <name|file>', 'universe (default: that of the newest night that ran)')
    .option('--force', 'run although a need is not met; recorded')
    .option('--key <text>', 'asked for again under the same key, it is the same run')
    .option('--by <name>', 'who asks (default: login name)')
    .option('--no-wait', 'return once the run is requested')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(async (name: string, options: RunTaskOptions) => {
      process.exitCode = await runTask(name, options);
    });
}

async function runTask(name: string, options: RunTaskOptions): Promise<number> {
  const task = requireTask(name);
  const interrupt = untilInterrupted();
  const app = await openApp({
    command: 'run-task',
    onNote: createNotes().note,
    signal: interrupt.signal,
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
  try {
    const named = options.session === undefined ? undefined : requireDate('--session', options.session);
    for (const line of await adoptConfiguration(app)) console.error(line);
    const { sql } = app.database;
    const requestId = options.key === undefined ? await newRunId(sql) : runIdOfKey(options.key);
    const file = await currentFile(sql);
    // What a key stood for stays, although another session is the newest one by now.
    const before = options.key === undefined ? null : await findRunRequest(sql, requestId);
    const universe = await universeFor(sql, { file, asked: options.universe, before });
    const sessionDate =
      named ?? before?.sessionDate ?? (await usualSession(sql, { file, universe: universe.name }));
    const { isNew } = await requestManualRun({
      client: app.client,
      sql: app.database.sql,
      request: {
        requestId,
        task,
        sessionDate,
        universe: universe.value,
        force: options.force ?? false,
        trigger: 'manual',
        configHash: null,
        requestedBy: actor(options.by),
      },
      universeName: universe.name,
    });
    console.log(`${isNew ? 'Requested' : 'Requested before:'} ${task} of ${sessionDate}: run ${requestId}`);
    if (!options.wait) return 0;
    const row = await untilClosed(app, requestId, interrupt.signal);
    if (row === null) {
      console.error(
        app.runtime.owned
          ? `Interrupted. ${task} is kept and goes on with the next start on this folder.`
          : `${task} goes on in the instance that runs; \`nightshift status${folderOption(options.dataDir)}\` shows it.`,
      );
      return EXIT.interrupted;
    }
    console.log(`${task} ${row.state}${row.reason === null ? '' : `: ${row.reason}`}`);
    if (row.result !== null) console.log(JSON.stringify(row.result, null, 2));
    return exitCodeOf(row.state);
  } finally {
    await app.close();
  }
}

async function universeFor(
  sql: Sql,
  options: { file: ConfigFile; asked: string | undefined; before: { universe: string } | null },
): Promise<MeantUniverse> {
  const { file, asked, before } = options;
  if (asked === undefined && before === null) return await usualUniverse(sql, file);
  const found = asked === undefined ? null : await findUniverse(file, asked);
  if (found !== null) return found;
  const value =
    asked === undefined ? (before?.universe ?? '') : await universeOf(asked, knownUniverses(file));
  return { value, name: await nameOfUniverse(value) };
}

async function usualSession(sql: Sql, about: { file: ConfigFile; universe: string }): Promise<string> {
  try {
    return await newestSession({ sql, ...about, coverageOf: coverageReader(archiveFolder()) });
  } catch (error) {
    if (error instanceof NoSessionError)
      throw new UsageError(`--session: needed, ${error.message}`, { cause: error });
    throw error;
  }
}

async function untilClosed(app: App, requestId: string, signal: AbortSignal): Promise<TaskRunRow | null> {
  const { sql } = app.database;
  while (!signal.aborted) {
    const row = await findTaskRun(sql, requestId);
    if (row !== null && CLOSED.has(row.state)) return row;
    const request = await findRunRequest(sql, requestId);
    if (request !== null && request.refusedReason !== null)
      throw new UsageError(`refused: ${request.refusedReason}`);
    // Not begun yet is no failure; one that is over without a row would keep this command waiting for ever.
    const run = { workflowId: manualRunWorkflowId(requestId) };
    if (row === null && (await readRunFailure(app.client, run)) !== null) {
      const late = await findTaskRun(sql, requestId);
      if (late === null) throw await lostRunError(app.client, run);
    }
    await sleep(POLL_MS);
  }
  return null;
}
