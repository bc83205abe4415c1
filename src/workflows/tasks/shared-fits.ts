import type { ActivityInterfaceFor } from '@temporalio/workflow';

import type { FitPlan, FoldResult, MetaFit, MlActivities } from '../../contracts/activities.ts';
import { inParallel, MAX_PENDING } from '../lib/in-parallel.ts';

type FoldMl = ActivityInterfaceFor<Pick<MlActivities, 'fitFold' | 'fitMeta'>>;

/**
 * The out-of-fold fits that training and backtest both ask for: the first one fits, the other reads them
 * from the cache by their key, and neither depends on the other.
 */
export async function fitFolds(ml: FoldMl, plan: FitPlan, limit = MAX_PENDING): Promise<FoldResult[]> {
  return inParallel(plan.folds, limit, async (job) => ({
    model: job.model,
    blockIndex: job.blockIndex,
    fit: await ml.fitFold.executeWithOptions({ summary: `${job.model}, block ${job.blockIndex + 1}` }, [job]),
  }));
}

/** The meta-learner over all out-of-fold predictions. */
export async function fitMeta(ml: FoldMl, plan: FitPlan, folds: readonly FoldResult[]): Promise<MetaFit> {
  return ml.fitMeta({
    datasetHash: plan.dataset.datasetHash,
    folds: folds.map(({ model, blockIndex, fit }) => ({
      model,
      blockIndex,
      predictionsHash: fit.predictionsHash,
    })),
    ...plan.meta,
  });
}
