import { setTimeout as sleep } from 'node:timers/promises';
import { createRoute, z } from '@hono/zod-openapi';
import { adoptFileAtStart } from '../../activities/planning/config-source.ts';
import { effectiveConfig, knownUniverses } from '../../contracts/schemas/config.ts';
import { SCHEDULE_IDS, TASKS, type Task, taskIdOf } from '../../contracts/wire/names.ts';
import { type LastRun, readLastRuns } from '../../db/queries/last-runs.ts';
import { listNights, OPEN_STATES } from '../../db/queries/nights.ts';
import { findRunRequest, newRunId } from '../../db/queries/requests.ts';
import { findTaskRun, type TaskRunRow } from '../../db/queries/task-runs.ts';
import { localIso, nextRun } from '../../domain/schedule-times.ts';
import { requestManualRun, runIdOfKey, RunRefusedError } from '../../temporal/manual-request.ts';
import { applySchedules, describeSchedules, setSchedulePaused } from '../../temporal/schedules.ts';
import { readRunFailure } from '../../temporal/verbs.ts';
import { manualRunWorkflowId } from '../../contracts/wire/names.ts';
import { requireRole } from '../auth.ts';
import { cached } from '../cached.ts';
import { configurationInForce } from '../configuration.ts';
import type { ApiDeps, Caller } from '../deps.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { documentWord, snakeCased } from '../words.ts';
import { MAX_WAIT_SECONDS } from '../time-limit.ts';
import { dateSchema, problems, universeSchema } from './schemas.ts';

/** What other programs change is seen this much later at most. */
const FRESH_MS = 1_000;
const POLL_MS = 200;
/** Of a call that somebody waits for. */
const CALL_MS = 4_000;

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

const switchedSchema = z
  .object({
    success: z.boolean(),
    message: z.string(),
    changes: z.array(z.string()).openapi({ description: 'What was changed, a line each' }),
  })
  .openapi('SchedulerSwitched');

const acceptedSchema = z
  .object({
    success: z.literal(true),
    task_id: z.int(),
    run_id: z.string(),
    status_url: z.string(),
  })
  .openapi('RunAccepted');

const doneSchema = z
  .object({ success: z.boolean(), task_id: z.int(), results: z.record(z.string(), z.unknown()) })
  .openapi('RunDone');

const whySchema = z.object({
  why: z.string().min(1).max(500).optional().openapi({ description: 'Kept in the note and the audit' }),
});

const runQuery = z.object({
  sessionDate: dateSchema.optional().openapi({ description: 'Default: that of the newest night' }),
  universe: universeSchema.optional().openapi({ description: 'Default: that of the newest night' }),
  force: z.stringbool().optional().openapi({ description: 'Run although a need is not met; recorded' }),
  wait: z.coerce
    .number()
    .min(0)
    .max(MAX_WAIT_SECONDS)
    .optional()
    .openapi({ description: 'Seconds to wait for the end; 202 if it is not over by then' }),
});
const runHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(200)
    .optional()
    .openapi({ description: 'Asked for again under the same key it is the same run' }),
});
type RunQuery = z.infer<typeof runQuery>;

const runResponses = {
  200: { description: 'It is over', content: { 'application/json': { schema: doneSchema } } },
  202: { description: 'It is queued', content: { 'application/json': { schema: acceptedSchema } } },
  ...problems(400, 401, 403, 409, 429, 503),
};

function switchRoute(verb: 'start' | 'stop', summary: string) {
  return createRoute({
    method: 'post',
    path: `/scheduler/${verb}`,
    tags: ['Scheduler'],
    summary,
    request: { body: { content: { 'application/json': { schema: whySchema } }, required: false } },
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: switchedSchema } } },
      ...problems(400, 401, 403, 409, 429, 503),
    },
  });
}

const statusRoute = createRoute({
  method: 'get',
  path: '/scheduler/status',
  tags: ['Scheduler'],
  summary: 'Whether the schedules are on, when each task runs next, what it did last',
  responses: {
    200: { description: 'Status', content: { 'application/json': { schema: statusSchema } } },
    ...problems(401, 429, 503),
  },
});

const runTaskRoute = createRoute({
  method: 'post',
  path: '/scheduler/run_task/{task_id}',
  tags: ['Scheduler'],
  summary: 'Run one task by its number',
  request: {
    params: z.object({ task_id: z.coerce.number().int().min(1).max(TASKS.length) }),
    query: runQuery,
    headers: runHeaders,
  },
  responses: runResponses,
});

function namedTaskRoute<Path extends (typeof TASK_PATHS)[number]>(path: Path, task: Task) {
  return createRoute({
    method: 'post',
    path: `/scheduler/${path}`,
    tags: ['Scheduler'],
    summary: `Run task ${taskIdOf(task)}, ${task}`,
    request: { query: runQuery, headers: runHeaders },
    responses: runResponses,
  });
}

