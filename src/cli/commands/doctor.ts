import { Command } from 'commander';
import { currentFile } from '../../activities/planning/config-source.ts';
import { type ConfigFile, effectiveConfig } from '../../contracts/schemas/config.ts';
import { attachRuntime } from '../../runtime/attach.ts';
import { diagnose } from '../../runtime/doctor.ts';
import { withDatabase } from '../../runtime/with-database.ts';
import { DEFAULT_CONFIG, readConfig } from '../app.ts';

const MARKS = { ok: 'ok  ', warning: 'WARN', problem: 'FAIL' };

/** `nightshift doctor`: checks every part; the exit code is 1 when something is wrong. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check every part and say what is wrong and what to do')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--json', 'print the findings as JSON')
    .action(async (options: { dataDir?: string; json?: boolean }) => {
      const findings = await diagnose(options.dataDir, () => minFreeGib(options.dataDir));
      if (options.json) {
        console.log(JSON.stringify(findings, null, 2));
      } else {
        for (const { level, part, text, advice } of findings) {
          console.log(`${MARKS[level]}  ${part}: ${text}`);
          if (advice !== null) console.log(`      → ${advice}`);
        }
      }
      if (findings.some(({ level }) => level === 'problem')) process.exitCode = 1;
    });
}

/** By the configuration in force where an instance runs and can be asked, else by the file a start would find. */
async function minFreeGib(dataDir: string | undefined): Promise<number> {
  const inForce = await fileInForce(dataDir).catch(() => null);
  return effectiveConfig(inForce ?? (await readConfig(DEFAULT_CONFIG))).minFreeDiskGib;
}

async function fileInForce(dataDir: string | undefined): Promise<ConfigFile | null> {
  const runtime = await attachRuntime(dataDir);
  if (runtime === null) return null;
  try {
    return await withDatabase(runtime.urls.api, currentFile);
  } finally {
    await runtime.stop();
  }
}
