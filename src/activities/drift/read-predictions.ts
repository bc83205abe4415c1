import type { TaskStep } from '../../contracts/activities.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import { readIssuedPredictions } from '../../db/queries/drift.ts';
import { findDataset, type StoredModelVersion } from '../../db/queries/training.ts';
import { parseManifest } from '../datasets/ensure-dataset.ts';
import { readOofTable } from '../datasets/tables.ts';
import type { ActivityDeps } from '../deps.ts';
import { type OutOfFold, type PredictionSeries, predictionSeries } from './predictions.ts';
import { parseStack } from './stack.ts';

/** The prediction series of a night: what was issued up to it beside the out-of-fold ones of its current version. */
export async function readPredictionSeries(
  deps: ActivityDeps,
  night: {
    step: TaskStep;
    manifest: DatasetManifest;
    version: StoredModelVersion | null;
    windowSessions: number;
    /** Instant up to which predictions of earlier nights count. */
    knownAt: string;
  },
): Promise<PredictionSeries[]> {
  const { step, manifest, version, windowSessions, knownAt } = night;
  const { sessions, scoreSessionIndex } = manifest;
  const issued = await readIssuedPredictions(deps.db.sql, {
    universe: step.universe,
    // One session more than the window: last night's window is judged again.
    fromSession: sessions[Math.max(0, scoreSessionIndex - windowSessions)] ?? step.sessionDate,
    throughSession: step.sessionDate,
    writtenThrough: knownAt,
  });
  const oof = version === null ? null : await readOutOfFold(deps, version);
  return predictionSeries({ axis: manifest, windowSessions, oof, issued });
}

/** Null where the version's dataset is no longer stored. */
async function readOutOfFold(deps: ActivityDeps, version: StoredModelVersion): Promise<OutOfFold | null> {
  const row = await findDataset(deps.db.sql, version.datasetHash);
  if (row === null) return null;
  const [oof, meta] = await Promise.all([
    deps.artifacts.get(version.oofHash),
    deps.artifacts.get(version.metaHash),
  ]);
  return { table: await readOofTable(oof), sessions: parseManifest(row).sessions, stack: parseStack(meta) };
}

/** Sessions in a row, up to the night, for which predictions were issued; at most one more than the window. */
export function issuedSessions(predictions: readonly PredictionSeries[]): number {
  return Math.max(
    0,
    ...predictions.map(({ current: { firstSession, lastSession } }) => lastSession - firstSession + 1),
  );
}
