import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { TEMPORAL_SERVER_VERSION } from '../../scripts/lib/paths.mjs';
import { createArtifactStore } from '../artifacts/store.ts';
import { migrate } from '../db/migrate.ts';
import {
  appliedMigrations,
  copyIn,
  countRows,
  createSchemaAt,
  nameOf,
  writeSequences,
} from '../db/transfer.ts';
import { type BackupManifest, readVerifiedManifest } from './backup-format.ts';
import { createFolders, type DataFolder, dataFolderAt, resolveDataDir } from './data-folder.ts';
import { type Runtime, startRuntime } from './embedded.ts';
import { exists, writeFileWhole } from './files.ts';
import { withDatabase } from './with-database.ts';

export type RestoreOptions = {
  /** Data folder to fill; it must be missing or empty. */
  dataDir: string | undefined;
  source: string;
  onNote?: (text: string) => void;
};
export type RestoreReport = { dataDir: string; tables: number; rows: number; files: number };

/**
 * Brings a backup into an empty data folder (or, with DATABASE_URL set, into an empty database). Every file
 * is checked first. Ports are chosen anew, so that the original may run beside it.
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const source = resolve(options.source);
  const folder = dataFolderAt(resolveDataDir(options.dataDir));
  if ((await readdir(folder.root).catch(() => [])).length > 0) {
    throw new Error(`${folder.root} is not empty: restore into a new folder (--data-dir)`);
  }
  options.onNote?.('checking the backup');
  const manifest = await readVerifiedManifest(source);
  try {
    const { onNote } = options;
    return await fill({ source, folder, manifest, ...(onNote === undefined ? {} : { onNote }) });
  } catch (error) {
    // Half an instance is worse than none, and would be in the way of the next attempt.
    await rm(folder.root, { recursive: true, force: true });
    throw error;
  }
}

async function fill(options: Input): Promise<RestoreReport> {
  const { manifest, source, folder } = options;
  await createFolders(folder);
  await writeFileWhole(folder.secrets, await readFile(join(source, 'secrets.json')), 0o600);
  await restoreTemporal(options);
  await restoreConfig(options);
  const runtime = await startRuntime({ dataDir: folder.root, command: 'restore', only: 'database' });
  try {
    options.onNote?.('restoring the tables');
    const rows = await restoreDatabase({ manifest, source, runtime });
    options.onNote?.('restoring the artifacts');
    await restoreArtifacts({ manifest, source, url: runtime.artifactUrl });
    return { dataDir: folder.root, tables: manifest.tables.length, rows, files: manifest.files.length };
  } finally {
    await runtime.stop();
  }
}

type Input = {
  manifest: BackupManifest;
  source: string;
  folder: DataFolder;
  onNote?: (text: string) => void;
};

async function restoreTemporal({ manifest, source, folder, onNote }: Input): Promise<void> {
  const file = manifest.files.find(({ path }) => path.startsWith('temporal/'));
  if (file === undefined) return;
  if (manifest.temporalServer !== TEMPORAL_SERVER_VERSION) {
    // A database of another server version may not open. Schedules come back from Postgres at the next start.
    onNote?.(
      `histories of Temporal ${manifest.temporalServer} stay in the backup; this version uses ${TEMPORAL_SERVER_VERSION}`,
    );
    return;
  }
  await copyFile(join(source, file.path), folder.temporalDatabase);
}

/** The configuration is the project's: the saved one is laid beside, for whoever wants it back. */
async function restoreConfig({ source, folder, onNote }: Omit<Input, 'manifest'>): Promise<void> {
  const saved = join(source, 'config', 'scheduler_config.json');
  if (!(await exists(saved))) return;
  const target = join(folder.root, 'config', 'scheduler_config.json');
  await mkdir(join(folder.root, 'config'), { recursive: true });
  await copyFile(saved, target);
  onNote?.(`the configuration of the backup is in ${target}; apply it with \`nightshift config apply\``);
}

async function restoreDatabase(input: {
  manifest: BackupManifest;
  source: string;
  runtime: Runtime;
}): Promise<number> {
  const { manifest, source, runtime } = input;
  const ownerUrl = runtime.urls.owner;
  const rows = await withDatabase(ownerUrl, async (sql) => {
    if ((await appliedMigrations(sql)) > 0)
      throw new Error('the database is not empty: restore into a new one');
    await createSchemaAt({ ownerUrl, count: manifest.migrations });
    return sql.begin(async (tx) => {
      let total = 0;
      for (const table of manifest.tables) {
        const file = createReadStream(join(source, table.file));
        await pipeline(file, createGunzip(), await copyIn(tx, table));
        const found = await countRows(tx, table);
        if (found !== table.rows)
          throw new Error(`${nameOf(table)}: ${found} rows came back, not ${table.rows}`);
        total += found;
      }
      await writeSequences(tx, manifest.sequences);
      return total;
    });
  });
  await migrate({
    ownerUrl,
    ...(runtime.rolePasswords === null ? {} : { rolePasswords: runtime.rolePasswords }),
  });
  return rows;
}

async function restoreArtifacts(input: {
  manifest: BackupManifest;
  source: string;
  url: string;
}): Promise<void> {
  const store = createArtifactStore(input.url);
  for (const { path } of input.manifest.files) {
    if (!path.startsWith('artifacts/')) continue;
    await store.putNamed(path.slice('artifacts/'.length), await readFile(join(input.source, path)));
  }
}
