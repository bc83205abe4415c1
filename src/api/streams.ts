import { ServerResponse } from 'node:http';
import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import { z } from '@hono/zod-openapi';
import type { ApiEnv, ApiLog } from './deps.ts';
import { stackOf } from './problems.ts';

/** Whoever takes nothing for so long is gone, or holds what has been read for nothing. */
const STALL_MS = 60_000;

type Format = 'json' | 'csv' | 'ndjson';

const TYPES = {
  json: 'application/json',
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
} as const satisfies Record<Format, string>;

/** How a list may also be answered, for the `content` of its 200. */
export const streamContent = {
  'text/csv': {
    schema: {
      type: 'string',
      description:
        'A line of names, then all rows (RFC 4180); null is empty; an apostrophe stands before a text that begins like a formula (`=`, `+`, `-`, `@`, tab, carriage return) and is no number',
    },
  },
  'application/x-ndjson': { schema: { type: 'string', description: 'All rows, an object a line' } },
} as const;

/** What the client wants: the query goes before the header, JSON before anything unknown. */
export function formatOf(c: Context<ApiEnv>, asked: Format | undefined): Format {
  if (asked !== undefined) return asked;
  const type = accepts(c, { header: 'Accept', supports: Object.values(TYPES), default: TYPES.json });
  return type === TYPES.csv ? 'csv' : type === TYPES.ndjson ? 'ndjson' : 'json';
}

/**
 * All items as a stream, one batch in memory at a time and no faster than the client reads; between batches nothing is
 * held in Postgres. The first batch is read before anything is answered. A failure after it, and a client that takes
 * nothing for a minute, break the connection, so that a part never looks like the whole.
 */
export async function streamItems<Item extends object>(
  c: Context<ApiEnv>,
  input: {
    format: 'csv' | 'ndjson';
    /** Of an item: its fields are the columns. */
    schema: z.ZodObject;
    /** File name without its ending. */
    name: string;
    batches: AsyncIterable<readonly Item[]>;
    log: ApiLog;
    stallMs?: number;
  },
): Promise<Response> {
  const { format, log, name, stallMs = STALL_MS } = input;
  const outgoing = outgoingOf(c);
  const parts = linesOf(input)[Symbol.asyncIterator]();
  const first = await parts.next();
  const encoder = new TextEncoder();
  let next: typeof first | null = first;
  let stall: NodeJS.Timeout | undefined;
  let isOver = false;
  const breakOff = async (controller: ReadableStreamDefaultController, error: unknown): Promise<void> => {
    if (isOver) return;
    isOver = true;
    log('ERROR', 'a stream broke', { requestId: c.get('requestId'), error: stackOf(error) });
    // The server would send and print words of its own on an error: it is cut off instead.
    if (outgoing === null) controller.error(new Error('the stream broke'));
    else outgoing.destroy();
    await parts.return?.(undefined);
  };
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        clearTimeout(stall);
        try {
          const part = next ?? (await parts.next());
          next = null;
          // The client may have gone while the batch was read.
          if (isOver) return;
          if (part.done === true) {
            isOver = true;
            controller.close();
            return;
          }
          controller.enqueue(encoder.encode(part.value));
          const late = new Error(`the client took nothing for ${stallMs / 1000} s`);
          stall = setTimeout(() => void breakOff(controller, late), stallMs).unref();
        } catch (error) {
          await breakOff(controller, error);
        }
      },
      cancel: async () => {
        isOver = true;
        clearTimeout(stall);
        await parts.return?.(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return c.body(body, 200, {
    'content-type': `${TYPES[format]}; charset=utf-8`,
    'content-disposition': `attachment; filename="${name.replaceAll(/[^\w.-]/g, '_')}.${format}"`,
    'cache-control': 'no-store',
  });
}

/** What Node answers a request through; null where nobody listens and the API is asked in its own process. */
function outgoingOf(c: Context<ApiEnv>): ServerResponse | null {
  const bindings: unknown = c.env;
  const isOfNode = typeof bindings === 'object' && bindings !== null && 'outgoing' in bindings;
  return isOfNode && bindings.outgoing instanceof ServerResponse ? bindings.outgoing : null;
}

async function* linesOf<Item extends object>({
  format,
  schema,
  batches,
}: {
  format: 'csv' | 'ndjson';
  schema: z.ZodObject;
  batches: AsyncIterable<readonly Item[]>;
}): AsyncGenerator<string, void, undefined> {
  const columns = columnsOf(schema);
  let head = format === 'csv' ? `${columns.join(',')}\r\n` : '';
  for await (const items of batches) {
    const lines = items.map((item) =>
      format === 'csv' ? `${csvLine(item, columns)}\r\n` : `${JSON.stringify(item)}\n`,
    );
    yield head + lines.join('');
    head = '';
  }
  // Also a list without rows says what its columns are.
  if (head !== '') yield head;
}

/** Names of all fields of an item; those of objects in it are joined with a dot, lists and records are one column. */
export function columnsOf(schema: z.ZodObject, prefix = ''): string[] {
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    let inner: unknown = field;
    while (inner instanceof z.ZodNullable || inner instanceof z.ZodOptional) inner = inner.unwrap();
    return inner instanceof z.ZodObject ? columnsOf(inner, `${prefix}${name}.`) : [`${prefix}${name}`];
  });
}

/** One line of CSV without its end. Numbers have all their digits; lists and records are JSON. */
export function csvLine(item: object, columns: readonly string[]): string {
  return columns.map((column) => csvCell(valueAt(item, column))).join(',');
}

function valueAt(item: object, column: string): unknown {
  let value: unknown = item;
  for (const name of column.split('.')) {
    if (typeof value !== 'object' || value === null) return null;
    value = Reflect.get(value, name);
  }
  return value;
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? guarded(value) : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What a spreadsheet takes for a formula, and what of that is only a number. */
const FORMULA = /^[=+\-@\t\r]/;
const SIGNED_NUMBER = /^[+-](\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A text that stays one in a spreadsheet: an apostrophe stands before what begins like a formula. */
function guarded(text: string): string {
  return FORMULA.test(text) && !SIGNED_NUMBER.test(text) ? `'${text}` : text;
}
