import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

export const BACKUP_FORMAT = 1;

/**
 * A backup is a folder:
 *   manifest.json        what is in it, with sha256 of every file
 *   database/*.copy.gz   rows per table, COPY text format, all of one instant
 *   artifacts/…          the artifact store, same keys
 *   temporal/*.db        the Temporal server's database (embedded form only)
 *   config/              the configuration in force
 *   secrets.json         mode 0600
 * The Temporal copy is older than the rows: after a restore it repeats a little, and every task is
 * idempotent. The other way round it would take for done what is not there.
 */
const manifestSchema = z.object({
  format: z.literal(BACKUP_FORMAT),
  createdAt: z.string(),
  product: z.string(),
  temporalServer: z.string(),
  /** Number of migrations the rows belong to. */
  migrations: z.number().int(),
  tables: z.array(
    z.object({
      schema: z.string(),
      table: z.string(),
      columns: z.array(z.string()),
      rows: z.number().int(),
      file: z.string(),
    }),
  ),
  sequences: z.array(z.object({ sequence: z.string(), value: z.number() })),
  files: z.array(z.object({ path: z.string(), bytes: z.number().int(), sha256: z.string() })),
});
export type BackupManifest = z.infer<typeof manifestSchema>;

/** Reads the manifest and checks every file against it. Throws an Error that names the first that differs. */
export async function readVerifiedManifest(source: string): Promise<BackupManifest> {
  const text = await readFile(join(source, 'manifest.json'), 'utf8').catch(() => null);
  if (text === null) throw new Error(`${source} is not a backup: it has no manifest.json`);
  const manifest = manifestSchema.parse(JSON.parse(text));
  for (const { path, sha256 } of manifest.files) {
    const found = await hashFile(join(source, path)).catch(() => 'missing');
    if (found !== sha256)
      throw new Error(`the backup is damaged: ${path} has sha256 ${found}, not ${sha256}`);
  }
  return manifest;
}

/** sha256 of a file in lower-case hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
