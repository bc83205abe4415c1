import { createRoute, z } from '@hono/zod-openapi';
import { RUN_STATES, TASKS, TRIGGERS } from '../../contracts/wire/names.ts';
import type { EndHow } from '../../temporal/verbs.ts';
import { requireRole } from '../auth.ts';
import { pageQuery } from '../pages.ts';
import { failureChainSchema, liveSchema } from './live-schema.ts';
import { acceptedSchema, runHeaders, runQuery } from './scheduler-definitions.ts';
import {
  BODY_PROBLEMS,
  dateSchema,
  foundAnswers,
  problems,
  textSchema,
  universeSchema,
  whyBody,
  whySchema,
} from './schemas.ts';
import { pageAnswers, pageFields } from './list-answers.ts';

const failureSchema = z.looseObject({ type: z.string(), message: z.string() }).nullable();

const summaryFields = {
  runId: z.string(),
  task: z.enum(TASKS),
  taskId: z.int(),
  sessionDate: z.string(),
  universe: z.string(),
  state: z.enum(RUN_STATES).openapi({ description: '`pending` until the queue has taken it' }),
  reason: z.string().nullable(),
  trigger: z.enum(TRIGGERS),
  forced: z.boolean(),
  requestedBy: z.string().nullable(),
  attemptsBegun: z.int(),
  maxAttempts: z.int().nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  reviewDeadline: z.string().nullable(),
};
export const summarySchema = z.object(summaryFields).openapi('RunSummary');
export type RunSummary = z.infer<typeof summarySchema>;

const webUrlSchema = z
  .string()
  .nullable()
  .openapi({ description: 'In the Temporal Web UI; null where its address is not known' });

const runSchema = z
  .object({
    ...summaryFields,
    nightRunId: z.string().nullable().openapi({ description: 'Null: by hand, or weekly maintenance' }),
    webUrl: webUrlSchema,
    result: z.record(z.string(), z.unknown()).nullable(),
    failure: failureSchema,
    failureChain: failureChainSchema,
    attempts: z.array(
      z.object({
        attempt: z.int(),
        state: z.string(),
        startedAt: z.string(),
        completedAt: z.string().nullable(),
        failure: failureSchema,
        webUrl: webUrlSchema,
      }),
    ),
    reviews: z.array(
      z.object({ decision: z.string(), decidedBy: z.string(), why: z.string(), decidedAt: z.string() }),
    ),
    live: liveSchema,
  })
  .openapi('Run');

const listSchema = z.object({ ...pageFields(summarySchema) }).openapi('RunPage');
export type RunPage = z.infer<typeof listSchema>;

export const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs',
  tags: ['Runs'],
  summary: 'Task runs of nights and by hand, newest first',
  request: {
    query: pageQuery.extend({
      task: z.enum(TASKS).optional(),
      state: z.enum(RUN_STATES).optional(),
      trigger: z.enum(TRIGGERS).optional(),
      sessionDate: dateSchema.optional(),
      universe: universeSchema.optional(),
    }),
  },
  responses: pageAnswers(listSchema),
});

export const runParams = z.object({ runId: textSchema({ maximum: 200 }) });

export const runRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{runId}',
  tags: ['Runs'],
  summary: 'One task run: state, attempts, reviews, result, and what Temporal knows of its newest attempt',
  request: { params: runParams },
  responses: foundAnswers('The run', runSchema),
});

const decisionSchema = z.object({ decision: z.enum(['retry', 'skip', 'abort']), why: whySchema });
const decidedSchema = z
  .object({ runId: z.string(), decision: z.string(), decidedBy: z.string(), why: z.string() })
  .openapi('ReviewDecided');

export const reviewRoute = createRoute({
  method: 'post',
  path: '/api/v1/runs/{runId}/review',
  tags: ['Runs'],
  summary: 'Decide about a task that waits for a person; the token’s name decides',
  middleware: [requireRole('operator')] as const,
  request: {
    params: runParams,
    body: { content: { 'application/json': { schema: decisionSchema } }, required: true },
  },
  responses: {
    200: { description: 'Decided', content: { 'application/json': { schema: decidedSchema } } },
    ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
  },
});

export function endRoute<How extends EndHow>(how: How, summary: string) {
  return createRoute({
    method: 'post',
    path: `/api/v1/runs/{runId}/${how}`,
    tags: ['Runs'],
    summary,
    middleware: [requireRole('operator')] as const,
    request: { params: runParams, body: whyBody },
    responses: {
      202: {
        description: 'It is asked for; the run as it is now',
        content: { 'application/json': { schema: summarySchema } },
      },
      ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
    },
  });
}

export const retryRoute = createRoute({
  method: 'post',
  path: '/api/v1/runs/{runId}/retry',
  tags: ['Runs'],
  summary: 'Retry what failed: where it waits for a person, else as a run by hand for the same session',
  middleware: [requireRole('operator')] as const,
  request: {
    params: runParams,
    query: runQuery.pick({ force: true }),
    headers: runHeaders,
    body: whyBody,
  },
  responses: {
    202: {
      description: 'It is retried; `run_id` is the run to look at: the same where it waited, else a new one',
      content: { 'application/json': { schema: acceptedSchema } },
    },
    ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
  },
});
