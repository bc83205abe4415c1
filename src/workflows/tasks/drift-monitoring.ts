import { proxyActivities } from '@temporalio/workflow';

import type { DriftActivities, TaskEnd, TaskInput } from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';

/** Today's distributions against their baselines. */
export async function driftMonitoring(input: TaskInput): Promise<TaskEnd> {
  const pipeline = proxyActivities<DriftActivities>(activityOptions('pipelineLong', input.timeoutMs));
  return runAttempt(input, (step) => pipeline.runDrift(step));
}
