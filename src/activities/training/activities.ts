import type { TaskStep, TrainingActivities } from '../../contracts/activities.ts';
import { ensureDataset } from '../datasets/ensure-dataset.ts';
import type { ActivityDeps } from '../deps.ts';
import { classifyErrors } from '../errors.ts';
import { currentProgress } from '../progress.ts';
import { planOf } from './plan-fits.ts';
import { registerTraining } from './register-training.ts';

/** Training: the dataset with its fits, and the version that comes of them. */
export function createTrainingActivities(deps: ActivityDeps): TrainingActivities {
  return classifyErrors({
    planFits: async (step: TaskStep) => planOf(await ensureDataset(deps, step, currentProgress())),
    registerTraining: (input: Parameters<TrainingActivities['registerTraining']>[0]) =>
      registerTraining(deps, input),
  });
}
