import type { Fence } from '../contracts/activities.ts';
import type { Tx } from './client.ts';
import { SupersededAttempt } from './errors.ts';

/**
 * First statement of every final write: this attempt must still be the task run's current one. The
 * row stays share-locked until the transaction ends, so that a newer attempt begins after it or makes
 * it fail. Batches of one attempt do not block each other. Throws SupersededAttempt.
 */
export async function assertCurrentAttempt(tx: Tx, fence: Fence): Promise<void> {
  const [row] = await tx<{ state: string; currentRunId: string | null }[]>`
    select state, current_run_id from ops.task_runs where task_run_id = ${fence.taskRunId} for share`;
  if (row === undefined) throw new SupersededAttempt(`task run ${fence.taskRunId} is not known`);
  if (row.currentRunId !== fence.runId || row.state !== 'running') {
    throw new SupersededAttempt(
      `attempt ${fence.attempt} (run ${fence.runId}) of ${fence.taskRunId} may not write: the task run is ` +
        `${row.state}, its current run ${row.currentRunId ?? 'none'}`,
    );
  }
}
