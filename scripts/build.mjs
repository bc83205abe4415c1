// Builds dist/: the command, the worker and the dashboard's assets (esbuild), the workflow bundle (the Temporal SDK's
// bundler).
// Each is skipped while the hash of what goes into it has not changed.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectRoot } from './lib/paths.mjs';
import { hashOf, readStamp, writeStamp } from './lib/stamp.mjs';
import { runStep } from './lib/steps.mjs';

const dist = join(projectRoot, 'dist');
const stampPath = join(dist, '.build.json');
const islands = join(projectRoot, 'src', 'dashboard', 'client');
const assets = join(dist, 'assets');
const entries = {
  'cli/main': 'src/cli/main.ts',
  'worker/main': 'src/worker/main.ts',
  'compute/main': 'src/activities/compute/thread.ts',
  'api/main': 'src/api/main.ts',
};
const workflowEntry = join(projectRoot, 'src', 'workflows', 'index.ts');
const workflowSources = ['src/workflows', 'src/contracts', 'src/domain'];

/** Hash over the TypeScript files of folders (tests left out), the lockfile and this script. */
function hashSources(folders) {
  const files = folders.flatMap((folder) => sourceFiles(join(projectRoot, folder))).sort();
  const always = [join(projectRoot, 'package-lock.json'), fileURLToPath(import.meta.url)];
  return hashOf(
    ...[...files, ...always].flatMap((file) => [relative(projectRoot, file), readFileSync(file)]),
  );
}

function sourceFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return /\.(m?tsx?|mjs|json|css|svg)$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

/** Brings dist/ up to date. Resolves to what was built, for tests and messages. */
export async function build() {
  const stamp = readStamp(stampPath);
  const hashes = { app: hashSources(['src', 'scripts/lib']), workflows: hashSources(workflowSources) };
  const wanted = [
    join(dist, 'cli', 'main.js'),
    ...(existsSync(islands) ? [join(assets, 'manifest.json')] : []),
  ];
  const isThere = wanted.every((path) => existsSync(path));
  const builtApp = stamp.app !== hashes.app || !isThere;
  const buildsWorkflows =
    existsSync(workflowEntry) &&
    (stamp.workflows !== hashes.workflows || !existsSync(join(dist, 'workflows.js')));
  if (builtApp || buildsWorkflows) {
    const parts = [
      ...(builtApp ? ['the command and the worker'] : []),
      ...(buildsWorkflows ? ['the workflows'] : []),
    ];
    await runStep({
      name: 'build',
      what: `bundling ${parts.join(' and ')} into dist/`,
      abort: new AbortController(),
      work: () => Promise.all([builtApp && bundleApp(), buildsWorkflows && bundleWorkflows()]),
    });
    writeStamp(stampPath, hashes);
  }
  return { app: builtApp, workflows: buildsWorkflows };
}

/** One bundle per entry: a mistake in one leaves the others usable. Throws after all have been tried. */
async function bundleApp() {
  const { build: esbuild } = await import('esbuild');
  const present = Object.entries(entries).filter(([, source]) => existsSync(join(projectRoot, source)));
  const outcomes = await Promise.allSettled([
    ...present.map((entry) => bundleEntry(esbuild, entry)),
    bundleAssets(esbuild),
  ]);
  const failures = outcomes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message);
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

async function bundleEntry(esbuild, [name, source]) {
  const { outputFiles } = await esbuild({
    absWorkingDir: projectRoot,
    entryPoints: { [name]: source },
    outdir: 'dist',
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20.3',
    packages: 'external',
    sourcemap: true,
    keepNames: true,
    logLevel: 'silent',
  });
  for (const { path, contents } of outputFiles) writeWhole(path, contents);
}

/**
 * What the dashboard's pages load, under names that hold the hash of the content. Assets of the build before stay: a
 * page that is open in a browser may still ask for them.
 */
async function bundleAssets(esbuild) {
  if (!existsSync(islands)) return;
  const { outputFiles } = await esbuild({
    absWorkingDir: projectRoot,
    entryPoints: ['app.ts', 'charts.ts', 'app.css', 'icon.svg'].map((name) => join(islands, name)),
    entryNames: '[name]-[hash]',
    outdir: assets,
    loader: { '.svg': 'copy' },
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'silent',
  });
  for (const { path, contents } of outputFiles) writeWhole(path, contents);
  const names = outputFiles.map(({ path }) => [
    basename(path).replace(/-[A-Z0-9]{8}(?=\.\w+$)/, ''),
    basename(path),
  ]);
  writeWhole(join(assets, 'manifest.json'), JSON.stringify(Object.fromEntries(names)));
}

async function bundleWorkflows() {
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const quiet = () => undefined;
  const logger = {
    log: quiet,
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: console.warn,
    error: console.error,
  };
  const { code } = await bundleWorkflowCode({
    workflowsPath: workflowEntry,
    workflowInterceptorModules: ['run-context.ts', 'step-progress.ts', 'tracing.ts'].map((file) =>
      join(projectRoot, 'src', 'workflows', 'lib', file),
    ),
    logger,
  });
  writeWhole(join(dist, 'workflows.js'), code);
}

/** A running instance may read the old file meanwhile: it never sees half of the new one. */
function writeWhole(path, contents) {
  mkdirSync(join(path, '..'), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const startedAt = Date.now();
  const built = await build();
  console.log(`${JSON.stringify(built)} in ${((Date.now() - startedAt) / 1000).toFixed(2)} s`);
}
