import { Command } from 'commander';
import { listNights } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { listTaskRuns } from '../../db/queries/task-runs.ts';
import { describeSchedules } from '../../temporal/schedules.ts';
import { readMissedNights } from '../../reconciler/open.ts';
import { attachApp, temporalTarget } from '../app.ts';
import { reportLinks } from '../links.ts';
import { formatTable } from '../render/format.ts';
import { renderReport } from '../render/report.ts';
import { measureSizes } from '../sizes.ts';

type StatusOptions = { session?: string; universe?: string; dataDir?: string };

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
  const app = await attachApp(options.dataDir);
  try {
    const { sql } = app.database;
    const nights = await listNights(sql, {
      limit: 10,
      ...(options.session === undefined ? {} : { sessionDate: options.session }),
      ...(options.universe === undefined ? {} : { universe: options.universe }),
    });
    const [newest] = nights;
    if (options.session !== undefined && newest !== undefined) {
      const report = await readNightReport(sql, {
        ...newest,
        ...reportLinks(app.runtime, newest),
        sizes: await measureSizes(app.runtime, sql),
      });
      if (report !== null) console.log(renderReport(report).join('\n'));
      return;
    }
    console.log('Schedules');
    const schedules = await describeSchedules(app.client);
    const rows = schedules.map(({ scheduleId, paused, note, nextTimes }) => [
      `  ${scheduleId}`,
      paused ? `paused${note === null ? '' : `: ${note}`}` : 'on',
      paused || nextTimes[0] === undefined ? '' : `next ${nextTimes[0]}`,
    ]);
    console.log(rows.length === 0 ? '  none yet' : formatTable(rows).join('\n'));
    console.log('\nNights');
    const nightRows = nights.map((night) => [
      `  ${night.sessionDate}`,
      night.universe,
      night.state,
      night.trigger,
      night.startedAt,
      night.reason ?? '',
    ]);
    console.log(nightRows.length === 0 ? '  none yet' : formatTable(nightRows).join('\n'));
    const missed = await readMissedNights({
      pipelineUrl: app.runtime.urls.pipeline,
      temporal: temporalTarget(app.runtime),
    });
    if (missed.length > 0) console.log('\nMissed sessions');
    for (const night of missed) console.log(`  ${night.sessionDate}: ${night.command}`);
    const waiting = await listTaskRuns(sql, { states: ['awaiting_review'] });
    if (waiting.length === 0) return;
    console.log('\nWaiting for a person');
    for (const run of waiting) {
      console.log(`  ${run.task} of ${run.sessionDate} (${run.universe}): ${run.reason ?? ''}`);
      console.log(`    nightshift review ${run.taskRunId} retry|skip|abort --by NAME --why TEXT`);
    }
  } finally {
    await app.close();
  }
}
