import { dirname } from 'node:path';
import { dataFolderAt, resolveDataDir } from './data-folder.ts';
import { folderBytes, freeDiskBytes } from './files.ts';

/** Bytes on disk per part of a data folder, and what is free beside it. */
export type DiskUse = {
  postgresBytes: number;
  temporalBytes: number;
  artifactBytes: number;
  logBytes: number;
  freeBytes: number;
};

/** Measures a data folder. Parts that are not there count 0. */
export async function measureDisk(dataDir: string | undefined): Promise<DiskUse> {
  const folder = dataFolderAt(resolveDataDir(dataDir));
  const [postgresBytes, temporalBytes, artifactBytes, logBytes, freeBytes] = await Promise.all([
    folderBytes(folder.postgres),
    folderBytes(dirname(folder.temporalDatabase)),
    folderBytes(folder.artifacts),
    folderBytes(folder.logs),
    freeDiskBytes(folder.root).catch(() => freeDiskBytes(dirname(folder.root))),
  ]);
  return { postgresBytes, temporalBytes, artifactBytes, logBytes, freeBytes };
}
