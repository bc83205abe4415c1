import { Command } from 'commander';
import { stopRunning } from '../../runtime/attach.ts';

/** `nightshift down`: stops the running instance of a data folder and waits until it is gone. */
export function downCommand(): Command {
  return new Command('down')
    .description('stop the running instance')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(async (options: { dataDir?: string }) => {
      const pid = await stopRunning(options.dataDir);
      console.log(pid === null ? 'Nothing is running.' : `Stopped (it was pid ${pid}).`);
    });
}
