import { z } from '@hono/zod-openapi';
import { Problem } from './problems.ts';
import { wholeNumber } from './routes/schemas.ts';

const MAX_ROWS = 1_000;
const DEFAULT_ROWS = 100;
/** Rows of one statement behind a stream: what is in memory at a time. */
const BATCH_ROWS = 1_000;

/** How many rows somebody wants at most. */
export function countQuery({ maximum, usual, words }: { maximum: number; usual: number; words?: string }) {
  return wholeNumber({ minimum: 1, maximum })
    .default(usual)
    .openapi({ default: usual, ...(words !== undefined && { description: words }) });
}

/** Query of every list of results. */
export const rowsQuery = z.object({
  limit: countQuery({
    maximum: MAX_ROWS,
    usual: DEFAULT_ROWS,
    words: 'Rows of a page; a stream has all of them',
  }),
  pageToken: z.string().max(1_000).optional().openapi({ description: '`nextPageToken` of the page before' }),
});
/** Query of a list that may be large: also as a stream. */
export const streamQuery = rowsQuery.extend({
  format: z
    .enum(['json', 'csv', 'ndjson'])
    .optional()
    .openapi({ description: 'Instead of the `Accept` header; csv and ndjson stream every row' }),
});

/** What a page token holds: where the page before ended. */
export type Key = readonly (string | number | null)[];

/** A list in a stable order, read after a key. */
export type KeyedList<Row, K extends Key> = {
  read: (after: K | null, limit: number) => Promise<readonly Row[]>;
  keyOf: (row: Row) => K;
};

/** An instant in a token: the database knows no year 0. */
export const instantPart = z.iso.datetime({ abort: true }).regex(/^(19|20)/);

/** The key in a token; null without one. Throws a Problem for a token that is none of this list. */
export function keyIn<K extends Key>(
  token: string | undefined,
  schema: z.ZodType<K>,
  field = 'pageToken',
): K | null {
  if (token === undefined) return null;
  const parsed = schema.safeParse(jsonOf(Buffer.from(token, 'base64url').toString('utf8')));
  if (parsed.success) return parsed.data;
  const message = 'is no token of a page of this list; leave it out for the first page';
  throw new Problem('invalid-input', `${field}: ${message}`, { errors: [{ field, message }] });
}

/** The text of a key, for a token or as the id of a row. */
export function keyText(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** One page after a key, and the token of the next one; null on the last. */
export async function readKeyPage<Row, K extends Key>(
  list: KeyedList<Row, K>,
  { after, limit }: { after: K | null; limit: number },
): Promise<{ rows: readonly Row[]; nextPageToken: string | null }> {
  const found = await list.read(after, limit + 1);
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  const nextPageToken = found.length <= limit || last === undefined ? null : keyText(list.keyOf(last));
  return { rows, nextPageToken };
}

/** All rows after a key in batches, each a statement of its own that goes on where the one before ended. */
export async function* batchesOf<Row, K extends Key>(
  list: KeyedList<Row, K>,
  after: K | null,
  batchRows = BATCH_ROWS,
): AsyncGenerator<readonly Row[], void, undefined> {
  let key = after;
  for (;;) {
    const rows = await list.read(key, batchRows);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (rows.length < batchRows || last === undefined) return;
    key = list.keyOf(last);
  }
}

/** The same as items of an answer. */
export async function* itemBatchesOf<Row, K extends Key, Item>(
  list: KeyedList<Row, K>,
  after: K | null,
  itemOf: (row: Row) => Item,
): AsyncGenerator<readonly Item[], void, undefined> {
  for await (const rows of batchesOf(list, after)) yield rows.map(itemOf);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
