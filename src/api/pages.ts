import { z } from '@hono/zod-openapi';
import type { PageEnd } from '../db/queries/run-pages.ts';
import { countQuery, instantPart, keyIn, keyText } from './key-pages.ts';

const MAX_ROWS = 200;
const DEFAULT_ROWS = 50;

/** Query of every list. */
export const pageQuery = z.object({
  limit: countQuery({ maximum: MAX_ROWS, usual: DEFAULT_ROWS }),
  pageToken: z.string().max(400).optional().openapi({ description: '`nextPageToken` of the page before' }),
});

const endSchema = z.tuple([instantPart, z.string().regex(/^\P{C}{1,300}$/u)]);

/** Where the page before ended. Throws a Problem for a token that is none of ours. */
export function pageEndOf(token: string | undefined): PageEnd | null {
  const end = keyIn(token, endSchema);
  return end === null ? null : { at: end[0], id: end[1] };
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
  return { items, nextPageToken: keyText([at, id]) };
}
