import { Command, CommanderError } from 'commander';
import { downCommand } from './commands/down.ts';
import { upCommand } from './commands/up.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one `nightshift` command line and sets the exit code. */
export async function main(argv: string[]): Promise<void> {
  const program = new Command('nightshift')
    .description("A quant desk's night, durable, on Temporal.")
    .exitOverride()
    .addCommand(upCommand())
    .addCommand(downCommand());
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
      return;
    }
    console.error(`nightshift: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = EXIT_FAILED;
  }
}
