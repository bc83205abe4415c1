import { Command } from 'commander';
import { testChannels } from '../../alerts/test-channels.ts';
import { alertSettings, type ConfigFile, parseStoredConfigFile } from '../../contracts/schemas/config.ts';
import { type AlertDelivery, readAlertPage } from '../../db/queries/alert-rows.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../../db/queries/configs.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import { readNamedVariable } from '../../runtime/env.ts';
import { type App, attachApp } from '../app.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import { actor } from '../options.ts';
import { formatTable } from '../render/format.ts';

const LISTED = 50;

/** `nightshift alerts list|test`: what a person should know, and whether they would hear of it. */
export function alertsCommand(): Command {
  const alerts = new Command('alerts').description('alerts that are open, and whether their channels work');
  alerts
    .command('list')
    .description('the open alerts, newest first')
    .option('--all', `those that are over too, the newest ${LISTED}`)
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  alerts
    .command('test')
    .description(
      'send a test message to the channels of the configuration in force, with the secrets set here',
    )
    .option('--channel <name>', 'only this one')
    .option('--by <name>', 'who asks (default: login name)')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(test);
  return alerts;
}

async function list({ all, dataDir }: { all?: boolean; dataDir?: string }): Promise<void> {
  const app = await attachApp(dataDir);
  try {
    const rows = await readAlertPage(app.database.sql, {
      state: all === true ? 'all' : 'open',
      after: null,
      limit: LISTED,
    });
    const lines = rows.map(({ openedAt, severity, resolvedAt, rule, summary, deliveries }) => [
      openedAt,
      resolvedAt === null ? severity : `over since ${resolvedAt}`,
      rule,
      sentWords(deliveries),
      summary,
    ]);
    console.log(lines.length === 0 ? 'No alert.' : formatTable(lines).join('\n'));
  } finally {
    await app.close();
  }
}

/** `log sent, desk pending (the receiver answered 500)`. */
function sentWords(deliveries: readonly AlertDelivery[]): string {
  return deliveries
    .filter(({ kind, state }) => kind === 'opened' || state !== 'sent')
    .map(
      ({ channel, state, lastError }) =>
        `${channel} ${state.replaceAll('_', ' ')}${lastError === null ? '' : ` (${lastError})`}`,
    )
    .join(', ');
}

async function test(options: { channel?: string; by?: string; dataDir?: string }): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const { channels } = alertSettings(await fileInForce(app));
    const chosen = channels.filter(({ name }) => options.channel === undefined || name === options.channel);
    if (chosen.length === 0) {
      const names = channels.map(({ name }) => name).join(', ');
      throw new UsageError(
        options.channel === undefined
          ? 'no channel is configured (nightshift.alerts.channels)'
          : `--channel: there is no ${options.channel}; configured: ${names === '' ? 'none' : names}`,
      );
    }
    const by = actor(options.by);
    const results = await testChannels(
      { channels: chosen },
      {
        by,
        house: {
          readVariable: readNamedVariable,
          log: (level, message) => console.log(`${level} ${message}`),
        },
      },
    );
    const subject = chosen.map(({ name }) => name).join(', ');
    await insertAudit(app.database.sql, { actor: by, action: 'alerts.test', subject, details: { results } });
    const lines = results.map(({ channel, type, detail }) => [channel, type, detail]);
    console.log(formatTable(lines).join('\n'));
    if (results.some(({ arrived }) => !arrived)) process.exitCode = EXIT.failed;
  } finally {
    await app.close();
  }
}

async function fileInForce(app: App): Promise<ConfigFile> {
  const { sql } = app.database;
  const hash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = hash === null ? null : await findConfig(sql, hash);
  if (stored === null) throw new UsageError('no configuration has been applied yet');
  return parseStoredConfigFile(stored.body);
}