/** The documents' endpoints: same paths, same top-level fields. */
export function schedulerRoutes(deps: ApiDeps) {
  const { sql, client } = deps;
  const schedules = cached(FRESH_MS, () => describeSchedules(client, CALL_MS));
  const configuration = cached(FRESH_MS, async () => {
    const file = await configurationInForce(sql);
    const { tasks, timezone } = effectiveConfig(file);
    return { version: file.globals.version, tasks, timezone };
  });
  const operator = requireRole('operator');
  const app = newRouter();
  app.use('/scheduler/start', operator);
  app.use('/scheduler/stop', operator);
  app.use('/scheduler/run_*', operator);
  app.use('/scheduler/run_task/*', operator);

  app.openapi(statusRoute, async (c) => {
    const [known, file, lastRuns] = await Promise.all([schedules(), configuration(), readLastRuns(sql)]);
    const { version, tasks, timezone } = file;
    const isOn = (scheduleId: string): boolean =>
      known.some((schedule) => schedule.scheduleId === scheduleId && !schedule.paused);
    const jobs = TASKS.map((task) => {
      const schedule = task === 'weeklyMaintenance' ? SCHEDULE_IDS.weekly : SCHEDULE_IDS.nightly;
      const nextMs =
        tasks[task].enabled && isOn(schedule) ? nextRun(tasks[task], timezone, Date.now()) : null;
      return {
        id: `task_${taskIdOf(task)}`,
        name: tasks[task].title,
        next_run: nextMs === null ? null : localIso(nextMs, timezone),
      };
    });
    const when = (instant: string): string => localIso(Date.parse(instant), timezone);
    const byTask = <Value>(value: (run: LastRun) => Value | null): Record<string, Value> =>
      Object.fromEntries(
        lastRuns.flatMap((run) => {
          const one = value(run);
          return one === null ? [] : [[String(taskIdOf(run.task)), one]];
        }),
      );
    return c.json(
      {
        running: isOn(SCHEDULE_IDS.nightly),
        version,
        jobs,
        last_runs: byTask(({ startedAt }) => when(startedAt)),
        last_results: byTask(resultOf),
        errors: byTask((run) => errorOf(run, when)),
      },
      200,
    );
  });

  app.openapi(
    switchRoute('start', 'Reads the configuration again and switches the schedules on'),
    async (c) => {
      const { name } = c.get('caller');
      const { why = 'POST /scheduler/start' } = c.req.valid('json');
      const { pipelineSql, configPath } = deps;
      const { problem } = await adoptFileAtStart(pipelineSql, { path: configPath, named: false });
      if (problem !== null) throw new Problem('conflict', `the configuration cannot be used: ${problem}`);
      const file = await configurationInForce(sql);
      const changes = await applySchedules({ client, sql: pipelineSql, file, by: name, enable: true });
      const switched = await setPaused(deps, { paused: false, by: name, why });
      return c.json(
        { success: true, message: 'Unified scheduler started', changes: [...changes, ...switched] },
        200,
      );
    },
  );

  app.openapi(switchRoute('stop', 'Pauses the schedules; what runs goes on'), async (c) => {
    const { name } = c.get('caller');
    const { why = 'POST /scheduler/stop' } = c.req.valid('json');
    const changes = await setPaused(deps, { paused: true, by: name, why });
    return c.json({ success: true, message: 'Unified scheduler stopped', changes }, 200);
  });

  app.openapi(runTaskRoute, async (c) => {
    const task = TASKS[c.req.valid('param').task_id - 1] ?? 'ingestion';
    const { 'idempotency-key': key } = c.req.valid('header');
    const answer = await runTask(deps, {
      task,
      query: c.req.valid('query'),
      key,
      caller: c.get('caller'),
      signal: c.req.raw.signal,
    });
    if ('results' in answer) return c.json(answer, 200);
    return c.json(answer, 202, { location: answer.status_url });
  });

  for (const [index, path] of TASK_PATHS.entries()) {
    const task = TASKS[index] ?? 'ingestion';
    app.openapi(namedTaskRoute(path, task), async (c) => {
      const { 'idempotency-key': key } = c.req.valid('header');
      const answer = await runTask(deps, {
        task,
        query: c.req.valid('query'),
        key,
        caller: c.get('caller'),
        signal: c.req.raw.signal,
      });
      if ('results' in answer) return c.json(answer, 200);
      return c.json(answer, 202, { location: answer.status_url });
    });
  }
  return app;
}

function resultOf({ state, result }: LastRun): { status: string } & Record<string, unknown> {
  const fields = snakeCased(result ?? {});
  return { ...(typeof fields === 'object' ? fields : {}), status: documentWord(state) };
}

