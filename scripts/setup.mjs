// Set-up without dependencies: node_modules, the Python environment and the Temporal server, side by side.
// Nothing changed since the last start: a few file reads, no process is started.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installNodePackages, nodePackagesReady } from './lib/node-packages.mjs';
import { usesExternalTemporal } from './lib/paths.mjs';
import { installPython, pythonReady } from './lib/python-env.mjs';
import { withSetupLock } from './lib/setup-lock.mjs';
import { runStep, SetupError } from './lib/steps.mjs';
import { findTemporal, installTemporal } from './lib/temporal-server.mjs';

/**
 * Makes sure that everything a start needs is there. `dev` adds the Python packages of the tests.
 * Sets NIGHTSHIFT_TEMPORAL_BIN for this process and its children. Throws the first failure, already printed.
 */
export async function ensureSetup({ dev = false } = {}) {
  requireNodeVersion();
  const external = usesExternalTemporal();
  const isReady = async () =>
    nodePackagesReady() && pythonReady({ dev }) && (external || (await findTemporal()) !== null);
  if (!(await isReady())) await withSetupLock((signal) => runMissingSteps({ dev, external, signal }));
  if (!external) process.env.NIGHTSHIFT_TEMPORAL_BIN ??= (await findTemporal()) ?? '';
}

async function runMissingSteps({ dev, external, signal }) {
  const abort = new AbortController();
  signal.addEventListener('abort', () => abort.abort('it was interrupted'), { once: true });
  const steps = [];
  if (!nodePackagesReady()) {
    const what = 'installing the Node packages of package-lock.json (npm ci)';
    steps.push({ name: 'node packages', what, work: installNodePackages });
  }
  if (!pythonReady({ dev })) {
    const what = 'setting up the Python environment of the model worker in .venv';
    steps.push({ name: 'python', what, work: (step) => installPython({ dev, ...step }) });
  }
  if (!external && (await findTemporal()) === null) {
    steps.push({ name: 'temporal server', what: 'getting the Temporal server', work: installTemporal });
  }
  const outcomes = await Promise.allSettled(steps.map((step) => runStep({ ...step, abort })));
  const failure = outcomes.find(
    ({ status, reason }) => status === 'rejected' && reason instanceof SetupError,
  );
  const failed = failure ?? outcomes.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw Object.assign(failed.reason, { printed: true });
}

function requireNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 3)) return;
  throw new SetupError(`Node ${process.versions.node} is too old`, [
    'Install Node 20.3 or newer (https://nodejs.org).',
  ]);
}

/** Prints a failure that no step has printed yet and sets the exit code. */
export function reportSetupFailure(error) {
  if (!error.printed) {
    process.stderr.write(`set-up failed: ${error instanceof SetupError ? error.message : error.stack}\n`);
    for (const line of error.advice ?? []) process.stderr.write(`  ${line}\n`);
  }
  process.exitCode = error.exitCode ?? 1;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const startedAt = Date.now();
  ensureSetup({ dev: process.argv.includes('--dev') }).then(
    () => process.stderr.write(`set-up complete in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`),
    reportSetupFailure,
  );
}
