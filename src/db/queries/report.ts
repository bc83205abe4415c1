import type { TaskResult } from '../../contracts/activities.ts';
import { type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { type Task, TASKS } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { findNight, listNights, type NightRow } from './nights.ts';
import { readSignals, type StoredSignal } from './predictions.ts';
import { type TaskRunRow, taskRunsOfNight } from './task-runs.ts';

/** A night by its execution, or the newest one of a session and universe; `urls` go into the report as they are. */
export type NightReportKey = (
  | { workflowId: string; runId: string }
  | { sessionDate: string; universe: string }
) & { urls?: Record<string, string> };

/**
 * The run report of a night as the rows tell it at this moment; null if the night is not known. CLI and API
 * show the same object, and `contract/run-report.schema.json` describes it.
 */
export async function readNightReport(sql: Queryable, key: NightReportKey): Promise<RunReport | null> {
  const night = await findNightOf(sql, key);
  if (night === null) return null;
  const runs = await taskRunsOfNight(sql, night);
  const resultOf = (task: Task): TaskResult | null =>
    runs.find((run) => run.task === task && run.state === 'succeeded')?.result ?? null;
  const scan = resultOf('overnightScan');
  return runReportSchema.parse({
    schemaVersion: 1,
    sessionDate: night.sessionDate,
    universe: night.universe,
    universeVersion: night.universeVersion === '' ? null : night.universeVersion,
    status: night.state,
    reason: night.reason,
    workflowId: night.workflowId,
    runId: night.runId,
    startedAt: night.startedAt,
    completedAt: night.completedAt,
    durationMs: durationMs(night.startedAt, night.completedAt),
    survivorship: 'biased',
    tasks: runs.map(taskReport).toSorted((a, b) => TASKS.indexOf(a.task) - TASKS.indexOf(b.task)),
    coverage: coverageOf(resultOf('ingestion')),
    models: listOf(resultOf('training'), 'models'),
    signals: scan === null ? [] : (await signalsOf(sql, night, scan)).map(signalReport),
    drift: resultOf('driftMonitoring'),
    urls: key.urls ?? {},
  });
}

async function findNightOf(sql: Queryable, key: NightReportKey): Promise<NightRow | null> {
  if ('workflowId' in key) return await findNight(sql, key);
  const [newest] = await listNights(sql, {
    sessionDate: key.sessionDate,
    universe: key.universe,
    limit: 1,
  });
  return newest ?? null;
}

function taskReport(run: TaskRunRow) {
  return {
    task: run.task,
    status: run.state,
    attempts: run.attempts,
    startedAt: run.startedAt,
    completedAt: run.completedAt,
    durationMs: durationMs(run.startedAt, run.completedAt),
    reason: run.reason ?? run.failure?.message ?? null,
    result: run.result,
  };
}

function durationMs(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));
}

/** Ingestion says what it covered under `coverage`; the rest of its result stands beside the task. */
function coverageOf(result: TaskResult | null): unknown {
  if (result === null) return null;
  const { coverage } = result;
  return typeof coverage === 'object' && coverage !== null ? coverage : result;
}

function listOf(result: TaskResult | null, name: string): unknown[] {
  const list = result?.[name];
  return Array.isArray(list) ? list : [];
}

async function signalsOf(sql: Queryable, night: NightRow, scan: TaskResult): Promise<StoredSignal[]> {
  const { modelVersion, revision } = scan;
  if (typeof modelVersion !== 'string' || typeof revision !== 'number') return [];
  const { sessionDate, universe, universeVersion } = night;
  return await readSignals(sql, { sessionDate, universe, universeVersion, modelVersion, revision });
}

function signalReport(signal: StoredSignal) {
  return {
    symbol: signal.symbol,
    rank: signal.rank,
    signal: signal.side,
    probability: signal.probability,
    baseRate: signal.baseRate,
    confidence: signal.confidence,
    reason: signal.reasonWords,
    reasonCode: signal.reasonCode,
    reasons: signal.reasons,
    modelVersion: signal.modelVersion,
    featureSetVersion: signal.featureSetVersion,
    dataCutoff: signal.dataCutoff,
  };
}
