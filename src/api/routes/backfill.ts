import { createRoute, z } from '@hono/zod-openapi';
import { RUN_STATES } from '../../contracts/wire/names.ts';
import { cancelBackfill, datesOf, readBackfill } from '../../temporal/backfill.ts';
import { requireRole } from '../auth.ts';
import { confirmBackfill, MAX_BACKFILL_SESSIONS, orConflict, previewBackfill } from '../backfill.ts';
import type { ApiDeps } from '../deps.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { BODY_PROBLEMS, dateSchema, flagSchema, problems, universeSchema, whySchema } from './schemas.ts';

const PATH = '/api/v1/schedules/nightly/backfill';
const range = { from: dateSchema, to: dateSchema, universe: universeSchema.optional() };
const tokenSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .openapi({ description: 'What is confirmed: the `token` of the preview' });

const previewSchema = z
  .object({
    universe: z.string(),
    from: z.string(),
    to: z.string(),
    onlyMissing: z.boolean(),
    sessions: z.array(
      z.object({
        sessionDate: z.string(),
        lastState: z
          .enum([...RUN_STATES, 'partial', 'no_session'])
          .nullable()
          .openapi({ description: 'How its newest night stands; null: there was none' }),
        succeeded: z.boolean().openapi({ description: 'A night of it has succeeded' }),
        open: z.boolean().openapi({ description: 'A night of it runs now' }),
        runs: z.boolean().openapi({ description: 'The backfill would run it' }),
      }),
    ),
    notOver: z.array(z.string()).openapi({ description: 'Sessions of the range without data yet' }),
    coverage: z
      .object({
        provider: z.string(),
        firstSession: z.string().nullable(),
        lastSession: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: 'What the providers can have, null at an open end; null: not known now' }),
    notCovered: z
      .array(z.string())
      .openapi({ description: 'Sessions of the range that the providers cannot have: they do not run' }),
    nights: z.int().openapi({ description: 'How many would run, one after the other' }),
    nightSeconds: z.number().nullable().openapi({
      description: 'Median of the work of earlier nights of the universe; null: none has succeeded yet',
    }),
    measuredSessions: z.int().openapi({ description: 'How many sessions the median is of' }),
    totalSeconds: z.number().nullable().openapi({ description: 'Both together; null: not known' }),
    token: tokenSchema,
  })
  .openapi('BackfillPreview');

const backfillSchema = z
  .object({
    workflowId: z.string(),
    runId: z.string(),
    state: z.enum(['running', 'succeeded', 'partial', 'failed', 'cancelled']),
    universe: z.string(),
    from: z.string().openapi({ description: 'The first session it runs' }),
    to: z.string().openapi({ description: 'The last one' }),
    sessions: z.int().openapi({ description: 'How many it runs' }),
    ended: z.int().openapi({ description: 'How many nights of it have ended' }),
    current: z.string().nullable().openapi({ description: 'Session of the night that runs' }),
    requestedBy: z.string(),
    why: z.string(),
    startedAt: z.string(),
    completedAt: z.string().nullable(),
  })
  .openapi('Backfill');
const asBackfill = { 'application/json': { schema: backfillSchema } };

const previewRoute = createRoute({
  method: 'get',
  path: `${PATH}/preview`,
  tags: ['Schedules'],
  summary: 'What a backfill of a range of sessions would run, and how long it may take',
  request: { query: z.object({ ...range, onlyMissing: flagSchema.optional() }) },
  responses: {
    200: {
      description: `At most ${MAX_BACKFILL_SESSIONS} sessions to run`,
      content: { 'application/json': { schema: previewSchema } },
    },
    ...problems(400, 401, 429, 503),
  },
});

const startRoute = createRoute({
  method: 'post',
  path: PATH,
  tags: ['Schedules'],
  summary: 'Run the sessions that were previewed: a night each, in order, never two at once',
  middleware: [requireRole('operator')] as const,
  request: {
    body: {
      content: {
        'application/json': {
          schema: z.object({
            ...range,
            onlyMissing: z.boolean().default(false),
            token: tokenSchema,
            why: whySchema,
          }),
        },
      },
      required: true,
    },
  },
  responses: {
    202: { description: 'It has begun, or this one runs already', content: asBackfill },
    ...problems(...BODY_PROBLEMS, 401, 403, 409, 429, 503),
  },
});

const stateRoute = createRoute({
  method: 'get',
  path: PATH,
  tags: ['Schedules'],
  summary: 'The backfill that runs, else the last one',
  responses: {
    200: { description: 'How far it is', content: asBackfill },
    ...problems(401, 404, 429, 503),
  },
});

const cancelRoute = createRoute({
  method: 'post',
  path: `${PATH}/cancel`,
  tags: ['Schedules'],
  summary: 'Ask the backfill that runs to stop, with the night it is at',
  middleware: [requireRole('operator')] as const,
  request: {
    body: { content: { 'application/json': { schema: z.object({ why: whySchema }) } }, required: true },
  },
  responses: {
    202: { description: 'It is asked to', content: asBackfill },
    ...problems(...BODY_PROBLEMS, 401, 403, 409, 429, 503),
  },
});

/** Nights of a range of sessions: looked at first, then begun under the token of what was seen. */
export function backfillRoutes(deps: ApiDeps) {
  const { sql, client, times } = deps;
  return newRouter()
    .openapi(previewRoute, async (c) => {
      const plan = await previewBackfill(deps, c.req.valid('query'));
      const nights = datesOf(plan.sessions).length;
      const totalSeconds = plan.nightSeconds === null ? null : plan.nightSeconds * nights;
      return c.json({ ...plan, nights, totalSeconds }, 200);
    })
    .openapi(startRoute, async (c) => {
      const { token, why, ...range } = c.req.valid('json');
      const begun = await confirmBackfill(deps, { range, token, by: c.get('caller').name, why });
      return c.json(backfillSchema.parse(begun), 202, { location: PATH });
    })
    .openapi(stateRoute, async (c) => {
      const backfill = await readBackfill(client, times.callMs);
      if (backfill === null) throw new Problem('not-found', 'no backfill has run yet');
      return c.json(backfillSchema.parse(backfill), 200);
    })
    .openapi(cancelRoute, async (c) => {
      const { why } = c.req.valid('json');
      const asked = await orConflict(() => cancelBackfill({ client, sql, by: c.get('caller').name, why }));
      return c.json(backfillSchema.parse(asked), 202);
    });
}
