import { proxyActivities } from '@temporalio/workflow';

import type { DriftActivities, TaskInput, TaskResult } from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';

/** Today's distributions against their baselines. */
export async function driftMonitoring(input: TaskInput): Promise<TaskResult> {
  const pipeline = proxyActivities<DriftActivities>(activityOptions('pipelineLong', input.timeoutMs));
  return runAttempt(input, (step) => pipeline.runDrift(step));
}