function errorOf(
  { state, completedAt, startedAt, failure, reason }: LastRun,
  when: (instant: string) => string,
): { timestamp: string; error: string } | null {
  if (documentWord(state) !== 'error') return null;
  return {
    timestamp: when(completedAt ?? startedAt),
    error: failure?.message ?? reason ?? 'no reason was given',
  };
}

/** Pauses or unpauses what is not yet; one line per schedule that changed. */
async function setPaused(
  { client, pipelineSql: sql }: ApiDeps,
  { paused, by, why }: { paused: boolean; by: string; why: string },
): Promise<string[]> {
  const changes: string[] = [];
  for (const { scheduleId, paused: isPaused } of await describeSchedules(client, CALL_MS)) {
    if (isPaused === paused) continue;
    await setSchedulePaused({ client, sql, scheduleId, paused, by, why });
    changes.push(`${scheduleId}: ${paused ? 'paused' : 'unpaused'}`);
  }
  return changes;
}

type RunAnswer = z.infer<typeof acceptedSchema> | z.infer<typeof doneSchema>;

async function runTask(
  { sql, client }: ApiDeps,
  asked: { task: Task; query: RunQuery; key: string | undefined; caller: Caller; signal: AbortSignal },
): Promise<RunAnswer> {
  const { task, query, key, caller, signal } = asked;
  const [newest] = await listNights(sql, { limit: 1 });
  const sessionDate = query.sessionDate ?? newest?.sessionDate;
  if (sessionDate === undefined)
    throw fieldProblem('sessionDate', 'no night has run here yet, so a session has to be named');
  const file = await configurationInForce(sql);
  const universe = query.universe ?? newest?.universe ?? effectiveConfig(file).universe;
  const known = knownUniverses(file);
  if (query.universe !== undefined && !known.includes(universe))
    throw fieldProblem('universe', `${universe} is none of ${known.join(', ')}`);
  const requestId = key === undefined ? await newRunId(sql) : runIdOfKey(`${caller.tokenId} ${key}`);
  const { force = false } = query;
  try {
    await requestManualRun({
      client,
      sql,
      request: {
        requestId,
        task,
        sessionDate,
        universe,
        force,
        trigger: 'manual',
        configHash: null,
        requestedBy: caller.name,
      },
    });
  } catch (error) {
    if (!(error instanceof RunRefusedError)) throw error;
    if (error.missing.length === 0) throw new Problem('conflict', error.message, { cause: error });
    throw new Problem(
      'dependency-not-met',
      `${error.missing.join(' and ')} did not succeed for ${sessionDate} (${universe}); force=true runs ${task} anyway`,
      { cause: error },
    );
  }
  const taskId = taskIdOf(task);
  const row = await untilClosed({ sql, client, requestId, signal, waitMs: (query.wait ?? 0) * 1000 });
  if (row === null)
    return { success: true, task_id: taskId, run_id: requestId, status_url: `/api/v1/runs/${requestId}` };
  const fields = snakeCased(row.result ?? {});
  const results = typeof fields === 'object' && fields !== null ? { ...fields } : {};
  const isDone = row.state === 'succeeded';
  const error = row.failure?.message ?? row.reason;
  return {
    success: isDone,
    task_id: taskId,
    results: isDone
      ? results
      : { ...results, status: documentWord(row.state), ...(error !== null && { error }) },
  };
}

function fieldProblem(field: string, message: string): Problem {
  return new Problem('invalid-input', `${field}: ${message}`, { errors: [{ field, message }] });
}

/** The row of a run once it is over, or waits for a person; null when the time is up before. */
async function untilClosed(input: {
  sql: ApiDeps['sql'];
  client: ApiDeps['client'];
  requestId: string;
  signal: AbortSignal;
  waitMs: number;
}): Promise<TaskRunRow | null> {
  const { sql, client, requestId, signal, waitMs } = input;
  const untilMs = Date.now() + waitMs;
  while (waitMs > 0 && Date.now() < untilMs && !signal.aborted) {
    const row = await findTaskRun(sql, requestId);
    const isOpen =
      row === null || (row.state !== 'awaiting_review' && OPEN_STATES.some((open) => open === row.state));
    if (!isOpen) return row;
    const request = await findRunRequest(sql, requestId);
    if (request !== null && request.refusedReason !== null)
      throw new Problem('conflict', request.refusedReason);
    if (row === null) {
      const failure = await readRunFailure(client, { workflowId: manualRunWorkflowId(requestId) });
      if (failure !== null && (await findTaskRun(sql, requestId)) === null)
        throw new Problem('conflict', failure.message);
    }
    await sleep(Math.min(POLL_MS, Math.max(0, untilMs - Date.now())));
  }
  return null;
}
