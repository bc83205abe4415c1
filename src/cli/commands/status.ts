import { Command } from 'commander';
import { OPEN_STATES, listNights, type NightRow } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { listTaskRuns } from '../../db/queries/task-runs.ts';
import { localIso } from '../../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { readMissedNights } from '../../reconciler/open.ts';
import { folderOption } from '../../runtime/folder-option.ts';
import { describeSchedules } from '../../temporal/schedules.ts';
import { type App, attachApp, temporalTarget } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { reportLinks } from '../links.ts';
import { requireDate } from '../options.ts';
import { createNightProgressReader } from '../read-progress.ts';
import { formatDuration, formatTable } from '../render/format.ts';
import { progressLine } from '../../temporal/progress-words.ts';
import { renderReport } from '../render/report.ts';
import { measureSizes } from '../sizes.ts';

type StatusOptions = { session?: string; universe?: string; dataDir?: string };

const NIGHTS = 10;

/** `nightshift status`: schedules, the last nights, what waits for a person; with --session one night's report. */
export function statusCommand(): Command {
  return new Command('status')
    .description('schedules, last nights, what waits for a person')
    .option('--session <date>', 'the whole report of this session')
    .option('--universe <name>', 'only nights of this universe')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(status);
}

async function status(options: StatusOptions): Promise<void> {
  if (options.session !== undefined) requireDate('--session', options.session);
  const app = await attachApp(options.dataDir);
  try {
    const nights = await listNights(app.database.sql, {
      limit: NIGHTS,
      ...(options.session === undefined ? {} : { sessionDate: options.session }),
      ...(options.universe === undefined ? {} : { universe: options.universe }),
    });
    const [newest] = nights;
    if (newest === undefined) await refuseUnknown(app, options);
    if (options.session !== undefined && newest !== undefined) {
      await printReport(app, newest);
      return;
    }
    await printSchedules(app);
    printNights(nights);
    await printRunning(
      app,
      nights.filter(({ state }) => OPEN_STATES.some((open) => open === state)),
    );
    await printMissed(app, options);
    await printWaiting(app, options);
  } finally {
    await app.close();
  }
}

/** A filter that finds nothing is a mistake of whoever typed it, unless nothing has run at all. */
async function refuseUnknown(app: App, { session, universe }: StatusOptions): Promise<void> {
  if (session === undefined && universe === undefined) return;
  const known = await listNights(app.database.sql, { limit: NIGHTS });
  const names = [...new Set(known.map((night) => `${night.sessionDate} (${night.universe})`))];
  const wanted = [
    ...(session === undefined ? [] : [`--session: ${session}`]),
    ...(universe === undefined ? [] : [`--universe: ${universe}`]),
  ];
  const there = names.length === 0 ? 'none has run yet' : `the newest are ${names.join(', ')}`;
  throw new UsageError(`${wanted.join(', ')}: no such night has run here; ${there}`);
}

async function printReport(app: App, night: NightRow): Promise<void> {
  const { sql } = app.database;
  const report = await readNightReport(sql, {
    ...night,
    ...reportLinks(app.runtime, night),
    sizes: await measureSizes(app.runtime, sql),
  });
  const { isTTY, columns } = process.stdout;
  if (report !== null) console.log(renderReport(report, isTTY ? { columns } : {}).join('\n'));
}

async function printSchedules(app: App): Promise<void> {
  console.log('Schedules');
  const schedules = await describeSchedules(app.client);
  const rows = schedules.map(({ scheduleId, paused, note, nextTimes }) => [
    `  ${scheduleId}`,
    paused ? `paused${note === null ? '' : `: ${note}`}` : 'on',
    paused || nextTimes[0] === undefined ? '' : `next ${localIso(Date.parse(nextTimes[0]), XNYS_TIME_ZONE)}`,
  ]);
  console.log(rows.length === 0 ? '  none yet' : formatTable(rows).join('\n'));
}

function printNights(nights: readonly NightRow[]): void {
  console.log('\nNights, newest first');
  const rows = nights.map((night) => [
    `  ${night.sessionDate}`,
    night.universe,
    night.state,
    night.completedAt === null
      ? ''
      : formatDuration(Math.max(0, Date.parse(night.completedAt) - Date.parse(night.startedAt))),
    night.trigger,
    night.startedAt,
    night.reason ?? '',
  ]);
  const head = ['  session', 'universe', 'state', 'took', 'trigger', 'started', 'reason'];
  console.log(rows.length === 0 ? '  none yet' : formatTable([head, ...rows]).join('\n'));
}

async function printRunning(app: App, nights: readonly NightRow[]): Promise<void> {
  const readProgress = createNightProgressReader(app.client);
  for (const night of nights) {
    const report = await readNightReport(app.database.sql, night);
    if (report === null) continue;
    const progress = await readProgress(report);
    console.log(`\nThe night of ${night.sessionDate}, ${night.universe}, now`);
    for (const task of report.tasks) {
      const own = progress.get(task.task);
      const detail = own === undefined ? (task.reason ?? '') : progressLine(own);
      console.log(`  ${task.task} ${task.status}${detail === '' ? '' : `: ${detail}`}`);
    }
  }
}

async function printMissed(app: App, { dataDir }: StatusOptions): Promise<void> {
  const missed = await readMissedNights({
    pipelineUrl: app.runtime.urls.pipeline,
    temporal: temporalTarget(app.runtime),
    folderOption: folderOption(dataDir),
  });
  if (missed.length > 0) console.log('\nMissed sessions, and the command that runs each');
  for (const night of missed) console.log(`  ${night.sessionDate}: ${night.command}`);
}

async function printWaiting(app: App, { dataDir }: StatusOptions): Promise<void> {
  const waiting = await listTaskRuns(app.database.sql, { states: ['awaiting_review'] });
  if (waiting.length === 0) return;
  console.log('\nWaiting for a person');
  for (const run of waiting) {
    const until = run.reviewDeadline === null ? '' : `, until ${run.reviewDeadline}`;
    const reason = run.reason ?? run.failure?.message ?? 'no reason given';
    console.log(`  ${run.task} of ${run.sessionDate} (${run.universe})${until}: ${reason}`);
    console.log(
      `    nightshift review ${run.taskRunId} retry|skip|abort --by NAME --why TEXT${folderOption(dataDir)}`,
    );
  }
}
