import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { TEMPORAL_SERVER_VERSION, venvPython } from '../../scripts/lib/paths.mjs';
import {
  checkVersion,
  type DataFolder,
  dataFolderAt,
  type Ports,
  readPorts,
  resolveDataDir,
} from './data-folder.ts';
import { measureDisk } from './disk.ts';
import { checkAdminToken } from './doctor-api.ts';
import { checkServices } from './doctor-services.ts';
import { archiveFolder, type Env, readEnv } from './env.ts';
import { exists } from './files.ts';
import { lockOwner } from './folder-lock.ts';
import { portIsFree, portOwner } from './ports.ts';
import { ensurePostgresUser, isRoot, packagedPrograms, programsFor } from './postgres-user.ts';
import { temporalBinary } from './temporal.ts';

const run = promisify(execFile);
const GIB = 1024 ** 3;

/** One result of an examination. */
export type Finding = {
  level: 'ok' | 'warning' | 'problem';
  part: string;
  text: string;
  /** What to do; null when nothing is to be done. */
  advice: string | null;
};

/** What a check says. Throwing means a problem with the error's text. */
export type Check = { part: string; advice: string; look: () => Promise<string | Finding[]> };

/** Examines every part of an installation and of a data folder, running or not. Never throws. */
export async function diagnose(
  dataDir: string | undefined,
  /** GiB that a night needs free, by the configuration; rejects in words when that cannot be used. */
  minFreeGib: () => Promise<number>,
): Promise<Finding[]> {
  const folder = dataFolderAt(resolveDataDir(dataDir));
  const env = await attempt({
    part: 'environment',
    advice: 'Correct the variable, or unset it to use the embedded server.',
    look: async () => describeEnvironment(readEnv()),
  });
  if (env.some(({ level }) => level === 'problem')) return env;
  const groups = await Promise.all(
    [...programChecks(readEnv()), ...folderChecks({ dataDir, folder, minFreeGib })].map(attempt),
  );
  const owner = await lockOwner(folder.root);
  const services =
    owner === null
      ? [notRunning(folder)]
      : await attempt({
          part: 'instance',
          advice: 'Nothing of it was examined.',
          look: () => checkServices(dataDir, attempt),
        });
  return [...env, ...groups.flat(), ...services];
}

async function attempt(check: Check): Promise<Finding[]> {
  try {
    const result = await check.look();
    return typeof result === 'string'
      ? [{ level: 'ok', part: check.part, text: result, advice: null }]
      : result;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return [{ level: 'problem', part: check.part, text, advice: check.advice }];
  }
}

