import { resolve } from 'node:path';
import { Command } from 'commander';
import { rememberApplied } from '../../activities/planning/config-source.ts';
import { configHash, effectiveConfig, knownUniverses } from '../../contracts/schemas/config.ts';
import { TASKS } from '../../contracts/wire/names.ts';
import {
  clockChangeNotes,
  type LocalSchedule,
  localClock,
  localDate,
  localIso,
  nextRun,
} from '../../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { applySchedules } from '../../temporal/schedules.ts';
import { applyToInstance, attachApp, DEFAULT_CONFIG, readConfig, withPipelineRole } from '../app.ts';
import { actor } from '../options.ts';

/** `nightshift config check|apply`: is the file right, what does it mean; make the schedules follow it. */
export function configCommand(): Command {
  const config = new Command('config').description('the scheduler configuration');
  config
    .command('check')
    .description('check a file and print what it means')
    .argument('[file]', 'configuration', DEFAULT_CONFIG)
    .action(check);
  config
    .command('apply')
    .description('make the schedules of the running instance follow the file')
    .argument('[file]', 'configuration', DEFAULT_CONFIG)
    .option('--by <name>', 'who applies it (default: login name)')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(apply);
  return config;
}

async function check(path: string): Promise<void> {
  const file = await readConfig(resolve(path));
  for (const warning of file.warnings) console.log(`warning: ${warning}`);
  for (const universe of knownUniverses(file)) {
    console.log(
      `universe ${universe}: configuration ${configHash(effectiveConfig(file, universe)).slice(0, 12)}`,
    );
  }
  const { tasks, timezone, settleDelayMinutes } = effectiveConfig(file);
  const tooEarly = startsBeforeSettled(tasks.ingestion, { timezone, settleDelayMinutes });
  if (tooEarly !== null) console.log(`warning: ${tooEarly}`);
  for (const task of TASKS) {
    const { enabled, hour, minute, timeoutMs, maxAttempts, dependsOn } = tasks[task];
    const time = `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')} ${timezone}`;
    const needs = dependsOn.length === 0 ? '' : `, needs ${dependsOn.join(' and ')}`;
    const state = enabled ? '' : ' (disabled)';
    console.log(`${task}${state}: ${time}, ${timeoutMs / 60_000} min, ${maxAttempts} attempt(s)${needs}`);
    const nextMs = enabled ? nextRun(tasks[task], timezone, Date.now()) : null;
    if (nextMs !== null) console.log(`  next ${localIso(nextMs, timezone)}`);
    for (const note of clockChangeNotes(tasks[task], timezone, Date.now())) console.log(`  ${note}`);
  }
  console.log('The configuration is valid.');
}

/** The regular close of the exchange, minutes of its day. */
const CLOSE_MINUTES = 16 * 60;

/**
 * Whether the night would begin before its session's bars count as knowable: then each night ends without a session.
 * Judged at the next starts of a year, as the two zones change their clocks on different days.
 */
function startsBeforeSettled(
  schedule: LocalSchedule,
  { timezone, settleDelayMinutes }: { timezone: string; settleDelayMinutes: number },
): string | null {
  let atMs = Date.now();
  for (let day = 0; day < 366; day += 1) {
    const nextMs = nextRun(schedule, timezone, atMs);
    if (nextMs === null) return null;
    atMs = nextMs;
    const clock = localClock(nextMs, XNYS_TIME_ZONE);
    const [hour = 0, minute = 0] = clock.split(':').map(Number);
    if (hour * 60 + minute >= CLOSE_MINUTES + settleDelayMinutes) continue;
    return (
      `the night of ${localIso(nextMs, timezone)} begins at ${clock} of ${localDate(nextMs, XNYS_TIME_ZONE)} at the ` +
      `exchange, before a session of that day is over and settled (16:00 and ${settleDelayMinutes} min): it would ` +
      'have no session'
    );
  }
  return null;
}

async function apply(path: string, options: { by?: string; dataDir?: string }): Promise<void> {
  const file = await readConfig(resolve(path));
  for (const warning of file.warnings) console.log(`warning: ${warning}`);
  const app = await attachApp(options.dataDir);
  try {
    const changes = await withPipelineRole(app, async ({ sql }) => {
      const applied = await applySchedules({ client: app.client, sql, file, by: actor(options.by) });
      await rememberApplied(sql, { path: resolve(path), file });
      return [...applied, ...(await applyToInstance(app.runtime, { client: app.client, file }))];
    });
    if (changes.length === 0) console.log('The schedules follow this configuration already.');
    for (const change of changes) console.log(change);
  } finally {
    await app.close();
  }
}
