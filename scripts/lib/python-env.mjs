// Step 2: the Python environment of the model worker, from a lock with hashes.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { capture, mustRun, requireDisk } from './exec.mjs';
import { projectRoot, venvFolder, venvPython } from './paths.mjs';
import { hashOf, readStamp, writeStamp } from './stamp.mjs';
import { SetupError } from './steps.mjs';

const OLDEST_MINOR = 11;
const NEWEST_MINOR = 13;
const locks = {
  runtime: join(projectRoot, 'ml', 'requirements.lock'),
  dev: join(projectRoot, 'ml', 'requirements-dev.lock'),
};
const installerLock = join(projectRoot, 'scripts', 'lib', 'uv-requirements.lock');
const stampPath = join(venvFolder, '.nightshift-setup.json');

const lockHash = (kind) => hashOf(readFileSync(locks[kind]), venvFolder);

/** True when the environment holds what the lock names; `dev` adds the packages of the tests. */
export function pythonReady({ dev }) {
  const stamp = readStamp(stampPath);
  // The base interpreter can vanish under a venv (an upgraded system Python leaves a dangling link).
  if (!existsSync(venvPython())) return false;
  return stamp.runtime === lockHash('runtime') && (!dev || stamp.dev === lockHash('dev'));
}

/** Creates the environment when needed and installs the locked packages into it. */
export async function installPython({ dev, note, signal }) {
  const stamp = readStamp(stampPath);
  const reusable = existsSync(venvPython()) && stamp.runtime === lockHash('runtime');
  await requireDisk(projectRoot, reusable ? 0.5 : 2);
  if (!reusable) {
    const python = await findPython();
    note(`creating .venv with Python ${python.version} (${python.path})`);
    rmSync(venvFolder, { recursive: true, force: true });
    await mustRun('creating the Python environment', python.path, ['-m', 'venv', venvFolder], { signal });
  }
  const uv = await installUv({ note, signal });
  note(`installing the Python packages${dev ? ' with those of the tests' : ''} (about 1.3 GB on disk)`);
  const lock = dev ? locks.dev : locks.runtime;
  if (uv !== null) {
    await mustRun('installing the Python packages', uv, ['pip', 'install', '--require-hashes', '-r', lock], {
      signal,
      cwd: projectRoot,
      env: { ...process.env, ...(await uvEnvironment()), VIRTUAL_ENV: venvFolder },
    });
  } else {
    await mustRun(
      'installing the Python packages',
      venvPython(),
      ['-m', 'pip', 'install', '--require-hashes', '-r', lock],
      {
        signal,
        cwd: projectRoot,
      },
    );
  }
  if (!reusable) await keepBytecode({ note, signal });
  writeStamp(stampPath, { runtime: lockHash('runtime'), dev: dev ? lockHash('dev') : stamp.dev });
}

/**
 * Imports every library once and keeps the bytecode: uv writes none, and where PYTHONDONTWRITEBYTECODE is set each
 * process of the model worker would compile it all anew. Fails when a library cannot be loaded on this machine.
 */
async function keepBytecode({ note, signal }) {
  note('loading the libraries of the models once');
  const { PYTHONDONTWRITEBYTECODE: _, ...environment } = process.env;
  await mustRun('loading the Python packages', venvPython(), ['-m', 'nightshift_ml.preload'], {
    signal,
    cwd: join(projectRoot, 'ml'),
    env: environment,
    advice: missingLibrary,
  });
}

function missingLibrary(output) {
  const name = /(lib[\w.+-]+): cannot open shared object file|Library not loaded: \S*?(lib[\w.+-]+)/.exec(
    output,
  );
  if (name === null) return [];
  return [
    `The system's library ${name[1] ?? name[2]} is missing. OpenMP: apt-get install libgomp1, dnf install libgomp, brew install libomp.`,
  ];
}

/** Installs the pinned uv into the environment. Null when pip cannot: pip then does all of it, slower. */
async function installUv({ note, signal }) {
  const uv = join(venvFolder, process.platform === 'win32' ? 'Scripts/uv.exe' : 'bin/uv');
  if (existsSync(uv)) return uv;
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--require-hashes',
    '--only-binary=:all:',
    '-r',
    installerLock,
  ];
  const { code } = await capture(venvPython(), args, { signal });
  if (code === 0 && existsSync(uv)) return uv;
  note('the fast installer (uv) could not be had, pip does it');
  return null;
}

/** uv does not read pip's settings (environment, pip.conf); those that decide where packages come from are handed on. */
async function uvEnvironment() {
  const { output } = await capture(venvPython(), ['-m', 'pip', 'config', 'list']);
  const settings = new Map(
    [...output.matchAll(/^(?::env:|global|install)\.([a-z-]+)='(.*)'$/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  );
  const findLinks = settings.get('find-links');
  const found = {
    UV_DEFAULT_INDEX: settings.get('index-url'),
    UV_INDEX: settings.get('extra-index-url'),
    UV_FIND_LINKS: findLinks !== undefined && existsSync(findLinks) ? findLinks : undefined,
    SSL_CERT_FILE: settings.get('cert'),
    UV_HTTP_TIMEOUT: settings.get('default-timeout') ?? settings.get('timeout'),
    UV_NO_PROGRESS: '1',
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

const PROBE = `import sys, json
have = True
try:
    import venv, ensurepip
except ImportError:
    have = False
print(json.dumps({"version": list(sys.version_info[:3]), "path": sys.executable, "venv": have}))`;

/** The first Python of the tested range that can make an environment. */
async function findPython() {
  const candidates = process.env.NIGHTSHIFT_PYTHON
    ? [process.env.NIGHTSHIFT_PYTHON]
    : ['python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
  const seen = [];
  for (const candidate of candidates) {
    const { code, output } = await capture(candidate, ['-c', PROBE]);
    if (code !== 0) continue;
    const found = parseProbe(output);
    if (found === null) continue;
    const [major, minor, patch] = found.version;
    const version = `${major}.${minor}.${patch}`;
    const tested = major === 3 && minor >= OLDEST_MINOR && minor <= NEWEST_MINOR;
    if (tested && found.venv) return { path: found.path, version };
    seen.push(
      `${candidate} is ${version}${tested ? ', without its venv module' : ', outside the tested range'}`,
    );
  }
  throw pythonError(seen);
}

function parseProbe(output) {
  try {
    return JSON.parse(output.trim().split('\n').pop() ?? '');
  } catch {
    return null;
  }
}

function pythonError(seen) {
  const range = `3.${OLDEST_MINOR} to 3.${NEWEST_MINOR}`;
  const advice = [
    ...seen.map((line) => `- ${line}`),
    'NIGHTSHIFT_PYTHON=/path/to/python names one that is not on the PATH.',
  ];
  if (seen.some((line) => line.includes('venv module'))) {
    return new SetupError('Python is there, but its venv module is not', [
      'Debian and Ubuntu: apt-get install python3-venv',
      ...advice,
    ]);
  }
  if (seen.length > 0)
    return new SetupError(`no Python in the tested range (${range})`, [
      `Install Python ${range}.`,
      ...advice,
    ]);
  return new SetupError('no Python found', [`Install Python ${range}, with its venv module.`, ...advice]);
}
