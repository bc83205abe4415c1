import type { TaskResult } from '../../contracts/activities.ts';
import { type ReportSizes, type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { type Task, TASKS } from '../../contracts/wire/names.ts';
import type { Queryable } from '../client.ts';
import { type AttemptRow, attemptsOf } from './attempts.ts';
import { findNight, listNights, type NightRow } from './nights.ts';
import { readSignals, type StoredSignal } from './predictions.ts';
import { readTopFeatures } from './report-shap.ts';
import { type TaskRunRow, taskRunsOfNight } from './task-runs.ts';
import { readSurvivorship } from './universes.ts';

type RunKey = { workflowId: string; runId: string };

/** Where things of a report can be looked at; what has no address is left out. */
export type ReportLinks = {
  /** Links that are known beforehand go into the report as they are. */
  urls?: Record<string, string>;
  /** Web UI of one workflow run. */
  urlOfRun?: (run: RunKey) => string | null;
  /** Address of a named artifact. */
  urlOfArtifact?: (name: string) => string;
};

/** A night by its execution, or the newest one of a session and universe. */
export type NightReportKey = (RunKey | { sessionDate: string; universe: string }) &
  ReportLinks & { sizes?: ReportSizes };

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
  const training = resultOf('training');
  const attempts = await attemptsOf(
    sql,
    runs.map(({ taskRunId }) => taskRunId),
  );
  const historyOf = (run: TaskRunRow) => attempts.filter(({ taskRunId }) => taskRunId === run.taskRunId);
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
    survivorship: await readSurvivorship(sql, { ...night, version: night.universeVersion }),
    tasks: runs
      .map((run) => taskReport(run, historyOf(run)))
      .toSorted((a, b) => TASKS.indexOf(a.task) - TASKS.indexOf(b.task)),
    coverage: coverageOf(resultOf('ingestion')),
    models: await modelsOf(sql, training),
    signals: scan === null ? [] : (await signalsOf(sql, night, scan)).map(signalReport),
    backtest: resultOf('backtest'),
    drift: resultOf('driftMonitoring'),
    ...(key.sizes === undefined ? {} : { sizes: key.sizes }),
    urls: {
      ...key.urls,
      ...Object.fromEntries(runs.flatMap((run) => taskLink(key, { run, history: historyOf(run) }))),
      ...shapLink(key, training),
    },
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

/** The newest execution of a task, by the task's name. */
function taskLink(
  { urlOfRun }: ReportLinks,
  { run, history }: { run: TaskRunRow; history: readonly AttemptRow[] },
): [Task, string][] {
  const newest = history.at(-1);
  const url = newest === undefined ? null : (urlOfRun?.(newest) ?? null);
  return url === null ? [] : [[run.task, url]];
}

function shapLink({ urlOfArtifact }: ReportLinks, training: TaskResult | null): { shap?: string } {
  const file = training?.shapFile;
  return typeof file === 'string' && urlOfArtifact !== undefined ? { shap: urlOfArtifact(file) } : {};
}

/** The models as training reported them, each with what its explanation says matters most. */
async function modelsOf(sql: Queryable, training: TaskResult | null): Promise<unknown[]> {
  const models = listOf(training, 'models');
  const version = training?.modelVersion;
  if (models.length === 0 || typeof version !== 'string') return models;
  const top = await readTopFeatures(sql, version);
  return models.map((model) => {
    const name = typeof model === 'object' && model !== null && 'name' in model ? model.name : null;
    const topFeatures = typeof name === 'string' ? top.get(name) : undefined;
    return topFeatures === undefined ? model : { ...(model as object), topFeatures };
  });
}

function taskReport(run: TaskRunRow, history: readonly AttemptRow[]) {
  return {
    task: run.task,
    status: run.state,
    attempts: run.attempts,
    startedAt: run.startedAt,
    completedAt: run.completedAt,
    durationMs: durationMs(run.startedAt, run.completedAt),
    reason: run.reason ?? run.failure?.message ?? null,
    result: run.result,
    history: history.map(({ attempt, state, startedAt, completedAt, failure }) => ({
      attempt,
      status: state,
      startedAt,
      completedAt,
      reason: failure?.message ?? null,
    })),
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
    reading: readingOf(signal),
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

/** The word the scan left with an issued signal, by its version's label; that of any other one is its side. */
export function readingOf({ side, reasonCode }: Pick<StoredSignal, 'side' | 'reasonCode'>): string {
  return side === 'buy' || side === 'sell' ? reasonCode : side;
}
