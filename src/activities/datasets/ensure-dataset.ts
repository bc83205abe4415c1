import { createHash } from 'node:crypto';
import type { DatasetRef, TaskStep } from '../../contracts/activities.ts';
import { canonicalJson, type EffectiveConfig } from '../../contracts/schemas/config.ts';
import { type DatasetManifest, datasetManifestSchema } from '../../contracts/schemas/ml.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { lockArtifactsForReuse } from '../../db/queries/retention.ts';
import {
  type DatasetRow,
  findDatasetByInput,
  hasOnlyInvalidFeatures,
  insertDataset,
  insertFeatureSet,
  mergeSessionFeatures,
} from '../../db/queries/training.ts';
import { manifestBytes } from '../../domain/dataset.ts';
import { describeFeature, FEATURES, featureSetVersion } from '../../domain/features/registry.ts';
import type { BuiltDataset, DatasetSettings } from '../compute/build-dataset.ts';
import { runJob } from '../compute/run-job.ts';
import { readRunConfig } from '../config.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';
import type { Progress } from '../progress.ts';
import { applyChanges } from '../revisions/apply-changes.ts';
import { hashPanel, type MarketPanel, readCalendar, readMarketPanel } from './market-panel.ts';

/** Raise it when assembling changes values and no definition does: old datasets are then not found again. */
const DATASET_CODE_VERSION = 2;

/** The dataset of a night, and what was read to find or build it. */
export type NightDataset = {
  ref: DatasetRef;
  manifest: DatasetManifest;
  /** As stored with it: counts, reasons, members that are not scored. */
  coverage: BuiltDataset['coverage'];
  panel: MarketPanel;
  config: EffectiveConfig;
};

/**
 * Finds the dataset of S as known at S, or builds and stores it. The same bars, definitions and settings find the
 * same dataset, whichever task asks first. Its row and the feature values of S are written under the fence.
 */
export async function ensureDataset(
  deps: ActivityDeps,
  step: TaskStep,
  progress: Progress,
): Promise<NightDataset> {
  const { sql } = deps.db;
  const config = await readRunConfig(sql, step);
  const calendar = await readCalendar(sql, config);
  await applyChanges(deps, { step, calendar });
  const panel = await progress.during('bars', readMarketPanel(sql, { ...step, config, calendar }));
  const settings = settingsOf(config);
  const inputHash = hashInput({ panel, settings, step });
  const known = await reuse(deps, step, inputHash);
  if (known !== null) {
    deps.logger?.info('dataset reused', { datasetHash: known.ref.datasetHash });
    return { ...known, panel, config };
  }
  const { universe, universeVersion } = step;
  const built = await runJob('buildDataset', { panel, universe, universeVersion, settings }, { progress });
  if (built.manifest.blocks.length === 0) {
    throw failure(
      'DataDefect',
      `${panel.sessions.length} sessions up to ${step.sessionDate} hold no test block with ` +
        `${settings.minTrainSessions} sessions before it (nightshift.model.minTrainSessions)`,
    );
  }
  const stored = await progress.during('store', store(deps, step, { built, inputHash }));
  return { ...stored, panel, config };
}

function settingsOf({ model }: EffectiveConfig): DatasetSettings {
  const { labelKind, horizonSessions, blocks, blockMonths, minTrainSessions, trainWindowSessions } = model;
  return { labelKind, horizonSessions, blocks, blockMonths, minTrainSessions, trainWindowSessions };
}

function hashInput(input: { panel: MarketPanel; settings: DatasetSettings; step: TaskStep }): string {
  const { panel, settings, step } = input;
  const text = canonicalJson({
    codeVersion: DATASET_CODE_VERSION,
    featureSetVersion: featureSetVersion(),
    panel: hashPanel(panel),
    settings,
    universe: step.universe,
    universeVersion: step.universeVersion,
  });
  return createHash('sha256').update(text).digest('hex');
}

type Stored = Pick<NightDataset, 'ref' | 'manifest' | 'coverage'>;

/** A stored dataset whose objects are still there; it is no longer up for deletion then. */
async function reuse(deps: ActivityDeps, step: TaskStep, inputHash: string): Promise<Stored | null> {
  const found = await findDatasetByInput(deps.db.sql, inputHash);
  if (found === null) return null;
  // Bars that changed and changed back: the values of S are of the bars in between.
  if (await hasOnlyInvalidFeatures(deps.db.sql, { ...step, featureSetVersion: found.featureSetVersion })) {
    return null;
  }
  return await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await lockArtifactsForReuse(tx);
    const [hasManifest, hasParquet] = await Promise.all([
      deps.artifacts.has(found.datasetHash),
      deps.artifacts.has(found.parquetHash),
    ]);
    if (!hasManifest || !hasParquet) return null;
    await insertDataset(tx, found);
    return describe(found, true);
  });
}

async function store(
  deps: ActivityDeps,
  step: TaskStep,
  input: { built: BuiltDataset; inputHash: string },
): Promise<Stored> {
  const { built, inputHash } = input;
  const parquet = await deps.artifacts.put(built.parquet);
  const manifest = await deps.artifacts.put(manifestBytes(built.manifest, parquet.hash));
  const row: DatasetRow = {
    datasetHash: manifest.hash,
    parquetHash: parquet.hash,
    sessionDate: step.sessionDate,
    universe: step.universe,
    universeVersion: step.universeVersion,
    featureSetVersion: built.manifest.featureSetVersion,
    labelKind: built.manifest.labelKind,
    horizonSessions: built.manifest.horizonSessions,
    rows: built.manifest.rows,
    symbols: built.manifest.symbols.length,
    sessions: built.manifest.sessions.length,
    inputHash,
    manifest: { ...built.manifest, parquetHash: parquet.hash },
    coverage: built.coverage,
  };
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await insertFeatureSet(tx, {
      featureSetVersion: row.featureSetVersion,
      definitions: FEATURES.map(describeFeature),
    });
    await insertDataset(tx, row);
    await mergeSessionFeatures(tx, {
      sessionDate: step.sessionDate,
      universeVersion: step.universeVersion,
      featureSetVersion: row.featureSetVersion,
      datasetHash: row.datasetHash,
      symbols: built.scoreRows.map(({ symbol }) => symbol),
      values: built.scoreRows.map(({ values }) => values),
    });
  });
  return describe(row, false);
}

function describe(row: DatasetRow, reused: boolean): Stored {
  const manifest = datasetManifestSchema.parse(row.manifest);
  return {
    ref: {
      datasetHash: row.datasetHash,
      reused,
      rows: manifest.rows,
      features: manifest.features.length,
      blocks: manifest.blocks.map(({ index }) => index),
      symbols: manifest.symbols.length,
      sessions: manifest.sessions.length,
    },
    manifest,
    coverage: row.coverage as BuiltDataset['coverage'],
  };
}

/** Manifest and coverage of a dataset that a step was given. Fails with InvalidInput if it was never stored. */
export function parseManifest(row: DatasetRow): DatasetManifest {
  return datasetManifestSchema.parse(row.manifest);
}
