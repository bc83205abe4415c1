import { proxyActivities } from '@temporalio/workflow';

import type { MaintenanceActivities, TaskEnd, TaskInput } from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';

/** Retention first, so that the vacuum finds what it left; logs and artifacts after it. */
export async function weeklyMaintenance(input: TaskInput): Promise<TaskEnd> {
  const pipeline = proxyActivities<MaintenanceActivities>(activityOptions('pipelineLong', input.timeoutMs));
  return runAttempt(input, async (step) => {
    const retention = await pipeline.applyRetention(step);
    const database = await pipeline.vacuumDatabase(step);
    const artifacts = await pipeline.cleanArtifacts(step);
    const logs = await pipeline.archiveLogs(step);
    return { database, artifacts, logs, retention };
  });
}
