import { createHash } from 'node:crypto';
import type { FinalFit, MetaFit, MlActivities, TaskStep } from '../../contracts/activities.ts';
import { canonicalJson, type EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { Model } from '../../contracts/wire/names.ts';

export type VersionInput = {
  step: TaskStep;
  manifest: DatasetManifest;
  datasetHash: string;
  config: EffectiveConfig;
  finals: readonly { model: Model; fit: FinalFit }[];
  meta: MetaFit;
  ml: Awaited<ReturnType<MlActivities['mlInfo']>>;
};

/**
 * Name of a version: universe, session and a hash of all that went in and came out. The same inputs give the same
 * name, so that a re-run registers nothing new.
 */
export function versionName(input: VersionInput): string {
  const { step, config, manifest, meta, ml } = input;
  const { seed, threads, device, parameters } = config.model;
  const content = canonicalJson({
    universe: step.universe,
    universeVersion: step.universeVersion,
    datasetHash: input.datasetHash,
    featureSetVersion: manifest.featureSetVersion,
    parameters,
    metaParameters: config.model.meta,
    seed,
    threads,
    device,
    codeHash: ml.codeHash,
    lockHash: ml.lockHash,
    platform: ml.platform,
    models: modelHashes(input.finals),
    metaHash: meta.metaHash,
    oofHash: meta.oofHash,
  });
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  return `${step.universe}-${step.sessionDate.replaceAll('-', '')}-${hash}`;
}

/** Model id → hash of its final fit, in report order. */
export function modelHashes(finals: readonly { model: Model; fit: FinalFit }[]): Record<string, string> {
  return Object.fromEntries(finals.map(({ model, fit }) => [model, fit.modelHash]));
}
