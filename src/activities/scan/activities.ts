import type { ModelRef, ScanActivities, ScanPlan, TaskStep } from '../../contracts/activities.ts';
import { MODELS } from '../../contracts/wire/names.ts';
import { findCurrentVersion, type StoredModelVersion } from '../../db/queries/training.ts';
import { ensureDataset } from '../datasets/ensure-dataset.ts';
import type { ActivityDeps } from '../deps.ts';
import { classifyErrors, failure } from '../errors.ts';
import { currentProgress } from '../progress.ts';
import { readSignalList } from './signal-list.ts';
import { writeSignals } from './write-signals.ts';

type SelectInput = Parameters<ScanActivities['selectSignals']>[0];

/** Overnight scan: which version scores which dataset, who gets a signal, and what is written. */
export function createScanActivities(deps: ActivityDeps): ScanActivities {
  return classifyErrors({
    planScan: (step: TaskStep) => planScan(deps, step),
    selectSignals: (input: SelectInput) => selectSignals(deps, input),
    writeSignals: (input: Parameters<ScanActivities['writeSignals']>[0]) => writeSignals(deps, input),
  });
}

/** The newest accepted version trained through S or earlier, and the dataset of S. */
async function planScan(deps: ActivityDeps, step: TaskStep): Promise<ScanPlan> {
  const { ref, manifest } = await ensureDataset(deps, step, currentProgress());
  const version = await findCurrentVersion(deps.db.sql, {
    universe: step.universe,
    sessionDate: step.sessionDate,
    featureSetVersion: manifest.featureSetVersion,
  });
  if (version === null) {
    throw failure(
      'InvalidInput',
      `no accepted model version of ${step.universe} was trained on these features through ${step.sessionDate}`,
    );
  }
  return {
    dataset: ref,
    modelVersion: version.version,
    models: modelsOf(version),
    metaHash: version.metaHash,
    seed: version.seed,
  };
}

/** The version's own models: one trained before a model was added goes without it. */
function modelsOf({ models }: StoredModelVersion): ModelRef[] {
  return MODELS.flatMap((model) => {
    const modelHash = models[model];
    return modelHash === undefined ? [] : [{ model, modelHash }];
  });
}

async function selectSignals(deps: ActivityDeps, input: SelectInput): Promise<{ symbolIndexes: number[] }> {
  const { list, manifest } = await readSignalList(deps, input);
  const issued = new Set(
    list.signals
      .filter(({ action }) => action !== 'hold' && action !== 'not_scored')
      .map(({ symbol }) => symbol),
  );
  const symbolIndexes = manifest.symbols.flatMap((symbol, index) => (issued.has(symbol) ? [index] : []));
  return { symbolIndexes };
}
