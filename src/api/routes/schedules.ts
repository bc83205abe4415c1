import { createRoute, z } from '@hono/zod-openapi';
import { SCHEDULE_IDS } from '../../contracts/wire/names.ts';
import {
  describeSchedules,
  type ScheduleSummary,
  setSchedulePaused,
  triggerScheduleFor,
} from '../../temporal/schedules.ts';
import { requireRole } from '../auth.ts';
import type { ApiDeps, RouteDeps } from '../deps.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { BODY_PROBLEMS, problems, whyBody } from './schemas.ts';

const runSchema = z.object({
  dueAt: z.string(),
  startedAt: z.string(),
  workflowId: z.string(),
  runId: z.string(),
});
const scheduleSchema = z
  .object({
    scheduleId: z.enum(Object.values(SCHEDULE_IDS)),
    paused: z.boolean(),
    note: z.string().nullable(),
    nextTimes: z.array(z.string()).openapi({ description: 'The next starts, UTC, at most ten' }),
    recentRuns: z
      .array(runSchema)
      .openapi({ description: 'What it started last, newest first, at most ten' }),
  })
  .openapi('Schedule');
const triggeredSchema = scheduleSchema
  .extend({
    started: runSchema.nullable().openapi({ description: 'What this started; null: not to be seen yet' }),
  })
  .openapi('ScheduleTriggered');
const params = z.object({ scheduleId: z.enum(Object.values(SCHEDULE_IDS)) });

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/schedules',
  tags: ['Schedules'],
  summary: 'The schedules, whether they are paused, when they start next',
  responses: {
    200: {
      description: 'All there are',
      content: { 'application/json': { schema: z.object({ items: z.array(scheduleSchema) }) } },
    },
    ...problems(401, 429, 503),
  },
});

function actRoute<Verb extends string, Schema extends z.ZodType>(
  verb: Verb,
  schema: Schema,
  summary: string,
) {
  return createRoute({
    method: 'post',
    path: `/api/v1/schedules/{scheduleId}/${verb}`,
    tags: ['Schedules'],
    summary,
    middleware: [requireRole('operator')] as const,
    request: { params, body: whyBody },
    responses: {
      200: { description: 'As it is now', content: { 'application/json': { schema } } },
      ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
    },
  });
}

const pauseRoute = actRoute('pause', scheduleSchema, 'Start nothing until it is unpaused; what runs goes on');
const unpauseRoute = actRoute('unpause', scheduleSchema, 'Start at the next time again');
const triggerRoute = actRoute(
  'trigger',
  triggeredSchema,
  'Start it now; 409 with its name while its last start still runs',
);

/** The schedules as the Temporal server has them. */
export function scheduleRoutes(deps: RouteDeps) {
  const { client, pipelineSql, schedules } = deps;
  const { callMs } = deps.times;
  const setPaused = async (scheduleId: string, paused: boolean, by: string, why: string) => {
    await findSchedule(deps, scheduleId);
    await setSchedulePaused({ client, sql: pipelineSql, scheduleId, paused, by, why });
    schedules.forget();
    return await findSchedule(deps, scheduleId);
  };
  return newRouter()
    .openapi(listRoute, async (c) => c.json({ items: await describeSchedules(client, callMs) }, 200))
    .openapi(pauseRoute, async (c) => {
      const { scheduleId } = c.req.valid('param');
      return c.json(await setPaused(scheduleId, true, c.get('caller').name, c.req.valid('json').why), 200);
    })
    .openapi(unpauseRoute, async (c) => {
      const { scheduleId } = c.req.valid('param');
      return c.json(await setPaused(scheduleId, false, c.get('caller').name, c.req.valid('json').why), 200);
    })
    .openapi(triggerRoute, async (c) => {
      const { scheduleId } = c.req.valid('param');
      const { name: by } = c.get('caller');
      const { why } = c.req.valid('json');
      await findSchedule(deps, scheduleId);
      const asked = { client, sql: deps.sql, scheduleId, by, why, callMs };
      const started = await triggerScheduleFor(asked);
      return c.json({ ...(await findSchedule(deps, scheduleId)), started }, 200);
    });
}

async function findSchedule({ client, times }: ApiDeps, scheduleId: string): Promise<ScheduleSummary> {
  const found = (await describeSchedules(client, times.callMs)).find((one) => one.scheduleId === scheduleId);
  if (found !== undefined) return found;
  throw new Problem(
    'not-found',
    `${scheduleId} is not there: none of its tasks can run, or nothing has been started yet`,
  );
}
