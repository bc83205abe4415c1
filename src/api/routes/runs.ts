import { createRoute, z } from '@hono/zod-openapi';
import { RUN_STATES, TASKS, TRIGGERS, taskIdOf } from '../../contracts/wire/names.ts';
import { type AttemptRow, attemptsOf } from '../../db/queries/attempts.ts';
import { findRunRequest, type ReviewRow, reviewsOf } from '../../db/queries/requests.ts';
import { readRunPage, type TaskRunSummary } from '../../db/queries/run-pages.ts';
import { findTaskRun, type TaskRunRow } from '../../db/queries/task-runs.ts';
import { decideReview, ReviewRefusedError, ReviewUnansweredError } from '../../temporal/verbs.ts';
import { requireRole } from '../auth.ts';
import type { ApiDeps } from '../deps.ts';
import { pageEndOf, pageOf, pageQuery } from '../pages.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { sharedAnswers, sharedReads } from '../shared-reads.ts';
import { BODY_PROBLEMS, dateSchema, problems, universeSchema } from './schemas.ts';

/** A worker answers at once or not at all: the same decision may be given again. */
const ANSWER_MS = 8_000;

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
type RunSummary = z.infer<typeof summarySchema>;

const runSchema = z
  .object({
    ...summaryFields,
    result: z.record(z.string(), z.unknown()).nullable(),
    failure: failureSchema,
    attempts: z.array(
      z.object({
        attempt: z.int(),
        state: z.string(),
        startedAt: z.string(),
        completedAt: z.string().nullable(),
        failure: failureSchema,
      }),
    ),
    reviews: z.array(
      z.object({ decision: z.string(), decidedBy: z.string(), why: z.string(), decidedAt: z.string() }),
    ),
  })
  .openapi('Run');

const listSchema = z
  .object({ items: z.array(summarySchema), nextPageToken: z.string().nullable() })
  .openapi('RunPage');

const listRoute = createRoute({
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
  responses: {
    200: { description: 'A page', content: { 'application/json': { schema: listSchema } } },
    ...problems(400, 401, 429, 503),
  },
});

const runParams = z.object({ runId: z.string().min(1).max(200) });

const runRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{runId}',
  tags: ['Runs'],
  summary: 'One task run: state, attempts, reviews, result',
  request: { params: runParams },
  responses: {
    200: { description: 'The run', content: { 'application/json': { schema: runSchema } } },
    ...problems(400, 401, 404, 429, 503),
  },
});

const decisionSchema = z.object({
  decision: z.enum(['retry', 'skip', 'abort']),
  why: z.string().trim().min(1).max(500),
});
const decidedSchema = z
  .object({ runId: z.string(), decision: z.string(), decidedBy: z.string(), why: z.string() })
  .openapi('ReviewDecided');

const reviewRoute = createRoute({
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

/** Task runs: lists, one with everything, the decision about one that waits. */
export function runRoutes({ sql, client }: ApiDeps) {
  const pages = sharedAnswers<z.infer<typeof listSchema>>();
  const runs = sharedReads<[TaskRunRow | null, AttemptRow[], ReviewRow[]]>();
  return newRouter()
    .openapi(listRoute, async (c) => {
      const { limit, pageToken, ...filter } = c.req.valid('query');
      const asked = { filter, after: pageEndOf(pageToken), limit: limit + 1 };
      return await pages(c, JSON.stringify(asked), async () => {
        const rows = await readRunPage(sql, asked);
        const page = pageOf(rows, limit, ({ pageAt, taskRunId }) => ({ at: pageAt, id: taskRunId }));
        return { items: page.items.map(summaryOf), nextPageToken: page.nextPageToken };
      });
    })
    .openapi(runRoute, async (c) => {
      const { runId } = c.req.valid('param');
      const [row, attempts, reviews] = await runs(runId, () =>
        Promise.all([findTaskRun(sql, runId), attemptsOf(sql, [runId]), reviewsOf(sql, runId)]),
      );
      const { result = null, failure = null } = row ?? {};
      const summary = row === null ? await requestedOf(sql, runId) : summaryOf(row);
      if (summary === null) throw new Problem('not-found', `there is no run ${runId}`);
      return c.json(
        { ...summary, result, failure, attempts: attempts.map(attemptOf), reviews: reviews.map(decisionOf) },
        200,
      );
    })
    .openapi(reviewRoute, async (c) => {
      const { runId } = c.req.valid('param');
      const { decision, why } = c.req.valid('json');
      const { name: by } = c.get('caller');
      const row = await findTaskRun(sql, runId);
      if (row === null) throw new Problem('not-found', `there is no run ${runId}`);
      const { starterWorkflowId: workflowId, attempts } = row;
      const review = { taskRunId: runId, decision, by, why };
      try {
        await decideReview({
          client,
          sql,
          workflowId,
          review,
          attempts,
          answerMs: ANSWER_MS,
          callMs: ANSWER_MS,
        });
      } catch (error) {
        if (error instanceof ReviewRefusedError)
          throw new Problem('conflict', error.message, { cause: error });
        if (error instanceof ReviewUnansweredError)
          throw new Problem('timed-out', error.message, { cause: error });
        throw error;
      }
      return c.json({ runId, decision, decidedBy: by, why }, 200);
    });
}

/** What lists say of a task run. */
export function summaryOf(row: TaskRunSummary): RunSummary {
  return {
    runId: row.taskRunId,
    task: row.task,
    taskId: taskIdOf(row.task),
    sessionDate: row.sessionDate,
    universe: row.universe,
    state: row.state,
    reason: row.reason,
    trigger: row.trigger,
    forced: row.forced,
    requestedBy: row.requestedBy,
    attemptsBegun: row.attempts,
    maxAttempts: row.maxAttempts,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    reviewDeadline: row.reviewDeadline,
  };
}

/** A manual run that the queue has not begun yet, or has refused. */
async function requestedOf(sql: ApiDeps['sql'], runId: string): Promise<RunSummary | null> {
  const request = await findRunRequest(sql, runId);
  if (request === null) return null;
  return {
    runId,
    task: request.task,
    taskId: taskIdOf(request.task),
    sessionDate: request.sessionDate,
    universe: request.universe,
    state: request.refusedReason === null ? 'pending' : 'failed',
    reason: request.refusedReason,
    trigger: request.trigger,
    forced: request.force,
    requestedBy: request.requestedBy,
    attemptsBegun: 0,
    maxAttempts: null,
    createdAt: request.requestedAt,
    startedAt: null,
    completedAt: null,
    reviewDeadline: null,
  };
}

function attemptOf({ attempt, state, startedAt, completedAt, failure }: AttemptRow) {
  return { attempt, state, startedAt, completedAt, failure };
}

function decisionOf({ decision, decidedBy, why, decidedAt }: ReviewRow) {
  return { decision, decidedBy, why, decidedAt };
}
