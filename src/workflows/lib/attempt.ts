import { CancellationScope, log, setCurrentDetails, workflowInfo } from '@temporalio/workflow';

import type {
  Fence,
  RunActivities,
  TaskEnd,
  TaskInput,
  TaskResult,
  TaskStep,
} from '../../contracts/activities.ts';
import { serialLocalActivities } from './local-activities.ts';
import { describeFailure, topLevelFailure } from './failure.ts';
import { stepTable, whenStepsChange } from './step-progress.ts';

/** Attempts of one execution that keep the fence's order over the whole task run. */
const ATTEMPTS_PER_TURN = 1000;

/**
 * One attempt of a task: opens its row, does the work with the fence in every step, closes the row, and
 * returns the result with the attempt's number, or rethrows a failure as a top-level ApplicationFailure.
 */
export async function runAttempt(
  input: TaskInput,
  work: (step: TaskStep) => Promise<TaskResult>,
): Promise<TaskEnd> {
  const { workflowId, runId, attempt, retryPolicy } = workflowInfo();
  // A retried run has no summary any more (ran): its details say what it is.
  const about = `${input.task} of ${input.sessionDate} (${input.universe})`;
  const heading = `**${about}: attempt ${attempt} of ${retryPolicy?.maximumAttempts ?? 1}**`;
  let end = '';
  const show = (): void => setCurrentDetails([`${heading}${end}`, ...stepTable()].join('\n'));
  whenStepsChange(show);
  show();
  const fence: Fence = {
    taskRunId: input.taskRunId,
    workflowId,
    runId,
    attempt: input.turn * ATTEMPTS_PER_TURN + attempt,
  };
  const rows = serialLocalActivities<Pick<RunActivities, 'beginAttempt' | 'finishAttempt'>>(
    'attemptRows',
    input.timeoutMs,
  );
  const scope = CancellationScope.current();
  try {
    await rows.beginAttempt({ fence, task: input.task });
    const result = await work({ ...input, fence });
    await rows.finishAttempt({ fence, end: 'succeeded', failure: null, result });
    end = ': succeeded';
    show();
    return { ...result, attempt };
  } catch (error) {
    const cancelled = scope.consideredCancelled;
    const failure = describeFailure(error);
    end = cancelled ? ': cancelled' : `: failed: ${failure.type}: ${failure.message}`;
    show();
    // The failure itself counts more than its row: the next attempt or the starter closes that too.
    await CancellationScope.nonCancellable(async () => {
      const end = cancelled ? 'cancelled' : 'failed';
      await rows.finishAttempt({ fence, end, failure, result: null });
    }).catch((rowError: unknown) => {
      log.warn('attempt row not closed', { taskRunId: input.taskRunId, error: String(rowError) });
    });
    if (cancelled) throw error;
    throw topLevelFailure(failure, attempt);
  }
}
