// The long form of a test: Schemathesis against a throw-away instance with a real night, with more examples and with
// calls that follow each other. Arguments go to Schemathesis: npm run schemathesis -- --max-examples 500 --seed 7
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { forgetExternalServices, projectRoot } from './lib/paths.mjs';
import { ensureSetup, reportSetupFailure } from './setup.mjs';

const LONG = ['--phases', 'examples,coverage,fuzzing,stateful', '--max-examples', '100'];

try {
  forgetExternalServices();
  await ensureSetup({ dev: true });
} catch (error) {
  reportSetupFailure(error);
  process.exit();
}

const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
const test = ['tests/integration/api-results.test.ts', '--testNamePattern', 'Schemathesis'];
const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', 'integration', ...test], {
  cwd: projectRoot,
  stdio: 'inherit',
  env: { ...process.env, NIGHTSHIFT_SCHEMATHESIS: [...LONG, ...process.argv.slice(2)].join(' ') },
});
process.exitCode = status ?? 1;
