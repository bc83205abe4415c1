import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { projectRoot } from './paths.mjs';

const FINGERPRINTS = 'src/workflows/fingerprints.json';

/** Runs the scenarios of tests/replay on a real server and writes what `mode` names. Resolves to the exit code. */
export async function recordWith(mode: 'histories' | 'fingerprints'): Promise<number> {
  const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const biome = join(projectRoot, 'node_modules', '.bin', 'biome');
  const test = 'tests/replay/fingerprints.test.ts';
  const code = await run(process.execPath, [vitest, 'run', '--project', 'integration', test], mode);
  await run(biome, ['format', '--write', FINGERPRINTS], mode);
  return code;
}

function run(command: string, args: string[], mode: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NIGHTSHIFT_RECORD: mode };
    const child = spawn(command, args, { cwd: projectRoot, stdio: 'inherit', env });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
