import { createRoute, z } from '@hono/zod-openapi';
import { RUN_STATES, TASKS, TRIGGERS } from '../../contracts/wire/names.ts';
import type { NightRow } from '../../db/queries/nights.ts';
import { readNightReport } from '../../db/queries/report.ts';
import { readNightPage } from '../../db/queries/run-pages.ts';
import { taskRunsOfNight } from '../../db/queries/task-runs.ts';
import { createLiveReader } from '../../temporal/run-live.ts';
import type { EndHow } from '../../temporal/verbs.ts';
import { reportWebLinks, webLinks } from '../../temporal/web-links.ts';
import { requireRole } from '../auth.ts';
import type { ApiDeps } from '../deps.ts';
import { pageEndOf, pageOf, pageQuery } from '../pages.ts';
import { Problem } from '../problems.ts';
import { reportParts, reportSchema } from '../report-schema.ts';
import { newRouter } from '../router.ts';
import { endNight, requireNight } from '../run-acts.ts';
import { failureChainSchema, liveOf, liveSchema } from './live-schema.ts';
import { summarySchema } from './run-definitions.ts';
import { summaryOf } from './runs.ts';
import {
  BODY_PROBLEMS,
  dateSchema,
  foundAnswers,
  problems,
  textSchema,
  universeSchema,
  whyBody,
} from './schemas.ts';
import { pageAnswers, pageFields } from './list-answers.ts';

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

const params = z.object({ runId: textSchema({ maximum: 100 }) });

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
  responses: pageAnswers(z.object({ ...pageFields(nightSchema) })),
});

const reportRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights/{runId}',
  tags: ['Nights'],
  summary: 'The report of a night, as `nightly --json` writes it',
  request: { params },
  responses: foundAnswers('The report', reportSchema),
});

const tasksRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights/{runId}/runs',
  tags: ['Nights'],
  summary: 'The task runs of a night, in their order',
  request: { params },
  responses: foundAnswers('Its task runs', z.object({ items: z.array(summarySchema) })),
});

const liveRoute = createRoute({
  method: 'get',
  path: '/api/v1/nights/{runId}/live',
  tags: ['Nights'],
  summary: 'What Temporal knows of a night and of its tasks that run',
  request: { params },
  responses: foundAnswers(
    'As it is now',
    z
      .object({
        runId: z.string(),
        workflowId: z.string(),
        webUrl: z.string().nullable(),
        failureChain: failureChainSchema,
        live: liveSchema,
        tasks: z.array(z.object({ task: z.enum(TASKS), runId: z.string(), live: liveSchema })),
      })
      .openapi('NightLive'),
  ),
});

function endRoute<How extends EndHow>(how: How, summary: string) {
  return createRoute({
    method: 'post',
    path: `/api/v1/nights/{runId}/${how}`,
    tags: ['Nights'],
    summary,
    middleware: [requireRole('operator')] as const,
    request: { params, body: whyBody },
    responses: {
      202: { description: 'It is asked to', content: { 'application/json': { schema: nightSchema } } },
      ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
    },
  });
}

/** Nights: lists, the report of one, its task runs, the end of one. */
export function nightRoutes(deps: ApiDeps) {
  const { sql, client, times, workflowsUrl } = deps;
  const readLive = createLiveReader({ client, callMs: times.callMs, freshMs: times.freshMs });
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
      const night = await requireNight(sql, c.req.valid('param').runId);
      const report = await readNightReport(sql, { ...night, ...reportWebLinks(workflowsUrl, night) });
      if (report === null) throw new Problem('not-found', `the night ${night.runId} has no report`);
      return c.json(report, 200);
    })
    .openapi(tasksRoute, async (c) => {
      const night = await requireNight(sql, c.req.valid('param').runId);
      return c.json({ items: (await taskRunsOfNight(sql, night)).map(summaryOf) }, 200);
    })
    .openapi(liveRoute, async (c) => {
      const night = await requireNight(sql, c.req.valid('param').runId);
      const { workflowId, runId, reason, state } = night;
      const runs = (await taskRunsOfNight(sql, night)).filter((run) => run.state === 'running');
      const current = runs.flatMap(({ task, taskRunId, currentWorkflowId, currentRunId }) =>
        currentWorkflowId === null || currentRunId === null
          ? []
          : [{ task, taskRunId, run: { workflowId: currentWorkflowId, runId: currentRunId } }],
      );
      const [part, ...parts] = await Promise.all([
        readLive({ workflowId, runId }),
        ...current.map(({ run }) => readLive(run)),
      ]);
      const stored = state === 'failed' && reason !== null ? [reason] : [];
      const tasks = current.flatMap(({ task, taskRunId }, index) => {
        const live = parts[index];
        return live === undefined ? [] : [{ task, runId: taskRunId, live: liveOf(live) }];
      });
      return c.json(
        {
          runId,
          workflowId,
          webUrl: webLinks(workflowsUrl)(night),
          failureChain: part.failureChain?.length ? part.failureChain : stored,
          live: liveOf(part),
          tasks,
        },
        200,
      );
    })
    .openapi(endRoute('cancel', 'Ask a night that is open to stop cleanly'), async (c) => {
      const { runId } = c.req.valid('param');
      const { name: by } = c.get('caller');
      const night = await endNight(deps, { runId, how: 'cancel', by, why: c.req.valid('json').why });
      return c.json(nightOf(night), 202);
    })
    .openapi(endRoute('terminate', 'End a night that is open at once, without its clean-up'), async (c) => {
      const { runId } = c.req.valid('param');
      const { name: by } = c.get('caller');
      const night = await endNight(deps, { runId, how: 'terminate', by, why: c.req.valid('json').why });
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
