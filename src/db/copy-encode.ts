/** Numbers, or null where SQL null is meant; NaN is null too. */
type Numbers = ArrayLike<number | null>;

/** One column of a binary COPY, in the type of the target column. */
export type CopyColumn =
  | { type: 'float8' | 'float4' | 'int2' | 'int4' | 'int8'; values: Numbers }
  /** Epoch days. */
  | { type: 'date'; values: Numbers }
  /** Milliseconds since 1970, UTC. */
  | { type: 'timestamptz'; values: Numbers }
  | { type: 'bool'; values: ArrayLike<boolean | number | null> }
  | { type: 'text'; values: ArrayLike<string | null> }
  /** `codes[row]` picks from `dictionary`: each text is encoded once. */
  | { type: 'dictionary'; codes: ArrayLike<number>; dictionary: readonly string[] }
  | { type: 'text[]'; values: ArrayLike<readonly string[]> }
  | { type: 'float4[]' | 'float8[]'; values: ArrayLike<ArrayLike<number>> }
  | { type: 'jsonb'; values: ArrayLike<unknown> }
  /** The same value in each row. */
  | {
      type: 'constant';
      of: 'text' | 'date' | 'timestamptz' | 'int2' | 'int4' | 'bool';
      value: string | number | null;
    };

/** The same memory twice: DataView writes numbers several times faster than Buffer does. */
export type Target = { bytes: Uint8Array; view: DataView };

export function createTarget(length: number): Target {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}

export type ColumnWriter = {
  /** Bytes of the field, length word included. */
  size(row: number): number;
  /** Writes the field, returns the offset after it. */
  write(target: Target, offset: number, row: number): number;
};

export const SIGNATURE = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
export const TRAILER = Buffer.from([0xff, 0xff]);
/** Postgres counts from 2000-01-01. */
export const EPOCH_2000_DAYS = 10_957;
export const EPOCH_2000_MS = EPOCH_2000_DAYS * 86_400_000;
const OID = { text: 25, float4: 700, float8: 701 } as const;

/** Writer of one column. Throws RangeError if the column does not have `rows` values. */
export function columnWriter(name: string, column: CopyColumn, rows: number): ColumnWriter {
  if (column.type === 'constant') return constantWriter(column);
  const length = column.type === 'dictionary' ? column.codes.length : column.values.length;
  if (length !== rows) throw new RangeError(`column ${name} has ${length} values, not ${rows}`);
  switch (column.type) {
    case 'float8':
      return numberWriter(column.values, 8, (view, value, at) => view.setFloat64(at, value));
    case 'float4':
      return numberWriter(column.values, 4, (view, value, at) => view.setFloat32(at, value));
    case 'int2':
      return numberWriter(column.values, 2, (view, value, at) => view.setInt16(at, value));
    case 'int4':
      return numberWriter(column.values, 4, (view, value, at) => view.setInt32(at, value));
    case 'int8':
      return numberWriter(column.values, 8, writeInt64);
    case 'date':
      return numberWriter(column.values, 4, (view, day, at) => view.setInt32(at, day - EPOCH_2000_DAYS));
    case 'timestamptz':
      return numberWriter(column.values, 8, writeInstant);
    case 'bool':
      return boolWriter(column.values);
    case 'text':
      return bytesWriter((row) => encodeText(column.values[row] ?? null));
    case 'dictionary':
      return dictionaryWriter(name, column.codes, column.dictionary);
    case 'text[]':
      return bytesWriter((row) => encodeTextArray(column.values[row] ?? []));
    case 'jsonb':
      return bytesWriter((row) => encodeJsonb(column.values[row]));
    default:
      return bytesWriter((row) => encodeNumberArray(column.values[row] ?? [], column.type === 'float8[]'));
  }
}

function numberWriter(
  values: Numbers,
  width: number,
  put: (view: DataView, value: number, at: number) => void,
): ColumnWriter {
  return {
    size: () => 4 + width,
    write: ({ view }, offset, row) => {
      const value = values[row] ?? Number.NaN;
      if (Number.isNaN(value)) return writeNull(view, offset);
      view.setInt32(offset, width);
      put(view, value, offset + 4);
      return offset + 4 + width;
    },
  };
}

function boolWriter(values: ArrayLike<boolean | number | null>): ColumnWriter {
  return {
    size: () => 5,
    write: ({ view }, offset, row) => {
      const value = values[row] ?? null;
      if (value === null) return writeNull(view, offset);
      view.setInt32(offset, 1);
      view.setUint8(offset + 4, value ? 1 : 0);
      return offset + 5;
    },
  };
}

