import { type ActivityInterfaceFor, proxyActivities } from '@temporalio/workflow';

import type {
  Explanation,
  FitPlan,
  FoldResult,
  MlActivities,
  TaskEnd,
  TaskInput,
  TrainingActivities,
} from '../../contracts/activities.ts';
import type { Model } from '../../contracts/wire/names.ts';
import { activityOptions } from '../lib/activity-options.ts';
import { runAttempt } from '../lib/attempt.ts';
import { inParallel, MAX_PENDING, sideBySide } from '../lib/in-parallel.ts';
import { fitFolds, fitMeta } from './shared-fits.ts';

/** Folds come first in the queue, they are needed by three others; finals need only to be there at the end. */
const FINALS_PENDING = 8;

/**
 * One dataset, one activity per model and fold on the `ml` queue, final models beside them; then the
 * meta-learner and the explanations of all eight; then the version with its metrics and gate.
 */
export async function training(input: TaskInput): Promise<TaskEnd> {
  const pipeline = proxyActivities<TrainingActivities>(activityOptions('pipelineLong', input.timeoutMs));
  const ml = proxyActivities<MlActivities>(activityOptions('ml', input.timeoutMs));
  return runAttempt(input, async (step) => {
    const plan = await pipeline.planFits(step);
    const about = await ml.mlInfo({});
    const [{ folds, meta, explanations }, finals] = await sideBySide(
      async () => {
        const folds = await fitFolds(ml, plan, MAX_PENDING - FINALS_PENDING);
        const [meta, explanations] = await sideBySide(
          () => fitMeta(ml, plan, folds),
          () => explainAll(ml, plan, folds),
        );
        return { folds, meta, explanations };
      },
      () =>
        inParallel(plan.finals, FINALS_PENDING, async (job) => ({
          model: job.model,
          fit: await ml.fitFinal.executeWithOptions({ summary: `${job.model}, final` }, [job]),
        })),
    );
    return pipeline.registerTraining({
      ...step,
      dataset: plan.dataset,
      folds,
      finals,
      meta,
      explanations,
      ml: about,
    });
  });
}

/**
 * Explains each model as fitted for the newest block, on rows of that block: the newest rows that no fit
 * of that model has seen.
 */
async function explainAll(
  ml: ActivityInterfaceFor<MlActivities>,
  plan: FitPlan,
  folds: readonly FoldResult[],
): Promise<{ model: Model; explanation: Explanation }[]> {
  const newest = Math.max(...folds.map((fold) => fold.blockIndex));
  const jobs = new Map(plan.finals.map((job) => [job.model, job]));
  return inParallel(
    folds.filter((fold) => fold.blockIndex === newest),
    MAX_PENDING,
    async ({ model, blockIndex, fit }) => {
      const { seed, threads, device } = jobs.get(model) ?? { ...plan.meta, device: 'cpu' as const };
      const { datasetHash } = plan.dataset;
      const job = { datasetHash, model, modelHash: fit.modelHash, blockIndex, seed, threads, device };
      const explanation = await ml.explainModel.executeWithOptions({ summary: model }, [job]);
      return { model, explanation };
    },
  );
}
