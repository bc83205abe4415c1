import { fileURLToPath } from 'node:url';
import type { ReportSizes } from '../contracts/schemas/report.ts';
import type { Queryable } from '../db/client.ts';
import { readDatabaseBytes } from '../db/queries/report-sizes.ts';
import { measureDisk } from '../runtime/disk.ts';
import type { Runtime } from '../runtime/embedded.ts';
import { folderBytes } from '../runtime/files.ts';

/**
 * What this instance takes on disk. An external database is asked for its size, an artifact folder elsewhere is
 * measured; an object store and an external Temporal cluster stay unknown (null).
 */
export async function measureSizes(
  runtime: Pick<Runtime, 'dataDir' | 'embedded' | 'artifactUrl'>,
  sql: Queryable,
): Promise<ReportSizes> {
  const { embedded, dataDir, artifactUrl } = runtime;
  const disk = await measureDisk(dataDir);
  const databaseBytes = embedded.postgres ? disk.postgresBytes : await readDatabaseBytes(sql);
  const artifactBytes = embedded.artifacts ? disk.artifactBytes : await artifactFolderBytes(artifactUrl);
  const temporalBytes = embedded.temporal ? disk.temporalBytes : null;
  const parts = [databaseBytes, artifactBytes, temporalBytes, disk.logBytes];
  return {
    databaseBytes,
    artifactBytes,
    temporalBytes,
    logBytes: disk.logBytes,
    totalBytes: parts.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0),
    freeBytes: disk.freeBytes,
  };
}

async function artifactFolderBytes(url: string): Promise<number | null> {
  return url.startsWith('file:') ? await folderBytes(fileURLToPath(url)) : null;
}