/** Fields whose bytes must exist to be measured: made once per row, written right after. */
function bytesWriter(encode: (row: number) => Buffer | null): ColumnWriter {
  let current: Buffer | null = null;
  return {
    size: (row) => {
      current = encode(row);
      return 4 + (current?.length ?? 0);
    },
    write: (target, offset) => writeField(target, offset, current),
  };
}

function dictionaryWriter(
  name: string,
  codes: ArrayLike<number>,
  dictionary: readonly string[],
): ColumnWriter {
  const entries = dictionary.map((text) => Buffer.from(text, 'utf8'));
  const entryOf = (row: number): Buffer => {
    const entry = entries[codes[row] ?? -1];
    if (entry === undefined) throw new RangeError(`column ${name}: no entry for row ${row}`);
    return entry;
  };
  return {
    size: (row) => 4 + entryOf(row).length,
    write: (target, offset, row) => writeField(target, offset, entryOf(row)),
  };
}

function constantWriter(column: Extract<CopyColumn, { type: 'constant' }>): ColumnWriter {
  const field = encodeConstant(column);
  return {
    size: () => field.length,
    write: ({ bytes }, offset) => {
      bytes.set(field, offset);
      return offset + field.length;
    },
  };
}

function encodeConstant(column: Extract<CopyColumn, { type: 'constant' }>): Uint8Array {
  const { of, value } = column;
  const target = createTarget(64 + (typeof value === 'string' ? Buffer.byteLength(value) : 0));
  const writer =
    of === 'text'
      ? columnWriter('constant', { type: 'text', values: [value === null ? null : String(value)] }, 1)
      : of === 'bool'
        ? columnWriter('constant', { type: 'bool', values: [value === null ? null : Number(value)] }, 1)
        : columnWriter('constant', { type: of, values: [value === null ? null : Number(value)] }, 1);
  writer.size(0);
  return target.bytes.subarray(0, writer.write(target, 0, 0));
}

function writeNull(view: DataView, offset: number): number {
  view.setInt32(offset, -1);
  return offset + 4;
}

function writeField({ bytes, view }: Target, offset: number, field: Uint8Array | null): number {
  if (field === null) return writeNull(view, offset);
  view.setInt32(offset, field.length);
  bytes.set(field, offset + 4);
  return offset + 4 + field.length;
}

/** 64-bit big-endian of a safe integer. */
function writeInt64(view: DataView, value: number, at: number): void {
  const high = Math.floor(value / 4_294_967_296);
  view.setInt32(at, high);
  view.setUint32(at + 4, value - high * 4_294_967_296);
}

function writeInstant(view: DataView, ms: number, at: number): void {
  writeInt64(view, Math.round((ms - EPOCH_2000_MS) * 1000), at);
}

function encodeText(value: string | null): Buffer | null {
  return value === null ? null : Buffer.from(value, 'utf8');
}

function encodeJsonb(value: unknown): Buffer | null {
  if (value === undefined || value === null) return null;
  return Buffer.concat([Buffer.from([1]), Buffer.from(JSON.stringify(value), 'utf8')]);
}

function arrayHeader(elements: number, oid: number): Buffer {
  if (elements === 0) {
    const empty = Buffer.alloc(12);
    empty.writeInt32BE(oid, 8);
    return empty;
  }
  const header = Buffer.alloc(20);
  header.writeInt32BE(1, 0);
  header.writeInt32BE(1, 4);
  header.writeInt32BE(oid, 8);
  header.writeInt32BE(elements, 12);
  header.writeInt32BE(1, 16);
  return header;
}

function encodeTextArray(values: readonly string[]): Buffer {
  const parts = values.flatMap((value) => {
    const text = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length, 0);
    return [length, text];
  });
  return Buffer.concat([arrayHeader(values.length, OID.text), ...parts]);
}

/** NaN elements become SQL null. */
function encodeNumberArray(values: ArrayLike<number>, wide: boolean): Buffer {
  const width = wide ? 8 : 4;
  const header = arrayHeader(values.length, wide ? OID.float8 : OID.float4);
  const body = createTarget(values.length * (4 + width));
  const writer = columnWriter('elements', { type: wide ? 'float8' : 'float4', values }, values.length);
  let offset = 0;
  for (let index = 0; index < values.length; index += 1) offset = writer.write(body, offset, index);
  return Buffer.concat([header, body.bytes.subarray(0, offset)]);
}
