import { createWriteStream } from 'node:fs';
import { open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import archiver from 'archiver';
import { readZip } from './zip-reader.ts';

const DAY_MS = 86_400_000;
const LOG_NAME = /\.log(\.\d+)?$/;
const ARCHIVE_NAME = /^logs_archive_(\d{8}T\d{6}Z)\.zip$/;

export type LogArchiveOptions = {
  folder: string;
  now: Date;
  /** Logs not written for this long are zipped. */
  zipAfterDays: number;
  /** Archives whose newest log is older than this are deleted. */
  deleteAfterDays: number;
  /** Called before each file; may throw to cancel. */
  onProgress?: (done: number, total: number) => void;
};

export type LogArchiveResult = {
  archive: string | null;
  archivedFiles: string[];
  archivedBytes: number;
  archiveBytes: number;
  /** Originals deleted after their archive was read back and compared. */
  deletedOriginals: string[];
  deletedArchives: string[];
};

type LogFile = { name: string; bytes: Buffer; modifiedAt: Date };

/**
 * Zips logs older than `zipAfterDays` into `logs_archive_TIMESTAMP.zip`, reads the archive back, compares
 * every byte, and only then deletes the originals. A repeat after a crash finds what an earlier archive
 * already holds and deletes it without a second copy.
 */
export async function archiveOldLogs(options: LogArchiveOptions): Promise<LogArchiveResult> {
  const names = await readdir(options.folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const leftover of names.filter((name) => name.startsWith('.logs_archive_') && name.endsWith('.tmp'))) {
    await rm(join(options.folder, leftover), { force: true });
  }
  const old = await readOldLogs(options, names);
  const kept = await readArchives(options, names);
  const archived = new Map(kept.flatMap((archive) => [...archive.entries]));
  const isArchived = (file: LogFile): boolean => archived.get(entryName(file))?.equals(file.bytes) ?? false;
  const fresh = old.filter((file) => !isArchived(file));
  const written = fresh.length > 0 ? await writeArchive(options, fresh) : null;
  const deletedOriginals: string[] = [];
  for (const file of old) {
    if (await deleteUnchanged(options.folder, file)) deletedOriginals.push(file.name);
  }
  const deletedArchives: string[] = [];
  for (const archive of kept) {
    if (options.now.getTime() - archive.newestLogMs < options.deleteAfterDays * DAY_MS) continue;
    await rm(join(options.folder, archive.name), { force: true });
    deletedArchives.push(archive.name);
  }
  return {
    archive: written?.name ?? null,
    archivedFiles: fresh.map((file) => file.name),
    archivedBytes: fresh.reduce((sum, file) => sum + file.bytes.length, 0),
    archiveBytes: written?.bytes ?? 0,
    deletedOriginals,
    deletedArchives,
  };
}

async function readOldLogs(options: LogArchiveOptions, names: string[]): Promise<LogFile[]> {
  const old: LogFile[] = [];
  const logs = names.filter((name) => LOG_NAME.test(name)).toSorted();
  for (const [index, name] of logs.entries()) {
    options.onProgress?.(index, logs.length);
    const path = join(options.folder, name);
    // Its writer may rotate meanwhile.
    const info = await stat(path).catch(() => null);
    if (info === null || !info.isFile()) continue;
    if (options.now.getTime() - info.mtime.getTime() < options.zipAfterDays * DAY_MS) continue;
    old.push({ name, bytes: await readFile(path), modifiedAt: info.mtime });
  }
  return old;
}

type KnownArchive = { name: string; newestLogMs: number; entries: Map<string, Buffer> };

async function readArchives(options: LogArchiveOptions, names: string[]): Promise<KnownArchive[]> {
  const archives: KnownArchive[] = [];
  for (const name of names.filter((name) => ARCHIVE_NAME.test(name)).toSorted()) {
    const entries = readZip(await readFile(join(options.folder, name)));
    archives.push({
      name,
      newestLogMs: Math.max(0, ...entries.map((entry) => entry.modifiedAt.getTime())),
      entries: new Map(entries.map((entry) => [entry.name, entry.bytes])),
    });
  }
  return archives;
}

/** Rotation reuses names (`x.log.1`), so the entry's name carries the time of last change. */
function entryName(file: { name: string; modifiedAt: Date }): string {
  return `${compactInstant(file.modifiedAt)}_${file.name}`;
}

async function writeArchive(
  options: LogArchiveOptions,
  files: LogFile[],
): Promise<{ name: string; bytes: number }> {
  const name = `logs_archive_${compactInstant(options.now)}.zip`;
  const temporary = join(options.folder, `.${name}.tmp`);
  const zip = archiver('zip', { zlib: { level: 9 } });
  for (const file of files)
    zip.append(file.bytes, { name: entryName(file), date: file.modifiedAt, mode: 0o600 });
  await Promise.all([pipeline(zip, createWriteStream(temporary, { mode: 0o600 })), zip.finalize()]);
  const handle = await open(temporary, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  const bytes = await readFile(temporary);
  const entries = new Map(readZip(bytes).map((entry) => [entry.name, entry.bytes]));
  for (const file of files) {
    if (!entries.get(entryName(file))?.equals(file.bytes)) {
      throw new Error(`log archive ${name} does not hold ${file.name} byte for byte; nothing was deleted`);
    }
  }
  await rename(temporary, join(options.folder, name));
  return { name, bytes: bytes.length };
}

/** Deletes a log only if it is still the file that was archived: a writer may have come back to it. */
async function deleteUnchanged(folder: string, file: LogFile): Promise<boolean> {
  const path = join(folder, file.name);
  const info = await stat(path).catch(() => null);
  const unchanged =
    info !== null && info.size === file.bytes.length && info.mtime.getTime() === file.modifiedAt.getTime();
  if (!unchanged) return false;
  await rm(path);
  return true;
}

function compactInstant(instant: Date): string {
  return `${instant.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}
