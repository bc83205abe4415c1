import { Command } from 'commander';
import { restore } from '../../runtime/restore.ts';

/** `nightshift restore DIR`: the instance of a backup in a new data folder. */
export function restoreCommand(): Command {
  return new Command('restore')
    .description('bring a backup back into an empty data folder')
    .argument('<dir>', 'folder of the backup')
    .option('--data-dir <dir>', 'data folder (default .nightshift); must not exist or be empty')
    .action(async (source: string, options: { dataDir?: string }) => {
      const report = await restore({
        dataDir: options.dataDir,
        source,
        onNote: (text) => console.error(text),
      });
      console.log(
        `Restored ${report.tables} tables (${report.rows} rows) and ${report.files} files to ${report.dataDir}`,
      );
      if (report.paused.length === 0) return;
      console.log(
        `Paused here: ${report.paused.join(', ')}. The original may still run; when this copy takes over, ` +
          `let \`nightshift schedule unpause --by NAME --why TEXT --data-dir ${report.dataDir}\` follow \`nightshift up\`.`,
      );
    });
}
