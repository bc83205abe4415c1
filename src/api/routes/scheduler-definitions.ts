import { createRoute, z } from '@hono/zod-openapi';
import { TASKS, type Task, taskIdOf } from '../../contracts/wire/names.ts';
import { requireRole } from '../auth.ts';
import { MAX_WAIT_SECONDS } from '../time-limit.ts';
import {
  BODY_PROBLEMS,
  dateSchema,
  flagSchema,
  problems,
  universeSchema,
  wholeNumber,
  whySchema,
} from './schemas.ts';

/** The documents' paths of the six tasks, in their order. */
export const TASK_PATHS = [
  'run_ingestion',
  'run_orchestrator',
  'run_overnight_scanner',
  'run_backtest_generator',
  'run_drift_monitor',
  'run_weekly_maintenance',
] as const;

const statusSchema = z
  .object({
    running: z.boolean().openapi({ description: 'The nightly schedule is there and not paused' }),
    version: z.string().openapi({ description: 'Of the configuration in force' }),
    jobs: z.array(z.object({ id: z.string(), name: z.string(), next_run: z.string().nullable() })),
    last_runs: z
      .record(z.string(), z.string())
      .openapi({ description: 'By task number: when it began last' }),
    last_results: z.record(z.string(), z.looseObject({ status: z.string() })),
    errors: z.record(z.string(), z.object({ timestamp: z.string(), error: z.string() })),
  })
  .openapi('SchedulerStatus');
export type Status = z.infer<typeof statusSchema>;

const switchedSchema = z
  .object({
    success: z.boolean(),
    message: z.string(),
    changes: z.array(z.string()).openapi({ description: 'What was changed, a line each' }),
  })
  .openapi('SchedulerSwitched');

export const acceptedSchema = z
  .object({
    success: z.literal(true),
    task_id: z.int(),
    run_id: z.string(),
    status_url: z.string(),
  })
  .openapi('RunAccepted');

export const doneSchema = z
  .object({ success: z.boolean(), task_id: z.int(), results: z.record(z.string(), z.unknown()) })
  .openapi('RunDone');

const switchBody = z.object({
  why: whySchema.optional().openapi({ description: 'Kept in the note and the audit' }),
});

export const runQuery = z.object({
  sessionDate: dateSchema
    .optional()
    .openapi({ description: 'Default: the newest that is over and can be had' }),
  universe: universeSchema.optional().openapi({ description: 'Default: that of the newest night that ran' }),
  force: flagSchema.optional().openapi({ description: 'Run although a need is not met; recorded' }),
  wait: wholeNumber({ minimum: 0, maximum: MAX_WAIT_SECONDS })
    .optional()
    .openapi({ description: 'Seconds to wait for the end; 202 if it is not over by then' }),
});
export const runHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(200)
    .optional()
    .openapi({ description: 'Asked for again under the same key it is the same run' }),
});
export type RunQuery = z.infer<typeof runQuery>;
export type RunHeaders = z.infer<typeof runHeaders>;

const runResponses = {
  200: { description: 'It is over', content: { 'application/json': { schema: doneSchema } } },
  202: { description: 'It is queued', content: { 'application/json': { schema: acceptedSchema } } },
  ...problems(400, 401, 403, 409, 429, 503),
};

export function switchRoute<Verb extends 'start' | 'stop'>(verb: Verb, summary: string) {
  return createRoute({
    method: 'post',
    path: `/scheduler/${verb}`,
    tags: ['Scheduler'],
    summary,
    middleware: [requireRole('operator')] as const,
    request: { body: { content: { 'application/json': { schema: switchBody } }, required: false } },
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: switchedSchema } } },
      ...problems(...BODY_PROBLEMS, 401, 403, 409, 429, 503),
    },
  });
}

export const statusRoute = createRoute({
  method: 'get',
  path: '/scheduler/status',
  tags: ['Scheduler'],
  summary: 'Whether the schedules are on, when each task runs next, what it did last',
  responses: {
    200: { description: 'Status', content: { 'application/json': { schema: statusSchema } } },
    ...problems(401, 429, 503),
  },
});

export const runTaskRoute = createRoute({
  method: 'post',
  path: '/scheduler/run_task/{task_id}',
  tags: ['Scheduler'],
  summary: 'Run one task by its number',
  middleware: [requireRole('operator')] as const,
  request: {
    params: z.object({ task_id: wholeNumber({ minimum: 1, maximum: TASKS.length }) }),
    query: runQuery,
    headers: runHeaders,
  },
  responses: runResponses,
});

export function namedTaskRoute<Path extends (typeof TASK_PATHS)[number]>(path: Path, task: Task) {
  return createRoute({
    method: 'post',
    path: `/scheduler/${path}`,
    tags: ['Scheduler'],
    summary: `Run task ${taskIdOf(task)}, ${task}`,
    middleware: [requireRole('operator')] as const,
    request: { query: runQuery, headers: runHeaders },
    responses: runResponses,
  });
}
