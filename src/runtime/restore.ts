import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { TEMPORAL_SERVER_VERSION } from '../../scripts/lib/paths.mjs';
import { createArtifactStore } from '../artifacts/store.ts';
import type { Sql } from '../db/client.ts';
import { migrate } from '../db/migrate.ts';
import { saveScheduleState, scheduleStates } from '../db/queries/schedule-state.ts';
import {
  appliedMigrations,
  copyIn,
  countRows,
  createSchemaAt,
  nameOf,
  writeSequences,
} from '../db/transfer.ts';
import { connectClient } from '../temporal/connection.ts';
import { describeSchedules, setSchedulePaused } from '../temporal/schedules.ts';
import { type BackupManifest, readVerifiedManifest } from './backup-format.ts';
import {
  createFolders,
  DATA_SCHEMA,
  type DataFolder,
  dataFolderAt,
  POSTGRES_MAJOR,
  resolveDataDir,
} from './data-folder.ts';
import { type Runtime, startRuntime } from './embedded.ts';
import { exists, writeFileWhole } from './files.ts';
import { withDatabase } from './with-database.ts';

export type RestoreOptions = {
  /** Data folder to fill; it must be missing or empty. */
  dataDir: string | undefined;
  source: string;
  onNote?: (text: string) => void;
};
export type RestoreReport = {
  dataDir: string;
  tables: number;
  rows: number;
  files: number;
  /** Schedules that were on in the original and are paused here. */
  paused: string[];
};

/**
 * Brings a backup into an empty data folder (or, with DATABASE_URL set, into an empty database). Every file
 * is checked first. Ports are chosen anew and schedules that were on are paused, so that the original may run beside
 * it.
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
    const counts = { tables: manifest.tables.length, rows, files: manifest.files.length };
    // A server whose schedules do not come with the backup gets them back as they are in these rows.
    const stored = await withDatabase(runtime.urls.owner, (sql) => pauseStored(sql, whyPaused(manifest)));
    await runtime.stop();
    const { product, temporalServer } = manifest;
    const version = { product, schema: DATA_SCHEMA, postgresMajor: POSTGRES_MAJOR, temporalServer };
    await writeFileWhole(folder.version, `${JSON.stringify(version, null, 2)}\n`);
    const onServer = (await exists(folder.temporalDatabase)) ? await pauseOnServer(options) : [];
    return { dataDir: folder.root, ...counts, paused: [...new Set([...stored, ...onServer])].sort() };
  } finally {
    await runtime.stop();
  }
}

const BY = 'nightshift restore';

function whyPaused({ createdAt }: BackupManifest): string {
  return `restored from the backup of ${createdAt}, the original may still run`;
}

async function pauseStored(sql: Sql, why: string): Promise<string[]> {
  const enabled = (await scheduleStates(sql)).filter(({ paused }) => !paused);
  for (const { scheduleId, specHash } of enabled) {
    const note = `paused by ${BY}: ${why}`;
    await saveScheduleState(sql, { scheduleId, paused: true, note, specHash, by: BY, why });
  }
  return enabled.map(({ scheduleId }) => scheduleId);
}

/** The restored server runs once without workers, so that nothing of what it starts until then is carried out. */
async function pauseOnServer({ manifest, folder }: Input): Promise<string[]> {
  const workers = { typescript: 0, ml: 0 };
  const runtime = await startRuntime({ dataDir: folder.root, command: 'restore', workers, minFreeBytes: 0 });
  const { temporal: address, namespace } = runtime;
  const temporal = connectClient({ address, namespace, embedded: true });
  try {
    const { client } = temporal;
    const enabled = (await describeSchedules(client)).filter(({ paused }) => !paused);
    await withDatabase(runtime.urls.pipeline, async (sql) => {
      for (const { scheduleId } of enabled) {
        await setSchedulePaused({
          client,
          sql,
          scheduleId,
          paused: true,
          by: BY,
          why: whyPaused(manifest),
        });
      }
    });
    return enabled.map(({ scheduleId }) => scheduleId);
  } finally {
    await temporal.close();
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
