import { log } from '@temporalio/activity';

import type { RunActivities } from '../contracts/activities.ts';
import { beginAttempt, countLostAttempts, finishAttempt } from '../db/queries/attempts.ts';
import { refreshNightState } from '../db/queries/night-state.ts';
import { setNightState } from '../db/queries/nights.ts';
import { insertReview } from '../db/queries/requests.ts';
import { findTaskRun, transitionTaskRuns } from '../db/queries/task-runs.ts';
import { classifyErrors } from './errors.ts';
import { processesOf, SILENCE_TOLERATED_MS } from './outage.ts';
import { adoptFileAtStart } from './planning/config-source.ts';
import type { RunDeps } from './planning/deps.ts';
import { planMaintenance, planManualRun } from './planning/manual-plan.ts';
import { planNight } from './planning/night-plan.ts';

/** Planning and book-keeping of runs: short, idempotent, called as local activities. */
export function createRunActivities(house: RunDeps): RunActivities {
  // Thirteen thousand sessions are read once per process, not once per night.
  const deps: RunDeps = { ...house, sessions: once(house.sessions) };
  const { sql } = deps.database;
  const adopt = once(async () => {
    const { configPath: path, configNamed: named } = deps;
    const { problem } = await adoptFileAtStart(sql, { path, named });
    if (problem !== null) log.error(`the configuration file is not used: ${problem}`);
  });

  return classifyErrors({
    planNight: async (input) => {
      await adopt();
      return planNight(deps, input);
    },
    planManualRun: async (input) => {
      await adopt();
      return planManualRun(deps, input);
    },
    planMaintenance: async (input) => {
      await adopt();
      return planMaintenance(deps, input);
    },
    recordTasks: async ({ transitions }) => {
      await transitionTaskRuns(sql, transitions);
      await refreshNightState(
        sql,
        transitions.map((transition) => transition.taskRunId),
      );
    },
    recordReview: (input) => insertReview(sql, input),
    beginAttempt: async ({ fence }) => {
      await beginAttempt(sql, fence);
      await refreshNightState(sql, [fence.taskRunId]);
    },
    finishAttempt: async (input) => {
      await finishAttempt(sql, input);
      await refreshNightState(sql, [input.fence.taskRunId]);
    },
    countLostAttempts: async (input) => {
      const run = await findTaskRun(sql, input.taskRunId);
      if (run === null) return { lost: 0, downSeconds: 0, stored: null };
      if (run.state === 'succeeded') return { lost: 0, downSeconds: 0, stored: run.result ?? {} };
      const processes = processesOf(run.task);
      const toleranceMs = deps.silenceToleratedMs ?? SILENCE_TOLERATED_MS;
      const lost = await countLostAttempts(sql, { ...input, processes, toleranceMs });
      return { ...lost, stored: null };
    },
    finishNight: async (input) => {
      await setNightState(sql, input);
    },
  } satisfies RunActivities);
}

/** Runs `work` until it has succeeded once, and keeps its result. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return async () => {
    running ??= work();
    try {
      return await running;
    } catch (error) {
      running = null;
      throw error;
    }
  };
}
