// The test command: set-up with the test dependencies, then every TypeScript and Python test.
// Prints last `N passed, N failed`; the exit code is 1 when anything failed or a suite did not run.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { forgetExternalServices, projectRoot, venvPython } from './lib/paths.mjs';
import { ensureSetup, reportSetupFailure } from './setup.mjs';

const resultsDir = join(projectRoot, 'test-artifacts');
const only = process.argv.slice(2);

/**
 * What runs after and beside what. Integration tests and the nights of the crash matrix mostly wait, so two
 * lanes share the cores; the last stage measures times and has the machine alone.
 */
const STAGES = [[['integration'], ['chaos', 'python', 'unit']], [['timed']]];

/** Runs a command; its output appears at once, or as one block at its end where another suite runs beside it. */
function run(command, args, { isBeside, ...options }) {
  return new Promise((resolve, reject) => {
    const stdio = isBeside ? ['ignore', 'pipe', 'pipe'] : 'inherit';
    const child = spawn(command, args, { cwd: projectRoot, stdio, ...options });
    const output = [];
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => output.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      process.stdout.write(Buffer.concat(output));
      resolve(code ?? 1);
    });
  });
}

function secondsSince(startedAt) {
  return ((Date.now() - startedAt) / 1000).toFixed(1);
}

/** Runs a vitest project; returns its counts, or one failure when it produced no result file. */
async function vitest(project, isBeside) {
  const output = join(resultsDir, `vitest-${project}.json`);
  const startedAt = Date.now();
  const bin = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
  const code = await run(process.execPath, [bin, 'run', '--project', project, ...reporters], { isBeside });
  return { name: `vitest ${project}`, seconds: secondsSince(startedAt), ...countVitest(output, code) };
}

function countVitest(output, code) {
  try {
    const report = JSON.parse(readFileSync(output, 'utf8'));
    const brokenFiles = report.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    );
    const failed = report.numFailedTests + brokenFiles.length;
    return { passed: report.numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

async function pytest(isBeside) {
  const output = join(resultsDir, 'pytest.xml');
  const startedAt = Date.now();
  const code = await run(venvPython(), ['-m', 'pytest', '-q', 'tests', `--junitxml=${output}`], {
    cwd: join(projectRoot, 'ml'),
    isBeside,
  });
  return { name: 'pytest', seconds: secondsSince(startedAt), ...countJunit(output, code) };
}

function countJunit(output, code) {
  try {
    const suite = /<testsuite [^>]*>/.exec(readFileSync(output, 'utf8'))?.[0] ?? '';
    const count = (name) => Number(new RegExp(`${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
    const failed = count('errors') + count('failures');
    return {
      passed: count('tests') - failed - count('skipped'),
      failed: failed === 0 && code !== 0 ? 1 : failed,
    };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

const setupStartedAt = Date.now();
try {
  forgetExternalServices();
  await ensureSetup({ dev: true });
  console.log(`\nset-up: ${secondsSince(setupStartedAt)} s`);
  const { build } = await import('./build.mjs');
  await build();
} catch (error) {
  reportSetupFailure(error);
  console.log('no test was run\n0 passed, 1 failed');
  process.exit();
}

rmSync(resultsDir, { recursive: true, force: true });
mkdirSync(resultsDir, { recursive: true });
const testsStartedAt = Date.now();
/** The suites of a lane one after the other; resolves to their counts. */
async function runLane(names, isBeside) {
  const results = [];
  for (const name of names) {
    results.push(await (name === 'python' ? pytest(isBeside) : vitest(name, isBeside)));
  }
  return results;
}

const results = [];
for (const stage of STAGES) {
  const lanes = stage
    .map((names) => names.filter((name) => only.length === 0 || only.includes(name)))
    .filter((names) => names.length > 0);
  results.push(...(await Promise.all(lanes.map((names, index) => runLane(names, index > 0)))).flat());
}
for (const { name, passed, failed, seconds } of results) {
  console.log(`${name}: ${passed} passed, ${failed} failed in ${seconds} s`);
}
console.log(`tests: ${secondsSince(testsStartedAt)} s`);
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.reduce((sum, result) => sum + result.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
