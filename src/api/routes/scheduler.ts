import type { Context } from 'hono';
import { adoptFileAtStart } from '../../activities/planning/config-source.ts';
import { effectiveConfig } from '../../contracts/schemas/config.ts';
import { SCHEDULE_IDS, type Task, TASKS, taskIdOf } from '../../contracts/wire/names.ts';
import { type LastRun, readLastRuns } from '../../db/queries/last-runs.ts';
import { localIso, nextRun } from '../../domain/schedule-times.ts';
import { applySchedules, describeSchedules, setSchedulePaused } from '../../temporal/schedules.ts';
import { cached } from '../cached.ts';
import { configurationInForce } from '../configuration.ts';
import type { ApiDeps, ApiEnv, RouteDeps } from '../deps.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { runTask } from '../run-task.ts';
import { sharedAnswers } from '../shared-reads.ts';
import { documentWord, snakeCased } from '../words.ts';
import {
  namedTaskRoute,
  type RunHeaders,
  type RunQuery,
  runTaskRoute,
  type Status,
  statusRoute,
  switchRoute,
} from './scheduler-definitions.ts';

/** A request for a run, checked. */
type RunContext = Context<ApiEnv, string, { in: object; out: { query: RunQuery; header: RunHeaders } }>;

/** The documents' endpoints: same paths, same top-level fields. */
export function schedulerRoutes(deps: RouteDeps) {
  const { sql, client, schedules } = deps;
  const configuration = cached(deps.times.freshMs, async () => {
    const file = await configurationInForce(sql);
    const { tasks, timezone } = effectiveConfig(file);
    return { version: file.globals.version, tasks, timezone };
  });
  /** What this API has changed itself is seen at once. */
  const forget = (): void => {
    schedules.forget();
    configuration.forget();
  };

  const status = sharedAnswers<Status>();
  const readStatus = async (): Promise<Status> => {
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
    return {
      running: isOn(SCHEDULE_IDS.nightly),
      version,
      jobs,
      last_runs: byTask(({ startedAt }) => when(startedAt)),
      last_results: byTask(resultOf),
      errors: byTask((run) => errorOf(run, when)),
    };
  };

  const run = async (c: RunContext, task: Task) => {
    const answer = await runTask(deps, {
      task,
      query: c.req.valid('query'),
      key: c.req.valid('header')['idempotency-key'],
      caller: c.get('caller'),
      httpRequestId: c.get('requestId'),
      onAsked: (taskRunId) => c.set('taskRunId', taskRunId),
      signal: c.req.raw.signal,
    });
    return 'results' in answer ? c.json(answer, 200) : c.json(answer, 202, { location: answer.status_url });
  };

  // One chain: the type of the whole is what the typed client knows.
  return newRouter()
    .openapi(statusRoute, async (c) => await status(c, '', readStatus))
    .openapi(
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
        forget();
        return c.json(
          { success: true, message: 'Unified scheduler started', changes: [...changes, ...switched] },
          200,
        );
      },
    )
    .openapi(switchRoute('stop', 'Pauses the schedules; what runs goes on'), async (c) => {
      const { name } = c.get('caller');
      const { why = 'POST /scheduler/stop' } = c.req.valid('json');
      const changes = await setPaused(deps, { paused: true, by: name, why });
      forget();
      return c.json({ success: true, message: 'Unified scheduler stopped', changes }, 200);
    })
    .openapi(runTaskRoute, (c) => run(c, TASKS[c.req.valid('param').task_id - 1] ?? 'ingestion'))
    .openapi(namedTaskRoute('run_ingestion', 'ingestion'), (c) => run(c, 'ingestion'))
    .openapi(namedTaskRoute('run_orchestrator', 'training'), (c) => run(c, 'training'))
    .openapi(namedTaskRoute('run_overnight_scanner', 'overnightScan'), (c) => run(c, 'overnightScan'))
    .openapi(namedTaskRoute('run_backtest_generator', 'backtest'), (c) => run(c, 'backtest'))
    .openapi(namedTaskRoute('run_drift_monitor', 'driftMonitoring'), (c) => run(c, 'driftMonitoring'))
    .openapi(namedTaskRoute('run_weekly_maintenance', 'weeklyMaintenance'), (c) =>
      run(c, 'weeklyMaintenance'),
    );
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
  { client, pipelineSql: sql, times }: ApiDeps,
  { paused, by, why }: { paused: boolean; by: string; why: string },
): Promise<string[]> {
  const changes: string[] = [];
  for (const { scheduleId, paused: isPaused } of await describeSchedules(client, times.callMs)) {
    if (isPaused === paused) continue;
    await setSchedulePaused({ client, sql, scheduleId, paused, by, why });
    changes.push(`${scheduleId}: ${paused ? 'paused' : 'unpaused'}`);
  }
  return changes;
}
