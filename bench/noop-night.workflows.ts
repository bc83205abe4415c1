/** Workflows of the no-op bench: the product's night and queue, tasks without work, and bare children. */
import { executeChild, proxyActivities } from '@temporalio/workflow';

import type { TaskInput, TaskResult } from '../src/contracts/activities.ts';
import { runAttempt } from '../src/workflows/lib/attempt.ts';

export { jobQueue } from '../src/workflows/job-queue.ts';
export { nightlyPipeline } from '../src/workflows/nightly-pipeline.ts';

/** A task with its attempt rows and nothing else. */
async function emptyTask(input: TaskInput): Promise<TaskResult> {
  return runAttempt(input, async () => ({}));
}
export const ingestion = (input: TaskInput): Promise<TaskResult> => emptyTask(input);
export const training = (input: TaskInput): Promise<TaskResult> => emptyTask(input);
export const overnightScan = (input: TaskInput): Promise<TaskResult> => emptyTask(input);
export const backtest = (input: TaskInput): Promise<TaskResult> => emptyTask(input);
export const driftMonitoring = (input: TaskInput): Promise<TaskResult> => emptyTask(input);

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '10s' });

export async function bareChild(): Promise<void> {
  await nothing();
}

/** Five children with one activity each: one after the other, or all at once. */
export async function bareParent(input: { inSequence: boolean }): Promise<void> {
  const children = [0, 1, 2, 3, 4];
  if (!input.inSequence) {
    await Promise.all(children.map(() => executeChild(bareChild)));
    return;
  }
  for (const _ of children) await executeChild(bareChild);
}
