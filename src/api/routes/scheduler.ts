import type { Context } from 'hono';
import { rereadFile } from '../../activities/planning/config-source.ts';
import { effectiveConfig } from '../../contracts/schemas/config.ts';
import { SCHEDULE_IDS, type Task, TASKS, taskIdOf } from '../../contracts/wire/names.ts';
import { CURRENT_FILE, currentConfigHash } from '../../db/queries/configs.ts';
import { type LastRun, readLastRuns } from '../../db/queries/last-runs.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import { localIso, nextRun } from '../../domain/schedule-times.ts';
import { ScheduleGoneError } from '../../temporal/schedule-server.ts';
import { applySchedules, describeSchedules, setSchedulePaused } from '../../temporal/schedules.ts';
import { cached } from '../cached.ts';
import { configurationInForce } from '../configuration.ts';
import type { ApiDeps, ApiEnv, RouteDeps } from '../deps.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { runTask } from '../run-task.ts';
import { sharedAnswers } from '../shared-reads.ts';
import { documentWord, lastResult } from '../words.ts';
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
        const { name: by } = c.get('caller');
        const { why = 'POST /scheduler/start' } = c.req.valid('json');
        const { pipelineSql } = deps;
        const reread = await readConfiguration(deps, { by, why });
        const file = await configurationInForce(sql);
        const applied = await applySchedules({ client, sql: pipelineSql, file, by, why, enable: true });
        const switched = await setPaused(deps, { paused: false, by, why });
        forget();
        const changes = [...reread, ...applied, ...switched];
        return c.json({ success: true, message: 'Unified scheduler started', changes }, 200);
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

function resultOf({ task, state, result }: LastRun): { status: string } & Record<string, unknown> {
  return { ...lastResult(task, result), status: documentWord(state) };
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

/** Takes over the configuration file where it has changed. Throws a Problem for one that cannot be used. */
async function readConfiguration(
  { pipelineSql: sql, configPath }: ApiDeps,
  { by, why }: { by: string; why: string },
): Promise<string[]> {
  const { problem, adopted, keeps } = await rereadFile(sql, { path: configPath, by });
  if (problem !== null) throw new Problem('conflict', `the configuration cannot be used: ${problem}`);
  if (keeps !== null) return [`configuration: stays that of ${keeps}, which is not there to be read again`];
  if (!adopted) return [];
  const hash = await currentConfigHash(sql, CURRENT_FILE);
  await insertAudit(sql, {
    actor: by,
    action: 'config.apply',
    subject: 'configuration',
    why,
    details: { configHash: hash },
  });
  return [`configuration ${hash?.slice(0, 12)}: applies to runs that start from now on`];
}

/** Pauses or unpauses what is not yet; one line per schedule that changed. */
async function setPaused(
  { client, pipelineSql: sql, times }: ApiDeps,
  { paused, by, why }: { paused: boolean; by: string; why: string },
): Promise<string[]> {
  const changes: string[] = [];
  for (const { scheduleId, paused: isPaused } of await describeSchedules(client, times.callMs)) {
    if (isPaused === paused) continue;
    try {
      await setSchedulePaused({ client, sql, scheduleId, paused, by, why });
    } catch (error) {
      // A schedule whose task was disabled is seen for a moment longer.
      if (error instanceof ScheduleGoneError) continue;
      throw error;
    }
    changes.push(`${scheduleId}: ${paused ? 'paused' : 'unpaused'}`);
  }
  return changes;
}
