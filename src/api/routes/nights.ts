import { createRoute, z } from '@hono/zod-openapi';
import { RUN_STATES, TRIGGERS } from '../../contracts/wire/names.ts';
import { type NightRow, OPEN_STATES } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { findNightByRun, readNightPage } from '../../db/queries/run-pages.ts';
import { taskRunsOfNight } from '../../db/queries/task-runs.ts';
import { cancelNightFor } from '../../temporal/verbs.ts';
import { requireRole } from '../auth.ts';
import type { ApiDeps } from '../deps.ts';
import { pageEndOf, pageOf, pageQuery } from '../pages.ts';
import { Problem } from '../problems.ts';
import { reportParts, reportSchema } from '../report-schema.ts';
import { newRouter } from '../router.ts';
import { summaryOf, summarySchema } from './runs.ts';
import { BODY_PROBLEMS, dateSchema, problems, universeSchema, whySchema } from './schemas.ts';

const NIGHT_STATES = [...RUN_STATES, 'partial', 'no_session'] as const;

const nightSchema = z
  .object({
    runId: z.string(),
    workflowId: z.string(),
    sessionDate: z.string(),
    universe: z.string(),
    state: z.enum(NIGHT_STATES),
    reason: z.string().nullable(),
    trigger: z.enum(TRIGGERS),
    requestedBy: z.string().nullable(),
    startedAt: z.string(),
    completedAt: z.string().nullable(),
  })
  .openapi('Night');

const params = z.object({ runId: z.string().min(1).max(100) });

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights',
  tags: ['Nights'],
  summary: 'Nights, newest first',
  request: {
    query: pageQuery.extend({
      state: z.enum(NIGHT_STATES).optional(),
      trigger: z.enum(TRIGGERS).optional(),
      sessionDate: dateSchema.optional(),
      universe: universeSchema.optional(),
    }),
  },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: z.object({ items: z.array(nightSchema), nextPageToken: z.string().nullable() }),
        },
      },
    },
    ...problems(400, 401, 429, 503),
  },
});

const reportRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights/{runId}',
  tags: ['Nights'],
  summary: 'The report of a night, as `nightly --json` writes it',
  request: { params },
  responses: {
    200: { description: 'The report', content: { 'application/json': { schema: reportSchema } } },
    ...problems(400, 401, 404, 429, 503),
  },
});

const tasksRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights/{runId}/runs',
  tags: ['Nights'],
  summary: 'The task runs of a night, in their order',
  request: { params },
  responses: {
    200: {
      description: 'Its task runs',
      content: { 'application/json': { schema: z.object({ items: z.array(summarySchema) }) } },
    },
    ...problems(400, 401, 404, 429, 503),
  },
});

const cancelRoute = createRoute({
  method: 'post',
  path: '/api/v1/nights/{runId}/cancel',
  tags: ['Nights'],
  summary: 'Ask a night that is open to stop cleanly',
  middleware: [requireRole('operator')] as const,
  request: {
    params,
    body: {
      content: { 'application/json': { schema: z.object({ why: whySchema }) } },
      required: true,
    },
  },
  responses: {
    202: { description: 'It is asked to', content: { 'application/json': { schema: nightSchema } } },
    ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
  },
});

/** Nights: lists, the report of one, its task runs, the end of one. */
export function nightRoutes({ sql, client }: ApiDeps) {
  const requireNight = async (runId: string): Promise<NightRow> => {
    const night = await findNightByRun(sql, runId);
    if (night === null) throw new Problem('not-found', `there is no night ${runId}`);
    return night;
  };
  const router = newRouter();
  for (const [name, schema] of Object.entries(reportParts))
    router.openAPIRegistry.registerComponent('schemas', name, schema);
  return router
    .openapi(listRoute, async (c) => {
      const { limit, pageToken, ...filter } = c.req.valid('query');
      const rows = await readNightPage(sql, { filter, after: pageEndOf(pageToken), limit: limit + 1 });
      const page = pageOf(rows, limit, ({ pageAt, runId }) => ({ at: pageAt, id: runId }));
      return c.json({ items: page.items.map(nightOf), nextPageToken: page.nextPageToken }, 200);
    })
    .openapi(reportRoute, async (c) => {
      const night = await requireNight(c.req.valid('param').runId);
      const report = await readNightReport(sql, night);
      if (report === null) throw new Problem('not-found', `the night ${night.runId} has no report`);
      return c.json(report, 200);
    })
    .openapi(tasksRoute, async (c) => {
      const night = await requireNight(c.req.valid('param').runId);
      return c.json({ items: (await taskRunsOfNight(sql, night)).map(summaryOf) }, 200);
    })
    .openapi(cancelRoute, async (c) => {
      const night = await requireNight(c.req.valid('param').runId);
      if (!OPEN_STATES.some((state) => state === night.state))
        throw new Problem('conflict', `the night of ${night.sessionDate} is over: ${night.state}`);
      const { workflowId, runId } = night;
      const { name: by } = c.get('caller');
      await cancelNightFor({ client, sql, run: { workflowId, runId }, by, why: c.req.valid('json').why });
      return c.json(nightOf(night), 202);
    });
}

function nightOf(night: NightRow) {
  const { runId, workflowId, sessionDate, universe, state, reason } = night;
  const { trigger, requestedBy, startedAt, completedAt } = night;
  return {
    runId,
    workflowId,
    sessionDate,
    universe,
    state,
    reason,
    trigger,
    requestedBy,
    startedAt,
    completedAt,
  };
}
