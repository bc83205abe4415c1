import { rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { projectRoot } from '../../../scripts/lib/paths.mjs';
import { freezeFile } from '../../activities/planning/config-source.ts';
import type { RunReport } from '../../contracts/schemas/report.ts';
import { changedTables, readTableFingerprints } from '../../db/queries/fingerprint.ts';
import { findNight, listNights } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../../providers/universe-file.ts';
import { isRunClosed, type RunHandle, startNightFor } from '../../temporal/verbs.ts';
import { folderOption } from '../../runtime/folder-option.ts';
import { lockOwner } from '../../runtime/folder-lock.ts';
import { type App, ensureSchedules, openApp, readConfig, withPipelineRole } from '../app.ts';
import { EXIT, exitCodeOf, worstExitCode } from '../exit-codes.ts';
import { addressLines } from '../addresses.ts';
import { discardNights } from '../discard.ts';
import { followNight } from '../follow.ts';
import { untilInterrupted } from '../interrupt.ts';
import { reportLinks } from '../links.ts';
import { lostRunError } from '../lost-run.ts';
import { patiently } from '../patience.ts';
import { createNotes, type Notes } from '../notes.ts';
import { inForce, readWish, type WishOptions } from '../nightly-wish.ts';
import { findOpenNights, type NightWish } from '../open-nights.ts';
import { actor, requireCount } from '../options.ts';
import { createNightProgressReader } from '../read-progress.ts';
import { renderReport } from '../render/report.ts';
import { measureSizes } from '../sizes.ts';

type NightlyOptions = WishOptions & {
  keep?: boolean;
  wait: boolean;
  discard?: boolean;
  by?: string;
  why?: string;
  dataDir?: string;
  mlWorkers: number;
};

/** `nightshift nightly`: one night or several in order, followed to their end, reported, exit code to match. */
export function nightlyCommand(): Command {
  return new Command('nightly')
    .description('run the night of the newest session in the data, or of the sessions you name')
    .option('--session <date>', 'session to run, YYYY-MM-DD')
    .option('--from <date>', 'first of several sessions, each seeing only what was known that night')
    .option('--to <date>', 'last of several sessions')
    .option('--universe <name|file>', 'tiny, sample, sp500, or a file with symbols')
    .option('--json <file>', 'write the run report as JSON (several nights: a list)')
    .option('--keep', 'leave everything up afterwards, until Ctrl-C')
    .option('--no-wait', 'never wait for a person: a pending review ends the command with code 4')
    .option('--discard', 'cancel an interrupted night instead of resuming it')
    .option('--by <name>', 'who asks (default: login name)')
    .option('--why <text>', 'why a night is discarded, kept in the audit')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--config <file>', 'configuration of these nights alone (default: the one in force)')
    .addOption(
      new Option('--ml-workers <count>', 'Python workers').default(1).argParser(requireCount('--ml-workers')),
    )
    .action(async (options: NightlyOptions) => {
      process.exitCode = await nightly(options);
    });
}

/** Another command owns the folder: the night runs there, and goes on when this one ends. */
async function sayAttached(app: App, options: NightlyOptions): Promise<void> {
  if (app.runtime.owned) return;
  const owner = await lockOwner(app.runtime.dataDir);
  console.error(
    `Using the instance that runs on this folder (${owner === null ? 'unknown' : `nightshift ${owner.command}, pid ${owner.pid}`}).`,
  );
  const own = [
    ...(options.mlWorkers === 1 ? [] : ['--ml-workers']),
    ...(options.keep === true ? ['--keep'] : []),
  ];
  if (own.length > 0)
    console.error(`${own.join(' and ')} without effect: that instance was started without this command.`);
}

async function nightly(options: NightlyOptions): Promise<number> {
  const wish = await readWish(options);
  const interrupt = untilInterrupted();
  const notes = createNotes();
  const app = await openApp({
    command: 'nightly',
    mlWorkers: options.mlWorkers,
    onNote: notes.note,
    signal: interrupt.signal,
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
  try {
    await sayAttached(app, options);
    // With --config too: that file is for the nights of this command, never for those of the schedule.
    if (app.runtime.owned) {
      const changes = await ensureSchedules({ runtime: app.runtime, enable: false });
      for (const change of changes) console.error(change);
    }
    const code = await Promise.race([
      runNights({ app, options, wish: await inForce(app, options, wish), notes, signal: interrupt.signal }),
      app.runtime.failed,
    ]);
    if (options.keep === true && app.runtime.owned && !interrupt.signal.aborted) {
      console.log('\nKept up (Ctrl-C stops it):');
      for (const line of addressLines(app.runtime)) console.log(`  ${line}`);
      await Promise.race([interrupt.promise, app.runtime.failed]);
    }
    return code;
  } finally {
    await app.close();
  }
}

type Context = { app: App; options: NightlyOptions; wish: NightWish; notes: Notes; signal: AbortSignal };

/** What one command line did so far: exit codes of all nights, reports of those it asked for. */
type Done = { codes: number[]; reports: RunReport[] };

async function runNights(context: Context): Promise<number> {
  const { app, options, wish, signal } = context;
  const open = await findOpenNights({ client: app.client, sql: app.database.sql }, wish);
  const done: Done = { codes: [], reports: [] };
  if (options.discard === true) {
    const nights = [...open.others, ...open.same];
    await discardNights(app, { nights, by: options.by, why: options.why });
  } else if (app.runtime.owned) {
    for (const night of open.others) {
      if (signal.aborted) return sayInterrupted(context, null);
      console.log(`Resuming the interrupted night of ${night.name}, first.`);
      const report = await follow(context, night);
      if (report === null || signal.aborted) return sayInterrupted(context, report);
      print(report);
      done.codes.push(exitCodeOf(report.status));
    }
  }
  for (const night of options.discard === true ? [] : open.same) {
    console.log(
      app.runtime.owned
        ? `Resuming the interrupted night of ${night.name}.`
        : `The night of ${night.name} runs already; this shows it.`,
    );
  }
  for (const [index, sessionDate] of wish.sessions.entries()) {
    if (signal.aborted) return sayInterrupted(context, null);
    const interrupted = await runNight(context, { sessionDate, universe: wish.universe, done });
    if (interrupted !== null) return interrupted;
    if (done.reports.at(-1)?.status !== 'awaiting_review') continue;
    // The nights are run in order: what a person decides about this one comes before the next.
    const rest = wish.sessions.slice(index + 1);
    if (rest.length > 0) console.log(`\nNot started, a review comes first: ${rest.join(', ')}`);
    break;
  }
  const { reports, codes } = done;
  if (options.json !== undefined && reports.length > 0) {
    await writeJson(resolve(options.json), options.from === undefined ? reports[0] : reports);
    console.log(`\nReport: ${options.json}`);
  }
  return worstExitCode(codes);
}

/** One night to its end. Returns an exit code only when it was interrupted. */
async function runNight(
  context: Context,
  night: { sessionDate: string | undefined; universe: string; done: Done },
): Promise<number | null> {
  const { app, signal } = context;
  const { sessionDate, universe, done } = night;
  const before = await patiently(() => readTableFingerprints(app.database.sql))();
  const configHash = await ownConfiguration(context, universe);
  const run = await startNightFor({
    client: app.client,
    sql: app.database.sql,
    input: {
      trigger: 'cli',
      requestedBy: actor(context.options.by),
      ...(configHash === null ? {} : { configHash }),
      ...(sessionDate === undefined ? {} : { sessionDate }),
      universe,
    },
  });
  const report = await follow(context, run);
  if (report === null || signal.aborted) return sayInterrupted(context, report);
  print(report);
  await sayWhetherUnchanged(context, { report, before, run });
  done.reports.push(report);
  done.codes.push(exitCodeOf(report.status));
  return null;
}

/** Hash of what `--config` means for this universe, stored; null without one: the configuration in force. */
async function ownConfiguration({ app, options }: Context, universe: string): Promise<string | null> {
  if (options.config === undefined) return null;
  const file = await readConfig(resolve(options.config));
  const { name } = await readUniverse({
    nameOrFile: universe,
    bundledFolder: join(projectRoot, UNIVERSES_FOLDER),
  });
  const { hash } = await withPipelineRole(app, ({ sql }) => freezeFile(sql, file, name));
  return hash;
}

/** What became of the night, and how to go on. */
function sayInterrupted({ app, options }: Context, report: RunReport | null): number {
  const night = report === null ? 'The night' : `The night of ${report.sessionDate}, ${report.universe}`;
  const folder = folderOption(options.dataDir);
  console.error(
    app.runtime.owned
      ? `Interrupted. ${night} is kept: the same command resumes it where it stopped, with --discard it is cancelled.`
      : `${night} goes on in the instance that runs; \`nightshift status${folder}\` shows it.`,
  );
  return EXIT.interrupted;
}

async function follow({ app, options, notes, signal }: Context, run: RunHandle): Promise<RunReport | null> {
  const { sql } = app.database;
  const links = reportLinks(app.runtime, run);
  let announced = false;
  const report = await followNight({
    readReport: patiently(async () => {
      const current = await readNightReport(sql, { ...run, ...links });
      if (current !== null && !announced) {
        announced = true;
        console.log(`Night of ${current.sessionDate}, universe ${current.universe}`);
        console.log(`  ${links.urls.night ?? run.workflowId}`);
      }
      return current;
    }),
    readProgress: createNightProgressReader(app.client),
    isClosed: patiently(() => isRunClosed(app.client, run)),
    readFailure: patiently(() => lostRunError(app.client, run)),
    output: process.stdout,
    now: () => Date.now(),
    signal,
    notes,
    waitForReview: options.wait && process.stdout.isTTY,
    reviewHint: (current) => reviewHint(options, { report: current, run, isOver: false }),
  });
  if (report === null || signal.aborted) return report;
  if (report.status === 'awaiting_review') {
    const isOver = app.runtime.owned && options.keep !== true;
    for (const line of reviewHint(options, { report, run, isOver })) console.log(line);
  }
  return { ...report, sizes: await measureSizes(app.runtime, sql) };
}

/** How a person decides about a task that waits; from another terminal while this one watches. */
function reviewHint(
  options: NightlyOptions,
  night: { report: RunReport; run: RunHandle; isOver: boolean },
): string[] {
  const folder = folderOption(options.dataDir);
  const waiting = night.report.tasks.filter(({ status }) => status === 'awaiting_review');
  const id = night.run.workflowId;
  return [
    '',
    `A person has to decide: ${waiting.map(({ task }) => task).join(', ')} failed and may not run again by itself.`,
    ...waiting.map(({ task }) => {
      const which = waiting.length === 1 ? '' : ` --task ${task}`;
      return `  nightshift review ${id} retry|skip|abort${which} --by NAME --why TEXT${folder}`;
    }),
    '  retry runs the task anew, skip goes on without it, abort ends the night',
    ...(night.isOver ? [`  This instance stops now: start one with \`nightshift up${folder}\` first.`] : []),
  ];
}

function print(report: RunReport): void {
  const { isTTY, columns } = process.stdout;
  console.log(`\n${renderReport(report, isTTY ? { columns } : {}).join('\n')}`);
}

/** After a night that had run before: says whether any row of data, models or results is different now. */
async function sayWhetherUnchanged(
  { app }: Context,
  night: { report: RunReport; before: Awaited<ReturnType<typeof readTableFingerprints>>; run: RunHandle },
): Promise<void> {
  const { sessionDate, universe } = night.report;
  const earlier = await patiently(() => listNights(app.database.sql, { sessionDate, universe, limit: 2 }))();
  const current = await findNight(app.database.sql, night.run);
  if (current === null || earlier.length < 2 || night.report.status === 'awaiting_review') return;
  const changed = changedTables(night.before, await readTableFingerprints(app.database.sql));
  console.log(
    changed.length === 0
      ? `\nRun before: no row changed (the content hashes of ${night.before.length} tables are equal).`
      : `\nRun before: rows are new or different in ${changed.join(', ')} (code, configuration or data changed since).`,
  );
}

/** Whole or not at all: a reader never sees half a report. */
async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.tmp`, `${JSON.stringify(value, null, 2)}\n`);
  await rename(`${path}.tmp`, path);
}
