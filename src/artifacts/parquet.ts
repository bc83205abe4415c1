import { setImmediate as nextTurn } from 'node:timers/promises';
import { parquetMetadata, parquetRead, type ColumnData, type FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { ByteWriter, parquetWrite } from 'hyparquet-writer';

/** Values of one column. Floats hold NaN for missing; a text column null. */
export type ColumnValues = Int32Array | Float32Array | Float64Array | (string | null)[];

export interface ParquetColumn {
  name: string;
  values: ColumnValues;
}

/** Rows per row group: what is encoded between two turns of the event loop. */
const ROW_GROUP_SIZE = 65_536;

/**
 * Parquet bytes of columns of equal length: Int32Array as INT32, Float32Array as FLOAT, Float64Array as DOUBLE (all
 * required, NaN stays NaN), text as nullable STRING. Same values, same bytes, whatever bits their NaNs have. Gives
 * the event loop a turn after each row group. RangeError for no columns, unequal lengths or a repeated name.
 */
export async function writeParquet(columns: readonly ParquetColumn[]): Promise<Uint8Array> {
  const rows = columns[0]?.values.length;
  if (rows === undefined) throw new RangeError('a Parquet file needs at least one column');
  const odd = columns.find(({ values }) => values.length !== rows);
  if (odd)
    throw new RangeError(`column ${odd.name} has ${String(odd.values.length)} rows, not ${String(rows)}`);
  if (new Set(columns.map(({ name }) => name)).size !== columns.length) {
    throw new RangeError('two columns have the same name');
  }
  const writer = new TurnTakingWriter();
  await parquetWrite({
    writer,
    columnData: columns.map(columnSource),
    codec: 'SNAPPY',
    statistics: false,
    rowGroupSize: ROW_GROUP_SIZE,
    createdBy: 'nightshift',
  });
  return writer.getBytes();
}

/** A writer in memory that lets other work run between row groups. */
class TurnTakingWriter extends ByteWriter {
  async flush(): Promise<void> {
    await nextTurn();
  }
}

function columnSource({ name, values }: ParquetColumn) {
  const common = { name, offsetIndex: false };
  if (values instanceof Int32Array)
    return { ...common, data: values, type: 'INT32', nullable: false } as const;
  if (values instanceof Float32Array) {
    return { ...common, data: canonical(values), type: 'FLOAT', nullable: false, encoding: 'PLAIN' } as const;
  }
  if (values instanceof Float64Array) {
    return {
      ...common,
      data: canonical(values),
      type: 'DOUBLE',
      nullable: false,
      encoding: 'PLAIN',
    } as const;
  }
  return { ...common, data: values, type: 'STRING', nullable: true } as const;
}

/** A NaN has many bit patterns, and which one arithmetic leaves is up to the compiler: all become the same. */
function canonical<A extends Float32Array | Float64Array>(values: A): A {
  const out = values.slice();
  for (let i = 0; i < out.length; i += 1) {
    if (Number.isNaN(out[i]!)) out[i] = Number.NaN;
  }
  return out as A;
}

/** What the columns of a file become; INT64 in numbers (exact to 2^53). Dates and times are not read here. */
const READERS = {
  BOOLEAN: (rows: number) => new Int32Array(rows),
  INT32: (rows: number) => new Int32Array(rows),
  INT64: (rows: number) => new Float64Array(rows),
  FLOAT: (rows: number) => new Float32Array(rows),
  DOUBLE: (rows: number) => new Float64Array(rows),
  BYTE_ARRAY: (rows: number) => Array.from<string | null>({ length: rows }).fill(null),
} as const;

/** Columns of a Parquet file by name, in the file's order. */
export interface ParquetTable {
  rows: number;
  columns: ReadonlyMap<string, ColumnValues>;
}

/**
 * Reads flat Parquet files of any codec, ours and those of the Python worker, into typed arrays. A null is NaN in
 * a Float column, null in a text column and an error in an INT32 or BOOLEAN column. Throws a RangeError for a column
 * that is not there or has another type, an Error for bytes that are no Parquet file.
 */
export async function readParquet(
  bytes: Uint8Array,
  options: { columns?: readonly string[] } = {},
): Promise<ParquetTable> {
  const file = toArrayBuffer(bytes);
  const metadata = parquetMetadata(file);
  const rows = Number(metadata.num_rows);
  const present = new Map(columnTypes(metadata));
  const names = options.columns ?? [...present.keys()];
  const columns = new Map(names.map((name) => [name, allocate(name, present.get(name), rows)]));
  // Errors inside onChunk would be lost in a promise nobody holds.
  let failure: unknown;
  await parquetRead({
    file: { byteLength: file.byteLength, slice: (start, end) => file.slice(start, end) },
    metadata,
    columns: [...names],
    compressors,
    onChunk: (chunk) => {
      try {
        copyChunk(chunk, columns.get(chunk.columnName)!);
      } catch (error) {
        failure ??= error;
      }
    },
  });
  if (failure !== undefined) throw failure;
  return { rows, columns };
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const whole = buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength;
  return whole ? buffer : new Uint8Array(bytes).buffer;
}

function columnTypes({ schema }: FileMetaData): [string, string][] {
  return schema.slice(1).map(({ name, type, converted_type: converted }) => {
    const readable =
      converted === undefined || converted === 'UTF8' || converted === 'INT_32' || converted === 'INT_64';
    return [name, readable ? (type ?? 'group') : `${type ?? 'group'} (${converted})`];
  });
}

function allocate(name: string, type: string | undefined, rows: number): ColumnValues {
  if (type === undefined) throw new RangeError(`the Parquet file has no column ${name}`);
  if (!(type in READERS)) throw new RangeError(`column ${name} is ${type}, which is not read here`);
  return READERS[type as keyof typeof READERS](rows);
}

function copyChunk({ columnName, columnData, rowStart }: ColumnData, target: ColumnValues): void {
  if (isNumeric(columnData) && !Array.isArray(target)) {
    target.set(columnData, rowStart);
    return;
  }
  for (let i = 0; i < columnData.length; i += 1) {
    const value: unknown = columnData[i] ?? null;
    if (Array.isArray(target)) target[rowStart + i] = typeof value === 'string' ? value : null;
    else if (value !== null) target[rowStart + i] = Number(value);
    else if (target instanceof Int32Array) {
      throw new RangeError(`column ${columnName} has a null at row ${String(rowStart + i)}`);
    } else target[rowStart + i] = Number.NaN;
  }
}

function isNumeric(values: ColumnData['columnData']): values is Int32Array | Float32Array | Float64Array {
  return values instanceof Int32Array || values instanceof Float32Array || values instanceof Float64Array;
}
