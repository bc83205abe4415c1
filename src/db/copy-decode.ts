import { EPOCH_2000_DAYS, EPOCH_2000_MS } from './copy-encode.ts';

/** How each column of a COPY OUT is read; the query must select them in this order and these types. */
export type CopyOutType =
  | 'float8'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'date'
  | 'timestamptz'
  | 'text'
  | 'bool'
  | 'bytes';
export type CopyOutTypes = Record<string, CopyOutType>;

type ColumnOf<T extends CopyOutType> = T extends 'text'
  ? (string | null)[]
  : T extends 'bytes'
    ? Uint8Array[]
    : T extends 'int2' | 'int4' | 'date' | 'bool'
      ? Int32Array
      : Float64Array;
/** Null becomes NaN in a Float64Array, -2147483648 in an Int32Array, and no bytes. */
export type CopiedColumns<T extends CopyOutTypes> = { [K in keyof T]: ColumnOf<T[K]> };

export const NULL_INT = -2_147_483_648;
const HEADER_BYTES = 19;
const INSIDE = -1;
const TRAILER_SEEN = -2;

type ColumnReader = {
  read(chunk: Buffer, at: number, length: number, row: number): void;
  grow(capacity: number): void;
  trim(rows: number): Int32Array | Float64Array | (string | null)[] | Uint8Array[];
};

export type RowParser<T extends CopyOutTypes> = {
  push(chunk: Buffer): void;
  finish(): { rows: number; columns: CopiedColumns<T> };
};

/** Parses binary COPY data, in chunks cut anywhere, into growing columns. Throws on a wrong layout. */
export function createRowParser<T extends CopyOutTypes>(types: T, expectedRows: number): RowParser<T> {
  let capacity = Math.max(16, expectedRows);
  const names = Object.keys(types);
  const readers = Object.values(types).map((type) => columnReader(type, capacity));
  let rest: Buffer | null = null;
  let started = false;
  let ended = false;
  let rows = 0;

  /** Offset after the row at `start`, INSIDE if the chunk ends in the row, TRAILER_SEEN at the end. */
  const readRow = (chunk: Buffer, start: number): number => {
    if (start + 2 > chunk.length) return INSIDE;
    const fields = chunk.readInt16BE(start);
    if (fields === -1) return TRAILER_SEEN;
    if (fields !== readers.length) throw new Error(`COPY sent ${fields} columns, not ${readers.length}`);
    let at = start + 2;
    for (const reader of readers) {
      if (at + 4 > chunk.length) return INSIDE;
      const length = chunk.readInt32BE(at);
      at += 4;
      if (length > 0 && at + length > chunk.length) return INSIDE;
      reader.read(chunk, at, length, rows);
      if (length > 0) at += length;
    }
    return at;
  };

  return {
    push: (data) => {
      const chunk: Buffer = rest === null ? data : Buffer.concat([rest, data]);
      rest = null;
      let at = 0;
      if (!started) {
        if (chunk.length < HEADER_BYTES) {
          rest = chunk;
          return;
        }
        started = true;
        at = HEADER_BYTES;
      }
      while (at < chunk.length) {
        if (rows === capacity) {
          capacity *= 2;
          for (const reader of readers) reader.grow(capacity);
        }
        const next = readRow(chunk, at);
        if (next < 0) {
          if (next === TRAILER_SEEN) ended = true;
          else rest = chunk.subarray(at);
          return;
        }
        rows += 1;
        at = next;
      }
    },
    finish: () => {
      if (!ended) throw new Error('COPY ended before its trailer');
      const columns = Object.fromEntries(names.map((name, index) => [name, readers[index]?.trim(rows)]));
      return { rows, columns: columns as CopiedColumns<T> };
    },
  };
}

function columnReader(type: CopyOutType, capacity: number): ColumnReader {
  switch (type) {
    case 'text':
      return textReader();
    case 'bytes':
      return bytesReader();
    case 'float8':
      return wideReader(capacity, (chunk, at) => chunk.readDoubleBE(at));
    case 'int8':
      return wideReader(capacity, readInt64);
    case 'timestamptz':
      return wideReader(capacity, (chunk, at) => readInt64(chunk, at) / 1000 + EPOCH_2000_MS);
    case 'date':
      return narrowReader(capacity, (chunk, at) => chunk.readInt32BE(at) + EPOCH_2000_DAYS);
    case 'int4':
      return narrowReader(capacity, (chunk, at) => chunk.readInt32BE(at));
    case 'int2':
      return narrowReader(capacity, (chunk, at) => chunk.readInt16BE(at));
    default:
      return narrowReader(capacity, (chunk, at) => chunk.readUInt8(at));
  }
}

function wideReader(capacity: number, get: (chunk: Buffer, at: number) => number): ColumnReader {
  let values = new Float64Array(capacity);
  return {
    read: (chunk, at, length, row) => {
      values[row] = length < 0 ? Number.NaN : get(chunk, at);
    },
    grow: (size) => {
      const grown = new Float64Array(size);
      grown.set(values);
      values = grown;
    },
    trim: (rows) => values.slice(0, rows),
  };
}

function narrowReader(capacity: number, get: (chunk: Buffer, at: number) => number): ColumnReader {
  let values = new Int32Array(capacity);
  return {
    read: (chunk, at, length, row) => {
      values[row] = length < 0 ? NULL_INT : get(chunk, at);
    },
    grow: (size) => {
      const grown = new Int32Array(size);
      grown.set(values);
      values = grown;
    },
    trim: (rows) => values.slice(0, rows),
  };
}

/** Rows of one symbol follow each other: the same bytes give the same string object. */
function textReader(): ColumnReader {
  const values: (string | null)[] = [];
  let lastBytes = Buffer.alloc(0);
  let lastText = '';
  return {
    read: (chunk, at, length, row) => {
      if (length < 0) {
        values[row] = null;
        return;
      }
      if (length !== lastBytes.length || lastBytes.compare(chunk, at, at + length) !== 0) {
        lastBytes = Buffer.from(chunk.subarray(at, at + length));
        lastText = lastBytes.toString('utf8');
      }
      values[row] = lastText;
    },
    grow: () => undefined,
    trim: (rows) => values.slice(0, rows),
  };
}

/** Views on what came over the wire; null is empty. */
function bytesReader(): ColumnReader {
  const values: Uint8Array[] = [];
  return {
    read: (chunk, at, length, row) => {
      values[row] = chunk.subarray(at, at + Math.max(0, length));
    },
    grow: () => undefined,
    trim: (rows) => values.slice(0, rows),
  };
}

function readInt64(chunk: Buffer, at: number): number {
  return chunk.readInt32BE(at) * 4_294_967_296 + chunk.readUInt32BE(at + 4);
}