function describeEnvironment(env: Env): string {
  const external = (['DATABASE_URL', 'TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'ARTIFACT_URL'] as const).filter(
    (name) => env[name] !== undefined,
  );
  return external.length === 0 ? 'everything is embedded' : `external: ${external.join(', ')}`;
}

function programChecks(env: Env): Check[] {
  const checks: Check[] = [
    {
      part: 'node',
      advice: 'Install Node 20.3 or newer.',
      look: () => Promise.resolve(`${process.version} on ${process.platform} ${process.arch}`),
    },
    {
      part: 'python',
      advice: 'Run `npm run setup`; delete .venv first if it is damaged.',
      look: async () => {
        const script =
          'import sys, temporalio, sklearn, lightgbm; print(sys.version.split()[0], lightgbm.__version__)';
        const { stdout } = await run(venvPython(), ['-c', script], { timeout: 180_000 });
        const [python, lightgbm] = stdout.trim().split(' ');
        return `${python}, model libraries load (lightgbm ${lightgbm})`;
      },
    },
    {
      part: 'sample data',
      advice:
        'The bundled data belongs to the project: check out data/sample again, or name another folder in NIGHTSHIFT_SAMPLE_DATA_DIR.',
      look: async () => {
        const path = archiveFolder(env);
        await stat(path);
        return path;
      },
    },
  ];
  if (env.DATABASE_URL === undefined) checks.push(postgresProgram());
  if (env.TEMPORAL_ADDRESS === undefined && env.TEMPORAL_PROFILE === undefined)
    checks.push(temporalProgram());
  return checks;
}

function postgresProgram(): Check {
  return {
    part: 'postgres programs',
    advice: 'Delete node_modules and run `npm run setup`; as root, let the user `postgres` be created.',
    look: async () => {
      const { version } = await packagedPrograms();
      const programs = await programsFor(isRoot() ? await ensurePostgresUser() : null);
      return `${version} (${programs.postgres})`;
    },
  };
}

function temporalProgram(): Check {
  return {
    part: 'temporal program',
    advice: 'Run `npm run setup`: it downloads or builds the pinned server.',
    look: async () => {
      const path = await temporalBinary();
      const { stdout } = await run(path, ['--version'], { timeout: 30_000 });
      if (!stdout.includes(`Server ${TEMPORAL_SERVER_VERSION}`))
        throw new Error(`${path} reports ${stdout.trim()}`);
      return `server ${TEMPORAL_SERVER_VERSION} (${path})`;
    },
  };
}

function folderChecks(input: {
  dataDir: string | undefined;
  folder: DataFolder;
  minFreeGib: () => Promise<number>;
}): Check[] {
  const { dataDir, folder } = input;
  const minFreeGib = input.minFreeGib();
  // Two checks look at it; the first of them says what is wrong.
  minFreeGib.catch(() => undefined);
  return [
    {
      part: 'configuration',
      advice: '`nightshift config check` names each problem; `nightshift config apply` takes a file over.',
      look: async () => `a night needs ${await minFreeGib} GiB free`,
    },
    {
      part: 'disk',
      advice: 'Free some space, or use --data-dir on another disk.',
      look: async () => {
        const use = await measureDisk(dataDir);
        const gib = (bytes: number): string => `${(bytes / GIB).toFixed(2)} GiB`;
        const text =
          `${gib(use.freeBytes)} free; Postgres ${gib(use.postgresBytes)}, Temporal ${gib(use.temporalBytes)}, ` +
          `artifacts ${gib(use.artifactBytes)}, logs ${gib(use.logBytes)}`;
        const needsGib = await minFreeGib.catch(() => 0);
        if (use.freeBytes < needsGib * GIB) throw new Error(`${text}; a night needs ${needsGib} GiB free`);
        return text;
      },
    },
    {
      part: 'data folder',
      advice: 'Use the version of Nightshift that wrote it, or another --data-dir.',
      look: async () => {
        if (!(await exists(folder.root))) return `${folder.root} will be made at the first start`;
        const version = await checkVersion(folder);
        return `${folder.root}${version === null ? ' (new)' : `, written by ${version.product}`}`;
      },
    },
    {
      part: 'secrets',
      advice: `chmod 600 ${folder.secrets}`,
      look: async () => {
        if (!(await exists(folder.secrets))) return 'will be made at the first start';
        const mode = (await stat(folder.secrets)).mode & 0o777;
        if (process.platform !== 'win32' && mode !== 0o600)
          throw new Error(`mode ${mode.toString(8)}, others may read them`);
        return 'mode 600';
      },
    },
    checkAdminToken(folder.adminToken),
    {
      part: 'ports',
      advice: 'End that process, or delete ports.json of the data folder to choose others.',
      look: () => checkPorts(folder),
    },
  ];
}

/** Stored ports are free, or used by this folder's own instance. */
async function checkPorts(folder: DataFolder): Promise<string> {
  const ports: Ports | null = await readPorts(folder);
  if (ports === null) return 'will be chosen at the first start';
  if ((await lockOwner(folder.root)) !== null) return 'in use by the running instance';
  for (const [name, port] of Object.entries(ports)) {
    if (!(await portIsFree(port)))
      throw new Error(`port ${port} (${name}) is taken by ${await portOwner(port)}`);
  }
  return `${Object.values(ports).join(', ')} are free`;
}

function notRunning(folder: DataFolder): Finding {
  const text = `no instance runs on ${dirname(folder.secrets)}: its servers were not examined`;
  return { level: 'warning', part: 'instance', text, advice: 'Start it with `nightshift up` and ask again.' };
}
