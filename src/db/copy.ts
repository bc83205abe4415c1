import { once } from 'node:events';
import type { Duplex, Writable } from 'node:stream';
import type { Queryable, Tx } from './client.ts';
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
  const copy = openCopyIn(input.tx, `copy ${input.table} (${names.join(', ')}) from stdin (format binary)`);
  const stream = await copy.stream;
  try {
    await sendRows({ stream, writers, rows: input.rows, failed: copy.failed });
    stream.end();
    await Promise.race([once(stream, 'finish'), copy.failed]);
  } catch (error) {
    // Tells the server that nothing more comes: the connection would wait for rows otherwise.
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** Two buffers in turns: one is filled while the other is on its way. */
async function sendRows(input: {
  stream: Writable;
  writers: readonly ColumnWriter[];
  rows: number;
  failed: Promise<never>;
}): Promise<void> {
  const { stream, writers, failed } = input;
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
      sending = send(stream, target.bytes.subarray(0, offset), failed);
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
  await send(stream, Buffer.concat([target.bytes.subarray(0, offset), TRAILER]), failed);
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
  const query = input.sql.unsafe(`copy (${input.query}) to stdout (format binary)`);
  await new Promise<void>((resolve, reject) => {
    interceptStream(query, reject, (stream) => {
      stream.on('error', reject);
      stream.on('end', resolve);
      // postgres.js pauses its socket when the stream is full and resumes it in _read, which nobody calls
      // on a stream that has ended: the connection's next query would wait for ever.
      // oxlint-disable-next-line no-underscore-dangle
      stream.once('close', () => stream._read(0));
      stream.on('data', (chunk: Buffer) => {
        try {
          parser.push(chunk);
        } catch (error) {
          stream.destroy(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
    query.readable().catch(reject);
  });
  return parser.finish();
}

/** Resolves when the chunk has left: its memory may be filled again. */
async function send(stream: Writable, chunk: Uint8Array, failed: Promise<never>): Promise<void> {
  const sent = new Promise<void>((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
  await Promise.race([sent, failed]);
}

function openCopyIn(tx: Tx, statement: string): { stream: Promise<Writable>; failed: Promise<never> } {
  const query = tx.unsafe(statement);
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  // Raced against each step; without a listener a late error would end the process.
  failed.catch(() => undefined);
  interceptStream(query, fail, (stream) => stream.on('error', fail));
  return { stream: query.writable(), failed };
}

/** Readable or writable, by the direction of the COPY. */
type StreamQuery = { resolve: (stream: Duplex) => void; reject: (error: unknown) => void };

/**
 * postgres.js 3.4 hands out a COPY stream and then loses the server's error: a failed COPY FROM never
 * calls back, a failed COPY TO errs before a listener can be there. The query's own `resolve` and
 * `reject` still see both, in time.
 */
function interceptStream(
  query: unknown,
  onError: (error: unknown) => void,
  onStream: (stream: Duplex) => void,
): void {
  const target = query as StreamQuery;
  const { resolve, reject } = target;
  let opened = false;
  target.resolve = (stream) => {
    if (!opened) onStream(stream);
    opened = true;
    resolve.call(query, stream);
  };
  target.reject = (error) => {
    onError(error);
    reject.call(query, error);
  };
}
