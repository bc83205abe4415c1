import { proxyActivities } from '@temporalio/workflow';

import type {
  BacktestActivities,
  MlActivities,
  TaskEnd,
  TaskInput,
  TrainingActivities,
} from '../../contracts/activities.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';
import { fitFolds, fitMeta } from './shared-fits.ts';

/** Matures what was predicted, and walks forward over the shared fold models with costs. */
export async function backtest(input: TaskInput): Promise<TaskEnd> {
  const pipeline = proxyActivities<BacktestActivities & Pick<TrainingActivities, 'planFits'>>(
    activityOptions('pipelineLong', input.timeoutMs),
  );
  const ml = proxyActivities<MlActivities>(activityOptions('ml', input.timeoutMs));
  return runAttempt(input, async (step) => {
    const plan = await pipeline.planFits(step);
    const folds = await fitFolds(ml, plan);
    const meta = await fitMeta(ml, plan, folds);
    const matured = await pipeline.maturePredictions(step);
    return pipeline.runBacktest({ ...step, dataset: plan.dataset, meta, folds, matured });
  });
}
