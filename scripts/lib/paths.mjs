// Where things are: the only place that knows the layout of the project, the cache and the Python environment.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The pinned Temporal server and the CLI release that carries it (tools/temporal/go.mod pins the same). */
export const TEMPORAL_SERVER_VERSION = '1.31.2';
export const TEMPORAL_CLI_VERSION = '1.8.2';

/** Folder with our package.json: found upwards, so that it holds for sources and for bundles in dist/. */
function findProjectRoot() {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'nightshift')
      return folder;
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the folder of nightshift (package.json) was not found');
    folder = parent;
  }
}

export const projectRoot = findProjectRoot();
export const venvFolder = join(projectRoot, '.venv');

/** Python of the product's own environment. */
export function venvPython() {
  return process.platform === 'win32'
    ? join(venvFolder, 'Scripts', 'python.exe')
    : join(venvFolder, 'bin', 'python');
}

/** Cache of the product, shared by all its copies on this machine. */
export function cacheFolder() {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, 'nightshift');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'nightshift');
  if (process.platform === 'win32') {
    return join(process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'nightshift', 'cache');
  }
  return join(homedir(), '.cache', 'nightshift');
}

/** Where set-up keeps the Temporal server that it downloaded or built. */
export function cachedTemporal() {
  const name = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  return join(cacheFolder(), 'temporal', TEMPORAL_SERVER_VERSION, name);
}

/** For tests, which start servers of their own: whatever others the shell names, nothing of them is touched. */
export function forgetExternalServices() {
  for (const name of Object.keys(process.env)) {
    if (/^(DATABASE_URL|ARTIFACT_URL|TEMPORAL_.*|NIGHTSHIFT_DB_URL_.*)$/.test(name)) delete process.env[name];
  }
}

/** True when the environment names a Temporal cluster, so that none is embedded. */
export function usesExternalTemporal() {
  return Boolean(process.env.TEMPORAL_ADDRESS || process.env.TEMPORAL_PROFILE);
}
