import { proxyActivities } from '@temporalio/workflow';

import type { IngestionActivities, TaskEnd, TaskInput } from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';
import { inParallel } from '../lib/in-parallel.ts';
import { expectSteps } from '../lib/step-progress.ts';

/** The only task that calls the outside world: batches of symbols, then the checks across symbols. */
export async function ingestion(input: TaskInput): Promise<TaskEnd> {
  const market = proxyActivities<IngestionActivities>(activityOptions('marketData', input.timeoutMs));
  return runAttempt(input, async (step) => {
    const plan = await market.planIngestion(step);
    expectSteps('ingestBatch', plan.batches.length);
    await inParallel(plan.batches, plan.parallelBatches, (batch) => {
      const summary = `batch ${batch.index + 1} of ${plan.batches.length}, ${batch.symbols.length} symbols`;
      return market.ingestBatch.executeWithOptions({ summary }, [{ ...step, batch }]);
    });
    return market.finishIngestion(step);
  });
}
