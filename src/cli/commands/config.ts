import { resolve } from 'node:path';
import { Command } from 'commander';
import { rememberApplied } from '../../activities/planning/config-source.ts';
import { configHash, effectiveConfig, knownUniverses } from '../../contracts/schemas/config.ts';
import { TASKS } from '../../contracts/wire/names.ts';
import { clockChangeNotes, localIso, nextRun } from '../../domain/schedule-times.ts';
import { applySchedules } from '../../temporal/schedules.ts';
import { attachApp, DEFAULT_CONFIG, readConfig, withPipelineRole } from '../app.ts';
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
  const { tasks, timezone } = effectiveConfig(file);
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

async function apply(path: string, options: { by?: string; dataDir?: string }): Promise<void> {
  const file = await readConfig(resolve(path));
  for (const warning of file.warnings) console.log(`warning: ${warning}`);
  const app = await attachApp(options.dataDir);
  try {
    const changes = await withPipelineRole(app, async ({ sql }) => {
      const applied = await applySchedules({ client: app.client, sql, file, by: actor(options.by) });
      await rememberApplied(sql, { path: resolve(path), file });
      return applied;
    });
    if (changes.length === 0) console.log('The schedules follow this configuration already.');
    for (const change of changes) console.log(change);
  } finally {
    await app.close();
  }
}
