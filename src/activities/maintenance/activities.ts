import type { MaintenanceActivities, TaskResult, TaskStep } from '../../contracts/activities.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { expireDatasets, expireFoldFits, expireOperations } from '../../db/queries/retention.ts';
import { readRunConfig } from '../config.ts';
import { classifyErrors } from '../errors.ts';
import { currentProgress } from '../progress.ts';
import { cleanArtifacts } from './clean-artifacts.ts';
import type { MaintenanceDeps } from './deps.ts';
import { archiveLogFolders } from './log-folders.ts';
import { vacuumDatabase } from './vacuum.ts';

/** Weekly maintenance: vacuum, artifacts, logs, retention. */
export function createMaintenanceActivities(deps: MaintenanceDeps): MaintenanceActivities {
  return classifyErrors({
    vacuumDatabase: (step: TaskStep) => vacuumDatabase(deps, step),
    cleanArtifacts: (step: TaskStep) => cleanArtifacts(deps, step),
    archiveLogs: (step: TaskStep) => archiveLogs(deps, step),
    applyRetention: (step: TaskStep) => applyRetention(deps, step),
  });
}

/** Zips logs older than `retention.logZipDays` in each folder, proves the archives, then deletes the originals. */
async function archiveLogs(deps: MaintenanceDeps, step: TaskStep): Promise<TaskResult> {
  const { sql } = deps.db;
  const { retention } = await readRunConfig(sql, step);
  if (deps.logFolder === null || deps.logFolder === undefined) {
    return { skipped: 'this worker writes its logs to standard output only' };
  }
  await sql.begin((tx) => assertCurrentAttempt(tx, step.fence));
  const progress = currentProgress();
  return await progress.during(
    'logs',
    archiveLogFolders({
      folder: deps.logFolder,
      now: deps.clock(),
      zipAfterDays: retention.logZipDays,
      deleteAfterDays: retention.logDeleteDays,
      onProgress: (done, total) => progress.report('logs', done, total),
    }),
  );
}

/** Applies the configured rules to rows; `cleanArtifacts` then removes the objects that became free. */
async function applyRetention(deps: MaintenanceDeps, step: TaskStep): Promise<TaskResult> {
  const { sql } = deps.db;
  const { retention } = await readRunConfig(sql, step);
  const now = deps.clock();
  const work = sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    const datasets = await expireDatasets(tx, { nights: retention.datasetNights, now });
    const foldFits = await expireFoldFits(tx, retention.foldGenerations);
    const operations = await expireOperations(tx, {
      now,
      livenessDays: retention.temporalDays,
      outcomeDays: retention.logDeleteDays,
      loginDays: retention.loginDays,
      alertDays: retention.alertDays,
    });
    return { datasetsExpired: datasets, foldFitsDeleted: foldFits, rowsDeleted: operations };
  });
  const counts = await currentProgress().during('retention', work);
  return { ...counts, rules: { ...retention } };
}
