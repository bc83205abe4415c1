import { z } from '@hono/zod-openapi';
import type { PageEnd } from '../db/queries/run-pages.ts';
import { Problem } from './problems.ts';
import { rowLimit } from './routes/schemas.ts';

const MAX_ROWS = 200;
const DEFAULT_ROWS = 50;

/** Query of every list. */
export const pageQuery = z.object({
  limit: rowLimit({ maximum: MAX_ROWS, usual: DEFAULT_ROWS }),
  pageToken: z.string().max(400).optional().openapi({ description: '`nextPageToken` of the page before' }),
});

const endSchema = z.tuple([z.iso.datetime(), z.string().min(1).max(300)]);

/** Where the page before ended. Throws a Problem for a token that is none of ours. */
export function pageEndOf(token: string | undefined): PageEnd | null {
  if (token === undefined) return null;
  const parsed = endSchema.safeParse(jsonOf(Buffer.from(token, 'base64url').toString('utf8')));
  if (parsed.success) return { at: parsed.data[0], id: parsed.data[1] };
  const message = 'is no token of a page; leave it out for the first page';
  throw new Problem('invalid-input', `pageToken: ${message}`, { errors: [{ field: 'pageToken', message }] });
}

/** One page of rows that were read with one more than it holds, and the token of the next one. */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  endOf: (row: Row) => PageEnd,
): { items: readonly Row[]; nextPageToken: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  if (rows.length <= limit || last === undefined) return { items, nextPageToken: null };
  const { at, id } = endOf(last);
  return { items, nextPageToken: Buffer.from(JSON.stringify([at, id])).toString('base64url') };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
