import type { Readable, Writable } from 'node:stream';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { type Exclusive, explainError } from './connection.ts';
import { PostgresError } from './errors.ts';
import type { Queryable } from './query.ts';

/** Bytes kept on their way before the other side has to wait. */
const BUFFER_BYTES = 1 << 18;
/** A socket takes less than this without waiting, and may read it later than it says. */
const TAKEN_AT_ONCE_BYTES = 1 << 17;

/** Hands a chunk over; its memory may be filled again when the promise resolves. */
export type Send = (chunk: Uint8Array) => Promise<void>;

/**
 * `COPY … FROM STDIN` of what `produce` sends. Resolves when the server has all rows; rejects with its error, or
 * with that of `produce`, which takes the statement back.
 */
export async function sendCopy(
  sql: Queryable,
  statement: string,
  produce: (send: Send) => Promise<void>,
): Promise<void> {
  await sql.exclusive(async ({ client }) => {
    const stream = client.query(copyFrom(statement, { highWaterMark: BUFFER_BYTES }));
    const { failed, hasFailed } = watch(stream);
    const closed = new Promise<void>((resolve) => {
      stream.once('close', resolve);
    });
    const send: Send = async (chunk) => {
      if (hasFailed()) await failed;
      const bytes = chunk.length < TAKEN_AT_ONCE_BYTES ? Buffer.from(chunk) : chunk;
      const sent = new Promise<void>((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
      await Promise.race([sent, failed]);
    };
    try {
      await produce(send);
      if (!hasFailed()) {
        const finished = new Promise<void>((resolve) => {
          stream.once('finish', resolve);
        });
        stream.end();
        await Promise.race([finished, failed]);
      } else await failed;
    } catch (error) {
      // Tells the server that nothing more comes, and waits for its answer: the connection goes on behind it.
      if (!hasFailed()) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
        await closed;
      }
      throw error;
    }
  });
}

/**
 * `COPY … TO STDOUT`, chunk by chunk as it comes. An error of `consume` is thrown when the rest has passed by: the
 * connection stays usable.
 */
export async function receiveCopy(
  sql: Queryable,
  statement: string,
  consume: (chunk: Buffer) => void,
): Promise<void> {
  await sql.exclusive(async ({ client }) => {
    const stream = client.query(copyTo(statement, { highWaterMark: BUFFER_BYTES }));
    const { failed } = watch(stream);
    let broken: { error: unknown } | null = null;
    stream.on('data', (chunk: Buffer) => {
      if (broken !== null) return;
      try {
        consume(chunk);
      } catch (error) {
        broken = { error };
      }
    });
    await Promise.race([ended(stream), failed]);
    throwIfBroken(broken);
  });
}

function throwIfBroken(broken: { error: unknown } | null): void {
  if (broken !== null) throw broken.error;
}

/** The data of a `COPY … TO STDOUT`. Whoever does not read it to the end loses the connection. */
export function openCopyOut(sql: Queryable, statement: string): Promise<Readable> {
  return opened(sql, ({ client, abandon }) => {
    const stream = client.query(copyTo(statement, { highWaterMark: BUFFER_BYTES }));
    const { failed } = watch(stream);
    let refused = false;
    stream.once('error', (error) => {
      // Said by this statement itself, not by the one that its rows were meant for.
      refused = !stream.destroyed && explainError(error) instanceof PostgresError;
    });
    stream.once('close', () => {
      // Behind its refusal the server goes on; otherwise rows would come for ever that nobody takes.
      if (stream.readableEnded || refused) return;
      abandon(stream.errored ?? new Error('its rows were not read to the end'));
    });
    // One that was given to nobody yet says it to whom it is given.
    failed.catch((error: unknown) =>
      stream.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    return { stream, done: Promise.race([ended(stream), failed]) };
  });
}

/**
 * Takes the data of a `COPY … FROM STDIN`; it has arrived when the stream has finished. To be piped into at once: a
 * refusal of the server is told to who listens then.
 */
export function openCopyIn(sql: Queryable, statement: string): Promise<Writable> {
  return opened(sql, ({ client, abandon }) => {
    const stream = client.query(copyFrom(statement, { highWaterMark: BUFFER_BYTES }));
    const { failed } = watch(stream);
    const finished = new Promise<void>((resolve) => {
      stream.once('finish', resolve);
    });
    stream.once('close', () => {
      // Destroyed without an error: what the server made of it is not known.
      if (!stream.writableFinished && stream.errored === null) abandon(new Error('its rows were not sent'));
    });
    return { stream, done: Promise.race([finished, failed]) };
  });
}

/** Resolves with the stream as soon as the connection is free for it, and keeps the connection until it is done. */
function opened<S extends Readable | Writable>(
  sql: Queryable,
  open: (exclusive: Exclusive) => { stream: S; done: Promise<void> },
): Promise<S> {
  return new Promise<S>((resolve, reject) => {
    const copying = sql.exclusive(async (exclusive) => {
      const { stream, done } = open(exclusive);
      resolve(stream);
      // An error is also that of the stream, where its user meets it.
      await done;
    });
    copying.catch(reject);
  });
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', resolve);
  });
}

/** The first error of a stream, in our words; raced against each step. */
function watch(stream: Readable | Writable): { failed: Promise<never>; hasFailed: () => boolean } {
  let seen = false;
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on('error', (error) => {
      seen = true;
      reject(explainError(error));
    });
  });
  // Without a listener a late error would end the process.
  failed.catch(() => undefined);
  return { failed, hasFailed: () => seen };
}
