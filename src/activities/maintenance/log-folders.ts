import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveOldLogs, type LogArchiveOptions, type LogArchiveResult } from './log-archive.ts';

/** Names of what lies in a worker's folder begin with it: `ml-2/scheduler.log.1`. */
export type LogFoldersResult = Omit<LogArchiveResult, 'archive'> & {
  /** At most one new archive per folder. */
  archives: string[];
  /** Folders this process may not read or change, each with the system's word. */
  unreachable: string[];
};

/**
 * Archives the logs of the folder itself (the embedded runtime writes there) and of each folder in it (one per worker
 * in the distributed form). A folder that fails does not keep the others waiting; then the first failure is thrown,
 * but for folders that are closed to us, which are named.
 */
export async function archiveLogFolders(options: LogArchiveOptions): Promise<LogFoldersResult> {
  const result: LogFoldersResult = {
    archives: [],
    archivedFiles: [],
    archivedBytes: 0,
    archiveBytes: 0,
    deletedOriginals: [],
    deletedArchives: [],
    unreachable: [],
  };
  const failures: unknown[] = [];
  for (const name of ['', ...(await foldersIn(options.folder))]) {
    const folder = join(options.folder, name);
    try {
      add(result, name, await archiveOldLogs({ ...options, folder }));
      // Nothing is left of a worker that is long gone; one that writes again makes its folder anew.
      if (name !== '') await rmdir(folder).catch(() => undefined);
    } catch (error) {
      if (isClosed(error)) result.unreachable.push(`${name || '.'}: ${error.code}`);
      else failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return result;
}

async function foldersIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

function add(result: LogFoldersResult, folder: string, found: LogArchiveResult): void {
  const named = (name: string): string => (folder === '' ? name : `${folder}/${name}`);
  if (found.archive !== null) result.archives.push(named(found.archive));
  result.archivedFiles.push(...found.archivedFiles.map(named));
  result.archivedBytes += found.archivedBytes;
  result.archiveBytes += found.archiveBytes;
  result.deletedOriginals.push(...found.deletedOriginals.map(named));
  result.deletedArchives.push(...found.deletedArchives.map(named));
}

function isClosed(error: unknown): error is Error & { code: string } {
  const closed = ['EACCES', 'EPERM', 'EROFS'];
  return error instanceof Error && 'code' in error && closed.includes(String(error.code));
}
