import { Command, CommanderError } from 'commander';
import { StartInterruptedError } from '../runtime/embedded.ts';
import { OtherAddressesError } from '../runtime/same-addresses.ts';
import { DecisionRefusedError } from '../temporal/decisions.ts';
import { RunRefusedError } from '../temporal/manual-request.ts';
import { ReviewRefusedError } from '../temporal/verbs.ts';
import { alertsCommand } from './commands/alerts.ts';
import { backupCommand } from './commands/backup.ts';
import { calendarCommand } from './commands/calendar.ts';
import { configCommand } from './commands/config.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downCommand } from './commands/down.ts';
import { explainCommand } from './commands/explain.ts';
import { missedCommand } from './commands/missed.ts';
import { modelCommand } from './commands/model.ts';
import { nightlyCommand } from './commands/nightly.ts';
import { quarantineCommand } from './commands/quarantine.ts';
import { restoreCommand } from './commands/restore.ts';
import { reviewCommand } from './commands/review.ts';
import { runTaskCommand } from './commands/run-task.ts';
import { scheduleCommand } from './commands/schedule.ts';
import { statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { upCommand } from './commands/up.ts';
import { EXIT, UsageError } from './exit-codes.ts';

/** Runs one `nightshift` command line and sets the exit code. */
export async function main(argv: string[]): Promise<void> {
  const program = new Command('nightshift')
    .description("A quant desk's night, durable, on Temporal.")
    .addCommand(nightlyCommand())
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(statusCommand())
    .addCommand(runTaskCommand())
    .addCommand(reviewCommand())
    .addCommand(quarantineCommand())
    .addCommand(calendarCommand())
    .addCommand(modelCommand())
    .addCommand(explainCommand())
    .addCommand(configCommand())
    .addCommand(scheduleCommand())
    .addCommand(missedCommand())
    .addCommand(alertsCommand())
    .addCommand(tokenCommand())
    .addCommand(doctorCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand());
  overrideExit(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = explainFailure(error);
  }
}

function overrideExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
}

/** One line for a person; commander has printed its own already. */
function explainFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const refused = [ReviewRefusedError, DecisionRefusedError, RunRefusedError, OtherAddressesError].some(
    (kind) => error instanceof kind,
  );
  // A refusal is said in full; its cause is only how it came to us.
  console.error(`nightshift: ${refused && error instanceof Error ? error.message : textOf(error)}`);
  if (error instanceof StartInterruptedError) return EXIT.interrupted;
  return refused || error instanceof UsageError ? EXIT.usage : EXIT.failed;
}

/** The message, with that of its cause where that says something else. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return cause === '' || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}
