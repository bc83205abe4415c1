import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ActionRequiredError, BadDataError } from '../errors.ts';

const sessionDate = z.iso.date();

const fileSchema = z.strictObject({
  rows: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** `manifest.json` of an archive folder. Only `bars.parquet` and `instruments.csv` must be there. */
const manifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  dataset: z.string().min(1),
  provider: z.string().min(1),
  createdAt: z.iso.datetime(),
  exchange: z.string().min(1),
  currency: z.string().length(3),
  priceBasis: z.strictObject({
    splits: z.enum(['asTraded', 'adjusted']),
    dividends: z.enum(['asTraded', 'adjusted']),
    asOf: sessionDate.nullable(),
  }),
  priceScale: z.int().positive(),
  coverage: z.strictObject({
    firstSession: sessionDate,
    lastSession: sessionDate,
    symbols: z.int().positive(),
  }),
  survivorship: z.enum(['biased', 'unbiased', 'unknown']),
  instrumentMetadataAsOf: sessionDate,
  fundamentalsDelayDays: z.int().nonnegative(),
  files: z
    .object({ 'bars.parquet': fileSchema, 'instruments.csv': fileSchema })
    .catchall(fileSchema)
    .describe('every data file of the folder with its checksum'),
});

export type ArchiveManifest = z.infer<typeof manifestSchema>;

export const ARCHIVE_FILES = {
  bars: 'bars.parquet',
  instruments: 'instruments.csv',
  splits: 'splits.csv',
  dividends: 'dividends.csv',
  annual: 'fundamentals_annual.parquet',
  snapshots: 'fundamentals_snapshots.parquet',
} as const;

/** Reads and checks the manifest. ActionRequired if there is none, BadData if it cannot be understood. */
export async function readManifest(directory: string, provider: string): Promise<ArchiveManifest> {
  const path = join(directory, 'manifest.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ActionRequiredError(`no archive folder at ${directory}: cannot read manifest.json`, {
      provider,
      cause,
    });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new BadDataError(`${path} is not JSON`, { provider, cause });
  }
  const parsed = manifestSchema.safeParse(content);
  if (!parsed.success) {
    throw new BadDataError(`${path}: ${z.prettifyError(parsed.error)}`, { provider, cause: parsed.error });
  }
  return parsed.data;
}

/** Bytes of a file the manifest names, checked against its checksum; null if the manifest has no such file. */
export async function readArchiveFile(input: {
  readonly directory: string;
  readonly provider: string;
  readonly manifest: ArchiveManifest;
  readonly name: string;
}): Promise<Uint8Array<ArrayBuffer> | null> {
  const { directory, provider, manifest, name } = input;
  const expected = manifest.files[name];
  if (expected === undefined) return null;
  const path = join(directory, name);
  let bytes: Buffer<ArrayBuffer>;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new ActionRequiredError(`${path} is named in the manifest but cannot be read`, { provider, cause });
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== expected.sha256) {
    throw new BadDataError(`${path} does not have the checksum of the manifest: damaged or edited`, {
      provider,
    });
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
