import { rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { projectRoot } from '../../../scripts/lib/paths.mjs';
import { effectiveConfig } from '../../contracts/schemas/config.ts';
import type { RunReport } from '../../contracts/schemas/report.ts';
import { changedTables, readTableFingerprints } from '../../db/queries/fingerprint.ts';
import { findNight, listNights, type NightRow } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { createCalendar } from '../../domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { readActivityProgress } from '../../temporal/progress.ts';
import { cancelRun, isRunClosed, type RunHandle, startNight } from '../../temporal/verbs.ts';
import { type App, DEFAULT_CONFIG, ensureSchedules, openApp, readConfig } from '../app.ts';
import { EXIT, exitCodeOf, UsageError, worstExitCode } from '../exit-codes.ts';
import { followNight } from '../follow.ts';
import { untilInterrupted } from '../interrupt.ts';
import { reportUrls } from '../links.ts';
import { patiently } from '../patience.ts';
import { requireCount, requireDate } from '../options.ts';
import { renderReport } from '../render/report.ts';

type NightlyOptions = {
  session?: string;
  from?: string;
  to?: string;
  universe?: string;
  json?: string;
  keep?: boolean;
  wait: boolean;
  discard?: boolean;
  dataDir?: string;
  config?: string;
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
    .option('--no-wait', 'start the night and return; a pending review ends with code 4')
    .option('--discard', 'cancel an interrupted night instead of resuming it')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--config <file>', 'configuration (default config/scheduler_config.json)')
    .addOption(
      new Option('--ml-workers <count>', 'Python workers').default(1).argParser(requireCount('--ml-workers')),
    )
    .action(async (options: NightlyOptions) => {
      process.exitCode = await nightly(options);
    });
}

/** Universe names go through; a path becomes absolute, so that the worker finds the same file. */
function universeOf(universe: string | undefined): string | undefined {
  if (universe === undefined || !/[./\\]/.test(universe)) return universe;
  return isAbsolute(universe) ? universe : resolve(universe);
}

function checkOptions(options: NightlyOptions): void {
  for (const name of ['session', 'from', 'to'] as const) {
    const date = options[name];
    if (date !== undefined) requireDate(`--${name}`, date);
  }
  if ((options.from === undefined) !== (options.to === undefined)) {
    throw new UsageError('--from and --to belong together');
  }
  if (options.from !== undefined && options.session !== undefined) {
    throw new UsageError('--session and --from/--to exclude each other');
  }
  if (options.from !== undefined && options.to !== undefined && options.from > options.to) {
    throw new UsageError(`--from: ${options.from} is after --to ${options.to}`);
  }
}

async function nightly(options: NightlyOptions): Promise<number> {
  checkOptions(options);
  const interrupt = untilInterrupted();
  const app = await openApp({
    command: 'nightly',
    mlWorkers: options.mlWorkers,
    onNote: (text) => console.error(text),
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    ...(options.config === undefined ? {} : { configPath: resolve(options.config) }),
  });
  try {
    await ensureSchedules({
      runtime: app.runtime,
      enable: false,
      ...(options.config === undefined ? {} : { configPath: resolve(options.config) }),
    });
    const code = await Promise.race([
      runNights({ app, options, signal: interrupt.signal }),
      app.runtime.failed,
    ]);
    if (options.keep === true && app.runtime.owned && !interrupt.signal.aborted) {
      console.log('\nKept up (Ctrl-C stops it):');
      console.log(`  Temporal Web UI  ${app.runtime.temporalUi ?? '(external cluster)'}`);
      console.log(`  Postgres         ${app.runtime.postgres}`);
      await Promise.race([interrupt.promise, app.runtime.failed]);
    }
    return code;
  } finally {
    await app.close();
  }
}

async function defaultUniverse(config: string | undefined): Promise<string> {
  const file = await readConfig(config === undefined ? DEFAULT_CONFIG : resolve(config));
  return effectiveConfig(file).universe;
}

type Context = { app: App; options: NightlyOptions; signal: AbortSignal };

async function runNights(context: Context): Promise<number> {
  const { app, options, signal } = context;
  const codes: number[] = [];
  const reports: RunReport[] = [];
  for (const night of await interruptedNights(context)) {
    if (signal.aborted) return EXIT.interrupted;
    if (options.discard === true) {
      console.log(`Cancelling the interrupted night of ${night.sessionDate}, ${night.universe}.`);
      await cancelRun(app.client, night);
      continue;
    }
    console.log(`Resuming the interrupted night of ${night.sessionDate}, ${night.universe}.`);
    const report = await follow(context, night);
    if (report !== null) print(report);
  }
  const universe = universeOf(options.universe) ?? (await defaultUniverse(options.config));
  for (const sessionDate of await sessionsToRun(context)) {
    if (signal.aborted) return EXIT.interrupted;
    const before = await patiently(() => readTableFingerprints(app.database.sql))();
    const run = await startNight(app.client, {
      trigger: 'cli',
      ...(sessionDate === undefined ? {} : { sessionDate }),
      universe,
    });
    if (!options.wait) {
      console.log(`Started ${run.workflowId}. \`nightshift status\` shows it.`);
      continue;
    }
    const report = await follow(context, run);
    if (report === null || signal.aborted) return EXIT.interrupted;
    print(report);
    await sayWhetherUnchanged(context, { report, before, run });
    reports.push(report);
    codes.push(exitCodeOf(report.status));
  }
  if (options.json !== undefined && reports.length > 0) {
    await writeJson(resolve(options.json), options.from === undefined ? reports[0] : reports);
    console.log(`\nReport: ${options.json}`);
  }
  return worstExitCode(codes);
}

/** Open nights of other sessions or universes than the one asked for; that one resumes by being started. */
async function interruptedNights({ app, options }: Context): Promise<NightRow[]> {
  const open = await listNights(app.database.sql, { open: true });
  const universe = universeOf(options.universe);
  const wanted = (night: NightRow) =>
    options.session === night.sessionDate && (universe === undefined || universe === night.universe);
  const nights: NightRow[] = [];
  for (const night of open.toReversed()) {
    if ((options.discard === true || !wanted(night)) && !(await isRunClosed(app.client, night)))
      nights.push(night);
  }
  return nights;
}

async function sessionsToRun({ options }: Context): Promise<(string | undefined)[]> {
  if (options.from === undefined || options.to === undefined) return [options.session];
  const table = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  const calendar = createCalendar({ exchange: 'XNYS', timeZone: XNYS_TIME_ZONE, sessions: table });
  const sessions = calendar.sessionsBetween(options.from, options.to);
  if (sessions.length === 0) {
    throw new UsageError(`--from/--to: no exchange session between ${options.from} and ${options.to}`);
  }
  return [...sessions];
}

async function follow({ app, options, signal }: Context, run: RunHandle): Promise<RunReport | null> {
  const urls = reportUrls(app.runtime, run);
  let announced = false;
  const report = await followNight({
    readReport: patiently(async () => {
      const current = await readNightReport(app.database.sql, { ...run, urls });
      if (current !== null && !announced) {
        announced = true;
        console.log(
          `Night of ${current.sessionDate}, universe ${current.universe} (${urls['night'] ?? run.workflowId})`,
        );
      }
      return current;
    }),
    readProgress: async (current) => {
      const running = current.tasks.filter(({ status }) => status === 'running');
      const lists = await Promise.all(
        running.map(({ task }) =>
          readActivityProgress(app.client, `${task}/${current.sessionDate}/${current.universe}`).catch(
            () => [],
          ),
        ),
      );
      return lists.flat();
    },
    isClosed: patiently(() => isRunClosed(app.client, run)),
    output: process.stdout,
    now: () => Date.now(),
    signal,
    waitForReview: options.wait && process.stdout.isTTY,
  });
  if (report?.status === 'awaiting_review') {
    console.log(
      `\nA task waits for a person: nightshift review ${run.workflowId} retry|skip|abort --by NAME --why TEXT`,
    );
  }
  return report;
}

function print(report: RunReport): void {
  console.log(`\n${renderReport(report).join('\n')}`);
}

/** After a night that had run before: says whether any row of data, models or results is different now. */
async function sayWhetherUnchanged(
  { app }: Context,
  night: { report: RunReport; before: Awaited<ReturnType<typeof readTableFingerprints>>; run: RunHandle },
): Promise<void> {
  const { sessionDate, universe } = night.report;
  const earlier = await patiently(() => listNights(app.database.sql, { sessionDate, universe, limit: 2 }))();
  const current = await findNight(app.database.sql, night.run);
  if (current === null || earlier.length < 2) return;
  const changed = changedTables(night.before, await readTableFingerprints(app.database.sql));
  console.log(
    changed.length === 0
      ? `\nRun before: no row changed (the content hashes of ${night.before.length} tables are equal).`
      : `\nRun before: rows changed in ${changed.join(', ')}.`,
  );
}

/** Whole or not at all: a reader never sees half a report. */
async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.tmp`, `${JSON.stringify(value, null, 2)}\n`);
  await rename(`${path}.tmp`, path);
}
