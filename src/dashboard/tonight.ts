import { setTimeout as sleep } from 'node:timers/promises';
import { cached } from '../api/cached.ts';
import { configurationInForce } from '../api/configuration.ts';
import type { ApiDeps, RouteDeps } from '../api/deps.ts';
import { readDueSession } from '../api/due-session.ts';
import { Problem } from '../api/problems.ts';
import { effectiveConfig, knownUniverses } from '../contracts/schemas/config.ts';
import { type Task, taskWorkflowId } from '../contracts/wire/names.ts';
import { type AttemptRow, attemptsOf } from '../db/queries/attempts.ts';
import {
  countWaitingReviews,
  readActsAbout,
  readDataAge,
  readLastBeats,
  readManualRuns,
  readOpenRequests,
  readWaitingReviews,
} from '../db/queries/dashboard-tonight.ts';
import { isOpenState, listNights, type NightRow } from '../db/queries/nights.ts';
import type { RunRequestRow } from '../db/queries/requests.ts';
import { type TaskRunRow, taskRunsOfNight } from '../db/queries/task-runs.ts';
import { WORKER_SILENT_MS } from '../temporal/pollers.ts';
import { createProgressReader, type TaskProgress } from '../temporal/progress.ts';
import type { ScheduleSummary } from '../temporal/schedules.ts';

const MANUAL_RUNS = 6;
/** Of a call that a page waits for. */
const CALL_MS = 2_500;
const SLOW_MS = 5_000;
const VIEW_MS = 300;
/** A kind that is silent for longer is no longer expected, unless something needs it. */
const FORGOTTEN_MS = 24 * 3_600_000;

/** What runs are planned with when nothing else is said. */
export type Settings = { timezone: string; universe: string; universes: string[] };

export type TonightView = {
  /** The newest night that is open, else the newest one. */
  night: NightRow | null;
  otherOpen: NightRow[];
  runs: TaskRunRow[];
  attempts: AttemptRow[];
  /** Of the tasks that run; a task that cannot be asked is left out. */
  progress: [Task, TaskProgress][];
  waiting: TaskRunRow[];
  manual: TaskRunRow[];
  requests: RunRequestRow[];
  /** What people did about the night, oldest first. */
  acts: { at: string; actor: string; action: string; why: string | null }[];
  /** Null: Temporal does not answer. */
  schedules: ScheduleSummary[] | null;
  /** Kinds of workers that have fallen silent, and since when; null: no worker was ever heard. */
  silent: { process: string; since: string | null }[];
  data: Awaited<ReturnType<typeof readDataAge>>;
};

/** Universes that the pages offer to run: a form may name no other, for a name could be a file of the worker's. */
export function offeredUniverses(settings: Settings, night: Pick<NightRow, 'universe'> | null): string[] {
  return [...new Set([night?.universe ?? settings.universe, settings.universe, ...settings.universes])];
}

export type TonightReader = {
  view: () => Promise<TonightView>;
  settings: () => Promise<Settings>;
  /** How many tasks wait for a decision. */
  waiting: () => Promise<number>;
  /** Somebody has acted: what is read from now on shows it. */
  forget: () => void;
};

/** Reads what the first page shows; Postgres has to answer, Temporal need not. */
export function createTonightReader(deps: Pick<RouteDeps, 'sql' | 'client' | 'schedules'>): TonightReader {
  const { sql, client } = deps;
  const readProgress = createProgressReader(client);
  const schedules = (): Promise<ScheduleSummary[] | null> =>
    Promise.race([deps.schedules(), sleep(CALL_MS, null, { ref: false })]).catch((): null => null);
  const data = cached(SLOW_MS, async () => await readDataAge(sql, await readDueSession(sql)));
  const reviews = cached(VIEW_MS, () => countWaitingReviews(sql));
  const settings = cached(SLOW_MS, async (): Promise<Settings> => {
    try {
      const file = await configurationInForce(sql);
      const { timezone, universe } = effectiveConfig(file);
      return { timezone, universe, universes: knownUniverses(file) };
    } catch (error) {
      // Before the first start nothing is in force; the pages are there all the same.
      if (!(error instanceof Problem) || error.kind !== 'not-configured') throw error;
      return { timezone: 'America/New_York', universe: 'sample', universes: [] };
    }
  });
  const progressOf = async (run: TaskRunRow): Promise<[Task, TaskProgress][]> => {
    const workflowId = taskWorkflowId(run.task, run.sessionDate, run.universe);
    const read = client.withDeadline(Date.now() + CALL_MS, () => readProgress(workflowId));
    return await read.then(
      (progress): [Task, TaskProgress][] => [[run.task, progress]],
      () => [],
    );
  };
  const view = async (): Promise<TonightView> => {
    const [open, newest] = await Promise.all([
      listNights(sql, { open: true }),
      listNights(sql, { limit: 1 }),
    ]);
    const night = open[0] ?? newest[0] ?? null;
    const runs = night === null ? [] : await taskRunsOfNight(sql, night);
    const running = runs.filter(({ state }) => state === 'running');
    const [attempts, progress, waiting, manual, requests, acts, beats, age, planned] = await Promise.all([
      attemptsOf(
        sql,
        runs.map(({ taskRunId }) => taskRunId),
      ),
      Promise.all(running.map(progressOf)),
      readWaitingReviews(sql),
      readManualRuns(sql, MANUAL_RUNS),
      readOpenRequests(sql),
      actsAbout(sql, night, runs),
      readLastBeats(sql),
      data(),
      schedules(),
    ]);
    const isPending =
      open.length > 0 ||
      requests.some(({ refusedReason }) => refusedReason === null) ||
      manual.some(({ state }) => isOpenState(state));
    // Of a schedule that cannot be seen it is not known that it is off.
    const isExpected = isPending || planned === null || planned.some(({ paused }) => !paused);
    return {
      night,
      otherOpen: open.filter(({ runId }) => runId !== night?.runId),
      runs,
      attempts,
      progress: progress.flat(),
      waiting,
      manual,
      requests,
      acts,
      schedules: planned,
      silent: silentWorkers(beats, { isExpected, nowMs: Date.now() }),
      data: age,
    };
  };
  const kept = cached(VIEW_MS, view);
  const forget = (): void => {
    deps.schedules.forget();
    reviews.forget();
    kept.forget();
  };
  return { view: kept, settings, waiting: reviews, forget };
}

/** Kinds of workers that are missed. One that has been away for long is so only while something needs it. */
export function silentWorkers(
  beats: readonly { process: string; beatAt: string }[],
  { isExpected, nowMs }: { isExpected: boolean; nowMs: number },
): TonightView['silent'] {
  // A model worker without a login never beats: of one kind alone nothing is known.
  if (beats.length === 0) return [{ process: 'worker', since: null }];
  const longestMs = isExpected ? Number.POSITIVE_INFINITY : FORGOTTEN_MS;
  return beats.flatMap(({ process, beatAt }) => {
    const silentMs = nowMs - Date.parse(beatAt);
    return silentMs > WORKER_SILENT_MS && silentMs < longestMs ? [{ process, since: beatAt }] : [];
  });
}

/** What people did about a night and its tasks since it began. */
async function actsAbout(
  sql: ApiDeps['sql'],
  night: NightRow | null,
  runs: readonly TaskRunRow[],
): Promise<TonightView['acts']> {
  if (night === null) return [];
  const subjects = [night.workflowId, ...runs.map(({ taskRunId }) => taskRunId)];
  return await readActsAbout(sql, { subjects, since: night.startedAt });
}
