import { inflateRawSync } from 'node:zlib';

/** One file in a zip archive, read from the central directory. */
export type ZipEntry = {
  name: string;
  /** Time of last change as stored: two-second steps, UTC as `archiver` writes it. */
  modifiedAt: Date;
  bytes: Buffer;
};

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const MAX_COMMENT_BYTES = 65_535;
const END_BYTES = 22;
const ZIP64_MARK = 0xffffffff;

/**
 * Unpacks a whole zip archive (stored or deflated entries, no zip64). It is how an archive is proven
 * before its originals are deleted, so anything odd throws instead of being skipped.
 */
export function readZip(archive: Buffer): ZipEntry[] {
  const end = findEnd(archive);
  const count = archive.readUInt16LE(end + 10);
  const directoryOffset = archive.readUInt32LE(end + 16);
  if (directoryOffset === ZIP64_MARK || count === 0xffff) throw new Error('zip64 archives are not supported');
  const entries: ZipEntry[] = [];
  let at = directoryOffset;
  for (let index = 0; index < count; index++) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error(`zip: broken directory entry ${index}`);
    const nameLength = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    entries.push({
      name,
      modifiedAt: dosTime(archive.readUInt16LE(at + 12), archive.readUInt16LE(at + 14)),
      bytes: unpack(archive, {
        name,
        method: archive.readUInt16LE(at + 10),
        packedBytes: archive.readUInt32LE(at + 20),
        bytes: archive.readUInt32LE(at + 24),
        headerOffset: archive.readUInt32LE(at + 42),
      }),
    });
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  return entries;
}

function findEnd(archive: Buffer): number {
  const lowest = Math.max(0, archive.length - END_BYTES - MAX_COMMENT_BYTES);
  for (let at = archive.length - END_BYTES; at >= lowest; at--) {
    if (archive.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  }
  throw new Error('zip: no end of directory, the file is cut off or no zip');
}

type Packed = { name: string; method: number; packedBytes: number; bytes: number; headerOffset: number };

function unpack(archive: Buffer, entry: Packed): Buffer {
  if (archive.readUInt32LE(entry.headerOffset) !== LOCAL_HEADER)
    throw new Error(`zip: no header: ${entry.name}`);
  const nameLength = archive.readUInt16LE(entry.headerOffset + 26);
  const extraLength = archive.readUInt16LE(entry.headerOffset + 28);
  const from = entry.headerOffset + 30 + nameLength + extraLength;
  const packed = archive.subarray(from, from + entry.packedBytes);
  if (packed.length !== entry.packedBytes) throw new Error(`zip: cut off: ${entry.name}`);
  if (entry.method !== 0 && entry.method !== 8) throw new Error(`zip: method ${entry.method}: ${entry.name}`);
  const bytes = entry.method === 0 ? Buffer.from(packed) : inflateRawSync(packed);
  if (bytes.length !== entry.bytes) throw new Error(`zip: size differs: ${entry.name}`);
  return bytes;
}

function dosTime(time: number, date: number): Date {
  const year = 1980 + (date >> 9);
  const month = ((date >> 5) & 15) - 1;
  return new Date(Date.UTC(year, month, date & 31, time >> 11, (time >> 5) & 63, (time & 31) * 2));
}
