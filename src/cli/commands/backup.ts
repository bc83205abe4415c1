import { Command } from 'commander';
import { backup } from '../../runtime/backup.ts';

/** `nightshift backup DIR`: everything a new machine needs to go on. */
export function backupCommand(): Command {
  return new Command('backup')
    .description('save database, artifacts, configuration, secrets and schedules to a new folder')
    .argument('<dir>', 'folder to create')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(async (target: string, options: { dataDir?: string }) => {
      const report = await backup({
        dataDir: options.dataDir,
        target,
        onNote: (text) => console.error(text),
      });
      const size = (report.bytes / 1024 ** 2).toFixed(1);
      console.log(
        `Saved ${report.tables} tables (${report.rows} rows) and ${report.files} files, ${size} MiB, to ${report.target}`,
      );
      console.log('It holds the secrets of this instance: keep it where only you can read it.');
    });
}
