import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  workflowInfo,
} from '@temporalio/workflow';

import type { ManualPlan, RunActivities } from '../contracts/activities.ts';
import type { Task, TaskState } from '../contracts/wire/names.ts';
import { serialLocalActivities } from './lib/local-activities.ts';
import { Board } from './lib/board.ts';
import { endingInFailure } from './lib/failure.ts';
import { createReviewDesk } from './lib/review-desk.ts';
import { nominalInstant, tagRun } from './lib/search-attributes.ts';
import { createSlotDesk } from './lib/slots.ts';
import { startTask } from './lib/starter.ts';

export type SingleRunResult = { taskRunId: string; task: Task; state: TaskState; reason: string | null };

/** One task on request, started by `jobQueue`. Ignores the task's own time, but not its needs (unless forced). */
export async function manualRun(input: { taskRunId: string }): Promise<SingleRunResult> {
  const { workflowId, runId } = workflowInfo();
  return endingInFailure(() =>
    runSingle((rows) => rows.planManualRun({ taskRunId: input.taskRunId, workflowId, runId })),
  );
}

/** Weekly maintenance on its own schedule: the same starter, planned from the schedule's nominal instant. */
export async function maintenanceRun(): Promise<SingleRunResult> {
  const { workflowId, runId } = workflowInfo();
  return endingInFailure(() =>
    runSingle((rows) => rows.planMaintenance({ workflowId, runId, nominalInstant: nominalInstant() })),
  );
}

async function runSingle(makePlan: (rows: RunActivities) => Promise<ManualPlan>): Promise<SingleRunResult> {
  const slots = createSlotDesk();
  const reviews = createReviewDesk();
  const rows = serialLocalActivities<RunActivities>('bookkeeping');
  const planned = await makePlan(rows);
  if (planned.outcome === 'refused') throw ApplicationFailure.nonRetryable(planned.reason, 'RunRefused');
  const { plan, input, limits, nextStart } = planned;
  const { taskRunId, task } = plan;
  tagRun(input);
  const heading = `${task} of ${input.sessionDate}, ${input.universe} (${input.trigger})`;
  const board = new Board({ heading, plans: [plan] });
  const settle = (): Promise<void> =>
    CancellationScope.nonCancellable(async () => {
      await slots.settled();
      await condition(allHandlersFinished);
    });
  const ownCostMs = plan.timeoutMs * plan.maxAttempts;
  const latestMs = nextStart === null ? Number.POSITIVE_INFINITY : Date.parse(nextStart) - ownCostMs;
  try {
    const outcome = await startTask({
      plan,
      input,
      limits,
      slots,
      reviews,
      latestRestartMs: () => latestMs,
      onState: (state, reason, details) => board.set(task, state, reason, details),
    });
    board.finish(outcome.state, outcome.reason);
    await settle();
    if (outcome.state === 'failed') {
      throw ApplicationFailure.nonRetryable(outcome.reason ?? `${task} failed`, 'TaskRunFailed');
    }
    return { taskRunId, task, state: outcome.state, reason: outcome.reason };
  } catch (error) {
    if (!CancellationScope.current().consideredCancelled) throw error;
    const reason = 'the run was cancelled';
    board.finish('cancelled', reason);
    await CancellationScope.nonCancellable(() =>
      rows.recordTasks({ transitions: [{ taskRunId, state: 'cancelled', reason }] }),
    );
    await settle();
    throw error;
  }
}
