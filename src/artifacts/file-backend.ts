import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ArtifactBackend, ArtifactEntry } from './store.ts';

/** Files that are being written; never listed. */
const TEMPORARY = '.tmp-';

/** A store in a folder: written beside, flushed to disk, then renamed, so that a crash leaves no half file. */
export function createFileBackend(url: string): ArtifactBackend {
  const root = fileURLToPath(url);
  const pathOf = (key: string): string => join(root, ...key.split('/'));
  return {
    async write({ key, bytes, ifAbsent }) {
      const path = pathOf(key);
      if (ifAbsent && (await statOrNull(path)) !== null) return;
      await mkdir(dirname(path), { recursive: true });
      const temporary = join(dirname(path), `${TEMPORARY}${randomUUID()}`);
      try {
        await writeFlushed(temporary, bytes);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async read(key) {
      try {
        return await readFile(pathOf(key));
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    async stat(key) {
      const found = await statOrNull(pathOf(key));
      return found === null ? null : { key, bytes: found.size, modifiedAt: found.mtime };
    },
    list: (prefix) => listFiles(root, prefix),
    delete: (key) => rm(pathOf(key), { force: true }),
  };
}

async function writeFlushed(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function listFiles(root: string, prefix: string): Promise<ArtifactEntry[]> {
  // Only the folder part of the prefix is walked; the rest filters names.
  const paths = await walk(join(root, ...prefix.split('/').slice(0, -1)));
  const found: ArtifactEntry[] = [];
  for (const path of paths) {
    const key = relative(root, path).split(sep).join('/');
    const info = key.startsWith(prefix) ? await statOrNull(path) : null;
    if (info !== null) found.push({ key, bytes: info.size, modifiedAt: info.mtime });
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Paths of all files under a folder, without those being written. */
async function walk(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const nested = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() && !entry.name.startsWith(TEMPORARY) ? [path] : [];
  });
  return (await Promise.all(nested)).flat();
}

async function statOrNull(path: string): Promise<{ size: number; mtime: Date } | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
