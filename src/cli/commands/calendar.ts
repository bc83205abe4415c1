import { Command } from 'commander';
import type { SessionOverrideInput } from '../../contracts/decisions.ts';
import { listSessionOverrides, type SessionOverrideRow } from '../../db/queries/sessions.ts';
import { localClock } from '../../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { overrideSession } from '../../temporal/decisions.ts';
import { attachApp } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { requireDate } from '../options.ts';
import { formatTable } from '../render/format.ts';

type Act = { closed?: boolean; open?: string; close?: string; by: string; why: string; dataDir?: string };

/** `nightshift calendar list|override|remove`: corrections of the exchange calendar, each one audited. */
export function calendarCommand(): Command {
  const calendar = new Command('calendar').description('corrections of the exchange calendar');
  calendar
    .command('list')
    .option('--all', 'also those that were removed')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  const act = (name: string, description: string): Command =>
    calendar
      .command(name)
      .description(description)
      .argument('<session>', 'date, like 2018-12-05')
      .requiredOption('--by <name>', 'who decides')
      .requiredOption('--why <text>', 'the reason, kept in the audit')
      .option('--data-dir <dir>', 'data folder (default .nightshift)');
  act('override', 'the exchange was closed on this date, or had other hours')
    .option('--closed', 'no session')
    .option('--open <HH:MM>', 'open, New York time (default: as in the calendar)')
    .option('--close <HH:MM>', 'close, New York time (default: as in the calendar)')
    .action((session: string, options: Act) => change(session, wantedOf(options), options));
  act('remove', 'take a correction back: the calendar holds again').action((session: string, options: Act) =>
    change(session, { change: 'remove', open: null, close: null }, options),
  );
  return calendar;
}

type Wanted = Pick<SessionOverrideInput, 'change' | 'open' | 'close'>;

function wantedOf(options: Act): Wanted {
  const { closed = false } = options;
  const open = options.open ?? null;
  const close = options.close ?? null;
  const hasHours = open !== null || close !== null;
  if (closed === hasHours) throw new UsageError('give either --closed, or --open and --close or one of them');
  return closed ? { change: 'closed', open: null, close: null } : { change: 'hours', open, close };
}

async function change(session: string, wanted: Wanted, options: Act): Promise<void> {
  const sessionDate = requireDate('session', session);
  const app = await attachApp(options.dataDir);
  try {
    const { by, why } = options;
    const result = await overrideSession(app.client, { sessionDate, ...wanted, by, why });
    const { openAt, closeAt } = result;
    const hours = openAt === null ? '' : `, ${newYork(openAt)} to ${newYork(closeAt)} New York time`;
    const state = result.state === 'removed' ? 'override removed' : result.state;
    console.log(
      `${sessionDate} ${state}${hours}; by ${result.decidedBy} at ${result.decidedAt}: ${result.why}`,
    );
  } finally {
    await app.close();
  }
}

async function list(options: { all?: boolean; dataDir?: string }): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const rows = await listSessionOverrides(app.database.sql);
    const shown = options.all === true ? rows : rows.filter(({ removedAt }) => removedAt === null);
    const head = ['session', 'kind', 'open', 'close', 'by', 'why'];
    console.log(
      shown.length === 0
        ? 'no overrides: the calendar file holds'
        : formatTable([head, ...shown.map(lineOf)]).join('\n'),
    );
  } finally {
    await app.close();
  }
}

/** Hours are given and shown on the exchange's clock; '' where the calendar's own hold. */
function newYork(instant: string | null): string {
  return instant === null ? '' : localClock(Date.parse(instant), XNYS_TIME_ZONE);
}

function lineOf(row: SessionOverrideRow): string[] {
  const removed = row.removedAt === null ? '' : ` (removed by ${row.removedBy}: ${row.removeReason})`;
  return [
    row.sessionDate,
    row.removedAt === null ? row.kind : `${row.kind} (removed)`,
    newYork(row.openAt),
    newYork(row.closeAt),
    row.decidedBy,
    `${row.reason}${removed}`,
  ];
}
