import { Command } from 'commander';
import { openEvents } from '../../db/queries/events.ts';
import { leaveSession, MISSED_EVENT, type MissedSession } from '../../db/queries/missed-sessions.ts';
import { readMissedNights } from '../../reconciler/open.ts';
import { type App, attachApp, temporalTarget, withPipelineRole } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { requireDate } from '../options.ts';

type Act = { by: string; why: string; universe?: string; dataDir?: string };

/** `nightshift missed leave SESSION`: a named person decides that a missed session is not run any more. */
export function missedCommand(): Command {
  const missed = new Command('missed').description('sessions that nobody has run (`status` lists them)');
  missed
    .command('leave')
    .description('leave one for good: it is past its use, and its alert is over')
    .argument('<session>', 'its date')
    .requiredOption('--by <name>', 'who decides')
    .requiredOption('--why <text>', 'the reason, kept in the audit')
    .option('--universe <name>', 'of which universe, where several have missed it')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(leave);
  return missed;
}

async function leave(session: string, { by, why, universe, dataDir }: Act): Promise<void> {
  const sessionDate = requireDate('session', session);
  const app = await attachApp(dataDir);
  try {
    const missed = await missedSessions(app);
    const chosen = missed.filter(
      (one) => one.sessionDate === sessionDate && (universe === undefined || one.universe === universe),
    );
    const [only, ...others] = chosen;
    if (only === undefined || others.length > 0) throw new UsageError(refusal(sessionDate, chosen, missed));
    await withPipelineRole(app, ({ sql }) => leaveSession(sql, { ...only, by, why }));
    console.log(`${sessionDate} (${only.universe}) is left: ${why}`);
  } finally {
    await app.close();
  }
}

/** What the watchdog finds now, and what it reported before and nobody has run since. */
async function missedSessions(app: App): Promise<MissedSession[]> {
  const { urls } = app.runtime;
  const now = await readMissedNights({ pipelineUrl: urls.pipeline, temporal: temporalTarget(app.runtime) });
  const reported = await openEvents(app.database.sql, MISSED_EVENT);
  const all = [
    ...now.map(({ universe, sessionDate }) => ({ universe, sessionDate })),
    ...reported.flatMap(({ subject, sessionDate }) =>
      sessionDate === null ? [] : [{ universe: subject, sessionDate }],
    ),
  ];
  return [...new Map(all.map((one) => [`${one.universe} ${one.sessionDate}`, one])).values()];
}

function refusal(
  sessionDate: string,
  chosen: readonly MissedSession[],
  missed: readonly MissedSession[],
): string {
  if (chosen.length > 1)
    return `session: ${sessionDate} was missed by ${chosen.map(({ universe }) => universe).join(' and ')}: say --universe`;
  const names = missed.map((one) => `${one.sessionDate} (${one.universe})`).join(', ');
  return `session: ${sessionDate} is not missed; missed: ${names === '' ? 'none' : names}`;
}
