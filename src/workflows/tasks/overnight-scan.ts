import { proxyActivities } from '@temporalio/workflow';

import type { MlActivities, ScanActivities, TaskEnd, TaskInput } from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';

/** Predictions for the next session with the newest accepted version, signals with their reasons. */
export async function overnightScan(input: TaskInput): Promise<TaskEnd> {
  const long = proxyActivities<Pick<ScanActivities, 'planScan'>>(
    activityOptions('pipelineLong', input.timeoutMs),
  );
  const short = proxyActivities<Pick<ScanActivities, 'selectSignals' | 'writeSignals'>>(
    activityOptions('pipelineShort', input.timeoutMs),
  );
  const ml = proxyActivities<MlActivities>(activityOptions('ml', input.timeoutMs));
  return runAttempt(input, async (step) => {
    const plan = await long.planScan(step);
    const { models, metaHash, seed } = plan;
    const { datasetHash } = plan.dataset;
    const { predictionsHash } = await ml.score({ datasetHash, models, metaHash });
    const { symbolIndexes } = await short.selectSignals({ ...step, plan, predictionsHash });
    const reasons =
      symbolIndexes.length === 0
        ? null
        : await ml.explainSignals({ datasetHash, models, metaHash, symbolIndexes, seed });
    return short.writeSignals({ ...step, plan, predictionsHash, reasonsHash: reasons?.reasonsHash ?? null });
  });
}
