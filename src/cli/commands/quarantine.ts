import { Command, Option } from 'commander';
import type { QuarantineDecision } from '../../contracts/decisions.ts';
import { type QuarantineRow, type QuarantineStatus, readQuarantine } from '../../db/queries/quarantine.ts';
import { decideQuarantine } from '../../temporal/decisions.ts';
import { type App, attachApp } from '../app.ts';
import { requireCount, requireDate } from '../options.ts';
import { formatTable } from '../render/format.ts';
import { type AskedRow, chooseRow } from './quarantine-row.ts';

const STATUSES = ['pending', 'released', 'rejected', 'all'] as const;
const LISTED = 200;

type ListOptions = { status: QuarantineStatus | 'all'; symbol?: string; dataDir?: string };
type Act = { subject?: string; provider?: string; row?: number; by: string; why: string; dataDir?: string };

/**
 * `nightshift quarantine list|release|reject`: rows that cannot be true, splits and dividends that prices deny,
 * symbols held after a long gap, and what people decide about them.
 */
export function quarantineCommand(): Command {
  const quarantine = new Command('quarantine').description(
    'impossible rows, splits and dividends that prices deny, tickers after a long gap: look at them, decide',
  );
  quarantine
    .command('list')
    .addOption(
      new Option('--status <status>', 'which ones').choices([...STATUSES]).default('pending' as const),
    )
    .option('--symbol <symbol>', 'only this symbol')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  const act = (decision: QuarantineDecision, description: string): Command =>
    quarantine
      .command(decision)
      .description(description)
      .argument('<symbol>')
      .argument('<session>', 'date of the row')
      .option(
        '--subject <what>',
        'bar, gap, a split like "split 7:1" or a dividend like "dividend 12.5" (needed where several are there)',
      )
      .option('--provider <name>', 'who delivered it (needed where several did)')
      .requiredOption('--by <name>', 'who decides')
      .requiredOption('--why <text>', 'the reason, kept in the audit')
      .option('--data-dir <dir>', 'data folder (default .nightshift)')
      .action((symbol: string, session: string, options: Act) => decide(decision, symbol, session, options));
  act(
    'release',
    'make it a bar, apply the split, believe the dividend, join what the gap parts (the same company): from now on',
  ).option('--row <n>', 'which of several delivered rows, from 1', requireCount('--row'));
  act(
    'reject',
    'keep the bar out, do not apply the split, do not believe the dividend, do not join (another company)',
  );
  return quarantine;
}

async function list(options: ListOptions): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const rows = await readQuarantine(app.database.sql, {
      limit: LISTED,
      ...(options.status === 'all' ? {} : { status: options.status }),
      ...(options.symbol === undefined ? {} : { symbols: [options.symbol] }),
    });
    const head = ['symbol', 'session', 'provider', 'status', 'row', 'as delivered', 'reason'];
    const lines = rows.flatMap(linesOf);
    console.log(
      lines.length === 0 ? `no ${wordOf(options.status)} row` : formatTable([head, ...lines]).join('\n'),
    );
    if (rows.length === LISTED) console.log(`the first ${LISTED}; --symbol shows more`);
  } finally {
    await app.close();
  }
}

function wordOf(status: ListOptions['status']): string {
  return status === 'all' ? 'quarantined' : status;
}

/** One line per delivered bar: several of them are a duplicate of which a person may choose one. */
function linesOf(row: QuarantineRow): string[][] {
  const decided =
    row.status === 'pending' ? '' : `; ${row.status} by ${row.decidedBy}: ${row.decisionReason}`;
  const { symbol, sessionDate, provider, status, subject, reason } = row;
  if (subject !== 'bar') return [[symbol, sessionDate, provider, status, '', subject, `${reason}${decided}`]];
  return row.raw.map(({ open, high, low, close, volume }, index) => [
    row.symbol,
    row.sessionDate,
    row.provider,
    row.status,
    String(index + 1),
    [open, high, low, close, volume].map((value) => value ?? 'null').join(' '),
    index === 0 ? `${row.reason}${decided}` : '',
  ]);
}

async function decide(
  decision: QuarantineDecision,
  symbol: string,
  session: string,
  options: Act,
): Promise<void> {
  const sessionDate = requireDate('session', session);
  const app = await attachApp(options.dataDir);
  try {
    const { subject, provider } = await onlyRow(app, { symbol, sessionDate, ...options });
    const { by, why, row = null } = options;
    const input = { symbol, sessionDate, subject, provider, decision, row, by, why };
    const result = await decideQuarantine(app.client, input);
    const what = subject === 'bar' ? '' : ` ${subject}`;
    console.log(
      `${symbol} ${sessionDate}${what} (${provider}) ${result.status} by ${result.decidedBy} at ${result.decidedAt}: ${result.why}`,
    );
  } finally {
    await app.close();
  }
}

/** The row that is meant, among those of that symbol and date. */
async function onlyRow(app: App, asked: AskedRow): Promise<{ subject: string; provider: string }> {
  const { symbol, sessionDate } = asked;
  const rows = await readQuarantine(app.database.sql, { symbols: [symbol], throughSession: sessionDate });
  return chooseRow(rows, asked);
}
