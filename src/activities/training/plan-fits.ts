import type { FitJob, FitPlan } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import { MODELS } from '../../contracts/wire/names.ts';
import type { NightDataset } from '../datasets/ensure-dataset.ts';

/** All fits of a night: every model on every block, every final model, the stack. */
export function planOf({ ref, config }: NightDataset): FitPlan {
  const jobs = MODELS.map((model) => jobOf(config, { model, datasetHash: ref.datasetHash }));
  const { seed, threads, meta } = config.model;
  return {
    dataset: ref,
    folds: ref.blocks.flatMap((blockIndex) => jobs.map((job) => ({ ...job, blockIndex }))),
    finals: jobs,
    meta: { seed, threads, parameters: { ridgeC: meta.ridgeC } },
  };
}

function jobOf(
  config: EffectiveConfig,
  { model, datasetHash }: Pick<FitJob, 'model' | 'datasetHash'>,
): FitJob {
  const { seed, threads, device, parameters } = config.model;
  return { datasetHash, model, parameters: parameters[model], seed, threads, device };
}
