import { z } from '@hono/zod-openapi';
import { problemSchema } from '../problems.ts';

/** `YYYY-MM-DD` that is a day of the calendar and may be one of market data: the database knows no year 0. */
export const dateSchema = z.iso
  .date({ abort: true })
  .regex(/^(19|20)/, 'is no day of 1900 to 2099')
  .openapi({ format: 'date', example: '2018-02-07' });

/** A whole number in a path or query, where everything is text: blanks, signs and `1e2` are none. */
export function wholeNumber({ minimum, maximum }: { minimum: number; maximum: number }) {
  return z
    .string()
    .regex(/^\d{1,9}$/, `a whole number from ${minimum} to ${maximum}`)
    .transform(Number)
    .pipe(z.number().min(minimum).max(maximum))
    .openapi({ type: 'integer', minimum, maximum });
}

/** `true` or `false` in a query. */
export const flagSchema = z.enum(['true', 'false']).transform((text) => text === 'true');

/** Name of a universe as the configuration has it. */
export const universeSchema = z
  .string()
  .regex(/^[\w.-]{1,64}$/)
  .openapi({ example: 'sample' });

/** No text of a request has a NUL (`newRouter` sees to it): this is for whoever reads the document. */
const NUL = String.raw`\u0000`;
const WITHOUT_NUL = new RegExp(`^[^${NUL}]*$`);
const SAYS_SOMETHING = new RegExp(String.raw`^[^${NUL}]*[^${NUL}\s][^${NUL}]*$`);

/** A text that is looked for. */
export function textSchema({ minimum = 1, maximum }: { minimum?: number; maximum: number }) {
  return z.string().min(minimum).max(maximum).regex(WITHOUT_NUL, 'has a NUL character');
}

/** The reason that an act needs; kept without the blanks around it. */
export const whySchema = z.string().max(500).regex(SAYS_SOMETHING, 'a reason is needed').trim();
/** A body that is the reason alone. */
export const whyBody = {
  content: { 'application/json': { schema: z.object({ why: whySchema }) } },
  required: true,
} as const;

export const PROBLEM = { 'application/problem+json': { schema: problemSchema } };
const DESCRIPTIONS = {
  400: 'A field is wrong',
  401: 'No token, or one that does not count',
  403: 'The token may not do that',
  404: 'There is no such thing',
  409: 'Not now: what it needs is not there, or it is otherwise by now',
  413: 'The body is too large',
  415: 'The body is no JSON by its content type',
  429: 'Too many requests',
  503: 'Something is down; `detail` says what',
} as const;

/** What may be wrong with a body. */
export const BODY_PROBLEMS = [400, 413, 415] as const;

/** The problems a route may answer with, as OpenAPI responses. */
export function problems<Status extends keyof typeof DESCRIPTIONS>(...statuses: Status[]) {
  const responses = statuses.map((status) => [status, problemResponse(status)] as const);
  return Object.fromEntries(responses) as Record<Status, ReturnType<typeof problemResponse>>;
}

/** Answers of a read of something that may not be there. */
export const foundAnswers = <Schema extends z.ZodType>(description: string, schema: Schema) => ({
  200: { description, content: { 'application/json': { schema } } },
  ...problems(400, 401, 404, 429, 503),
});

function problemResponse(status: keyof typeof DESCRIPTIONS) {
  return { description: DESCRIPTIONS[status], content: PROBLEM };
}
