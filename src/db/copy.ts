import type { Queryable, Tx } from './client.ts';
import { receiveCopy, type Send, sendCopy } from './copy-stream.ts';
import {
  columnWriter,
  type ColumnWriter,
  type CopyColumn,
  createTarget,
  SIGNATURE,
  TRAILER,
} from './copy-encode.ts';
import { type CopiedColumns, createRowParser, type CopyOutTypes } from './copy-decode.ts';

export type { CopyColumn } from './copy-encode.ts';
export type { CopiedColumns, CopyOutTypes } from './copy-decode.ts';

/** Bytes handed to the socket at once. */
const CHUNK_BYTES = 1 << 18;

/**
 * Binary `COPY table (columns) FROM STDIN`: numbers go over as they lie in memory, nothing is
 * printed or parsed. Throws RangeError for columns of unequal length, and the server's error.
 */
export async function copyIn(input: {
  tx: Tx;
  /** Trusted SQL name, e.g. `market.bars`. */
  table: string;
  columns: Record<string, CopyColumn>;
  rows: number;
}): Promise<void> {
  const names = Object.keys(input.columns);
  const writers = Object.entries(input.columns).map(([name, column]) =>
    columnWriter(name, column, input.rows),
  );
  const statement = `copy ${input.table} (${names.join(', ')}) from stdin (format binary)`;
  await sendCopy(input.tx, statement, (send) => sendRows({ send, writers, rows: input.rows }));
}

/** Two buffers in turns: one is filled while the other is on its way. */
async function sendRows(input: {
  send: Send;
  writers: readonly ColumnWriter[];
  rows: number;
}): Promise<void> {
  const { send, writers } = input;
  let target = createTarget(CHUNK_BYTES);
  let other = createTarget(CHUNK_BYTES);
  let sending: Promise<void> = Promise.resolve();
  target.bytes.set(SIGNATURE);
  let offset = SIGNATURE.length;
  for (let row = 0; row < input.rows; row += 1) {
    let bytes = 2;
    for (const writer of writers) bytes += writer.size(row);
    if (offset + bytes > target.bytes.length) {
      await sending;
      sending = send(target.bytes.subarray(0, offset));
      // Awaited at the next turn; an error of the encoder may come first.
      sending.catch(() => undefined);
      const free = other;
      other = target;
      target = free.bytes.length < bytes ? createTarget(bytes) : free;
      offset = 0;
    }
    target.view.setInt16(offset, writers.length);
    offset += 2;
    for (const writer of writers) offset = writer.write(target, offset, row);
  }
  await sending;
  await send(Buffer.concat([target.bytes.subarray(0, offset), TRAILER]));
}

/**
 * Binary `COPY (query) TO STDOUT` into typed arrays (`float8` null → NaN, `date` → epoch days,
 * `timestamptz` → ms). `query` is trusted SQL: values go in through `literals.ts`.
 */
export async function copyOut<T extends CopyOutTypes>(input: {
  sql: Queryable;
  query: string;
  columns: T;
  /** Expected rows: a good guess saves copying. */
  expectedRows?: number;
}): Promise<{ rows: number; columns: CopiedColumns<T> }> {
  const parser = createRowParser(input.columns, input.expectedRows ?? 1024);
  await receiveCopy(input.sql, `copy (${input.query}) to stdout (format binary)`, (chunk) =>
    parser.push(chunk),
  );
  return parser.finish();
}
