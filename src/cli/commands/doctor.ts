import { Command } from 'commander';
import { diagnose } from '../../runtime/doctor.ts';

const MARKS = { ok: 'ok  ', warning: 'WARN', problem: 'FAIL' };

/** `nightshift doctor`: checks every part; the exit code is 1 when something is wrong. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check every part and say what is wrong and what to do')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .option('--json', 'print the findings as JSON')
    .action(async (options: { dataDir?: string; json?: boolean }) => {
      const findings = await diagnose(options.dataDir);
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
