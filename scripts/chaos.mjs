// All 25 cases of the crash matrix: each victim killed during each task. Prints the table at the end.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forgetExternalServices, projectRoot } from './lib/paths.mjs';
import { ensureSetup, reportSetupFailure } from './setup.mjs';

try {
  forgetExternalServices();
  await ensureSetup();
  const { build } = await import('./build.mjs');
  await build();
} catch (error) {
  reportSetupFailure(error);
  process.exit();
}

const table = join(projectRoot, 'test-artifacts', 'chaos.md');
mkdirSync(join(projectRoot, 'test-artifacts'), { recursive: true });
const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
const args = [vitest, 'run', '--project', 'chaos', '--reporter=verbose'];
const { status } = spawnSync(process.execPath, args, {
  cwd: projectRoot,
  stdio: 'inherit',
  env: { ...process.env, NIGHTSHIFT_CHAOS: 'all', NIGHTSHIFT_CHAOS_TABLE: table },
});
console.log('\n| killed | night | wall | attempts |\n|---|---|---|---|');
console.log(readFileSync(table, 'utf8'));
process.exitCode = status ?? 1;
