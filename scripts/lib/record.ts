import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { projectRoot } from './paths.mjs';

const FINGERPRINTS = 'src/workflows/fingerprints.json';

/**
 * Runs the scenarios of tests/replay on a real server and writes what `mode` names (histories of the `only` scenario,
 * if one is named). Resolves to the exit code.
 */
export async function recordWith(mode: 'histories' | 'fingerprints', only?: string): Promise<number> {
  const settings = {
    NIGHTSHIFT_RECORD: mode,
    ...(only === undefined ? {} : { NIGHTSHIFT_RECORD_ONLY: only }),
  };
  const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const biome = join(projectRoot, 'node_modules', '.bin', 'biome');
  const test = 'tests/replay/fingerprints.test.ts';
  const code = await run(process.execPath, [vitest, 'run', '--project', 'integration', test], settings);
  await run(biome, ['format', '--write', FINGERPRINTS], settings);
  return code;
}

function run(command: string, args: string[], settings: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...settings };
    const child = spawn(command, args, { cwd: projectRoot, stdio: 'inherit', env });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
