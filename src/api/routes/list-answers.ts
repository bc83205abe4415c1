import { z } from '@hono/zod-openapi';
import { streamContent } from '../streams.ts';
import { problems } from './schemas.ts';

/** Fields of every page: its items, and the token of the next one. */
export const pageFields = <Item extends z.ZodType>(item: Item) => ({
  items: z.array(item),
  nextPageToken: z.string().nullable(),
});

/** Answers of a list that comes in pages. */
export const pageAnswers = <Schema extends z.ZodType>(schema: Schema) => ({
  200: { description: 'A page', content: { 'application/json': { schema } } },
  ...problems(400, 401, 429, 503),
});

/** Answers of a list that also comes whole, as a stream, about something that may not be there. */
export const streamAnswers = <Schema extends z.ZodType>(schema: Schema) => ({
  200: { description: 'A page', content: { 'application/json': { schema }, ...streamContent } },
  ...problems(400, 401, 404, 429, 503),
});
