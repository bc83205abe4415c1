import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { projectRoot, TEMPORAL_SERVER_VERSION } from '../../scripts/lib/paths.mjs';
import { freeDiskBytes, writeFileWhole } from './files.ts';
import { chooseFreePorts } from './ports.ts';

/** Layout version of the data folder. Raise it when an older product could not read a newer folder. */
export const DATA_SCHEMA = 1;
export const POSTGRES_MAJOR = 18;
const GIB = 1024 ** 3;
const MIN_FREE_BYTES = 2 * GIB;

/** Everything the embedded runtime keeps, by path. */
export type DataFolder = {
  root: string;
  postgres: string;
  temporalDatabase: string;
  artifacts: string;
  logs: string;
  temp: string;
  secrets: string;
  /** The token of the first administrator, for whoever owns the folder. */
  adminToken: string;
  /** An empty Temporal profile, which workers of the embedded server read instead of a person's own. */
  temporalProfile: string;
  version: string;
  ports: string;
  /** State of the running instance, for those that attach. */
  state: string;
  /** Processes that were started, so that a later start can end what survived. */
  children: string;
};

/** Absolute path of a data folder: the given one, else `.nightshift` in the project. */
export function resolveDataDir(dataDir: string | undefined): string {
  if (dataDir === undefined) return join(projectRoot, '.nightshift');
  return isAbsolute(dataDir) ? dataDir : resolve(dataDir);
}

/** Paths of a data folder; nothing is touched. */
export function dataFolderAt(root: string): DataFolder {
  return {
    root,
    postgres: join(root, 'postgres'),
    temporalDatabase: join(root, 'temporal', `temporal-${TEMPORAL_SERVER_VERSION}.db`),
    artifacts: join(root, 'artifacts'),
    logs: join(root, 'logs'),
    temp: join(root, 'tmp'),
    secrets: join(root, 'secrets.json'),
    adminToken: join(root, 'admin-token'),
    temporalProfile: join(root, 'temporal', 'profile.toml'),
    version: join(root, 'version.json'),
    ports: join(root, 'ports.json'),
    state: join(root, 'runtime.json'),
    children: join(root, 'children.json'),
  };
}

/** Creates the folders that are missing. The root is for its owner only: it holds secrets. */
export async function createFolders(folder: DataFolder): Promise<void> {
  await mkdir(folder.root, { recursive: true, mode: 0o700 });
  await chmod(folder.root, 0o700);
  for (const path of [folder.artifacts, folder.logs, folder.temp, join(folder.temporalDatabase, '..')]) {
    await mkdir(path, { recursive: true });
  }
  // The SDK's reader needs the table to be there, even without a key in it.
  await writeFile(folder.temporalProfile, '[profile.default]\n');
}

const versionSchema = z.object({
  product: z.string(),
  schema: z.number().int(),
  postgresMajor: z.number().int(),
  temporalServer: z.string(),
});
export type FolderVersion = z.infer<typeof versionSchema>;

/** Version of this product as it is written into a data folder. */
export async function currentVersion(): Promise<FolderVersion> {
  const manifest: unknown = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  return {
    product: version,
    schema: DATA_SCHEMA,
    postgresMajor: POSTGRES_MAJOR,
    temporalServer: TEMPORAL_SERVER_VERSION,
  };
}

/** Version a folder was last used with; null for a new one. */
export async function readVersion(folder: DataFolder): Promise<FolderVersion | null> {
  const text = await readFile(folder.version, 'utf8').catch(() => null);
  return text === null ? null : versionSchema.parse(JSON.parse(text));
}

/** Thrown when a folder cannot be used by this version of the product. */
export class FolderVersionError extends Error {
  override name = 'FolderVersionError';
}

/** Refuses a folder that a newer product wrote, or whose Postgres is of another major version. */
export async function checkVersion(folder: DataFolder): Promise<FolderVersion | null> {
  const found = await readVersion(folder);
  if (found === null) return null;
  const own = await currentVersion();
  const newer = (what: string, theirs: string | number, ours: string | number): FolderVersionError =>
    new FolderVersionError(
      `${folder.root} was written by a newer Nightshift (${found.product}): its ${what} is ${theirs}, ` +
        `this one knows ${ours}. Use that version, or another --data-dir.`,
    );
  if (found.schema > own.schema) throw newer('layout', found.schema, own.schema);
  if (compareVersions(found.temporalServer, own.temporalServer) > 0) {
    throw newer('Temporal server', found.temporalServer, own.temporalServer);
  }
  if (found.postgresMajor > own.postgresMajor)
    throw newer('Postgres', found.postgresMajor, own.postgresMajor);
  if (found.postgresMajor < own.postgresMajor) {
    throw new FolderVersionError(
      `${folder.root} holds Postgres ${found.postgresMajor}, this version uses ${own.postgresMajor}: ` +
        'make a backup with the older version and restore it with this one.',
    );
  }
  return found;
}

/** Writes the version of this product into the folder. */
export async function writeVersion(folder: DataFolder): Promise<void> {
  await writeFileWhole(folder.version, `${JSON.stringify(await currentVersion(), null, 2)}\n`);
}

/** Negative, zero or positive like a comparison of `a` with `b`; dotted numbers. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const portsSchema = z.object({
  postgres: z.number().int(),
  temporal: z.number().int(),
  temporalUi: z.number().int(),
  api: z.number().int(),
});
export type Ports = z.infer<typeof portsSchema>;

/** Ports of a folder: chosen at its first start, the same ever after. */
export async function ensurePorts(folder: DataFolder): Promise<Ports> {
  const stored = await readPorts(folder);
  if (stored !== null) return stored;
  const [postgres, temporal, temporalUi, api] = await chooseFreePorts(4);
  const ports = portsSchema.parse({ postgres, temporal, temporalUi, api });
  await writeFileWhole(folder.ports, `${JSON.stringify(ports, null, 2)}\n`);
  return ports;
}

/** Stored ports of a folder; null before its first start. */
export async function readPorts(folder: DataFolder): Promise<Ports | null> {
  const text = await readFile(folder.ports, 'utf8').catch(() => null);
  return text === null ? null : portsSchema.parse(JSON.parse(text));
}

/** Throws when less than 2 GiB are free: a night that fills the disk halfway is worse than none. */
export async function requireFreeDisk(folder: DataFolder, minFreeBytes = MIN_FREE_BYTES): Promise<void> {
  const free = await freeDiskBytes(folder.root);
  if (free >= minFreeBytes) return;
  throw new Error(
    `only ${(free / GIB).toFixed(2)} GiB free on the disk of ${folder.root}: ` +
      `a night needs ${minFreeBytes / GIB} GiB. Free some space, or use --data-dir on another disk.`,
  );
}
