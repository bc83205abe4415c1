import type { TaskResult, TaskStep } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { Queryable } from '../../db/client.ts';
import { findLastRaisedFlag, readDriftInstant, readPastExceedances } from '../../db/queries/drift.ts';
import {
  findCurrentVersion,
  findDataset,
  findSessionDataset,
  type StoredModelVersion,
} from '../../db/queries/training.ts';
import { featureSetVersion } from '../../domain/features/registry.ts';
import { runJob } from '../compute/run-job.ts';
import { readRunConfig } from '../config.ts';
import { parseManifest } from '../datasets/ensure-dataset.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';
import { currentProgress, type Progress } from '../progress.ts';
import { type NightBaselines, resolveBaselines } from './baselines.ts';
import { decideFlag, type JudgedSeries, judgeNights, summariseDrift } from './decide.ts';
import type { PredictionSeries } from './predictions.ts';
import { issuedSessions, readPredictionSeries } from './read-predictions.ts';
import { featureSpecs } from './series.ts';
import { storeDrift } from './store.ts';

type NightDataset = { datasetHash: string; parquetHash: string; manifest: DatasetManifest };

/**
 * Compares the night's distributions with both baselines and writes the log, baselines and the retraining flag.
 * Reads nothing later than S, and of earlier nights what was written when it first ran, so that a night of the past
 * says again what it said. Fails with ArtifactMissing
 * where training and backtest of S left no dataset.
 */
export async function runDrift(deps: ActivityDeps, step: TaskStep): Promise<TaskResult> {
  const progress = currentProgress();
  const { sql } = deps.db;
  const config = await readRunConfig(sql, step);
  const dataset = await nightDataset(sql, step, config);
  const { manifest } = dataset;
  const version = await findCurrentVersion(sql, {
    universe: step.universe,
    sessionDate: step.sessionDate,
    featureSetVersion: manifest.featureSetVersion,
  });
  const baselines = await resolveBaselines(sql, {
    step,
    manifest,
    datasetHash: dataset.datasetHash,
    training: await trainingSessions(sql, version, manifest),
    windowSessions: config.drift.windowSessions,
    bins: config.drift.bins,
  });
  if (baselines === null) return tooShort(config, manifest);
  const { featureSetVersion: features } = manifest;
  const knownAt = await readDriftInstant(sql, { ...step, featureSetVersion: features });
  const { windowSessions } = config.drift;
  const predictions = await progress.during(
    'predictions',
    readPredictionSeries(deps, { step, manifest, version, windowSessions, knownAt }),
  );
  const series = await judge(deps, progress, { step, config, dataset, baselines, predictions, knownAt });
  const lastRaised = await findLastRaisedFlag(sql, {
    universe: step.universe,
    beforeSession: step.sessionDate,
    writtenThrough: knownAt,
  });
  const lastIndex = lastRaised === null ? -1 : manifest.sessions.indexOf(lastRaised);
  const flag = decideFlag(series, {
    session: manifest.scoreSessionIndex,
    lastRaised: lastIndex < 0 ? null : lastIndex,
  });
  const modelVersion = version?.version ?? 'none';
  await progress.during(
    'store',
    storeDrift(deps.db, { step, manifest, baselines, series, flag, modelVersion, knownAt }),
  );
  const { sessions } = manifest;
  const { rolling, anchored, newAnchor } = baselines;
  return {
    ...summariseDrift(series),
    retrainingFlag: flag.raised,
    suppressedBy: flag.suppressedBy,
    reasons: flag.reasons,
    modelVersion,
    datasetHash: dataset.datasetHash,
    windowSessions,
    baselineSessions: rolling.lastSession - rolling.firstSession + 1,
    baseline: { first: sessions[rolling.firstSession], last: sessions[rolling.lastSession] },
    anchoredBaseline:
      anchored === null
        ? null
        : {
            first: sessions[anchored.firstSession],
            last: sessions[anchored.lastSession],
            setTonight: newAnchor !== null,
            why: newAnchor?.why ?? null,
          },
    issuedSessions: issuedSessions(predictions),
  };
}

async function nightDataset(sql: Queryable, step: TaskStep, config: EffectiveConfig): Promise<NightDataset> {
  const { labelKind, horizonSessions } = config.model;
  const row = await findSessionDataset(sql, {
    ...step,
    featureSetVersion: featureSetVersion(),
    labelKind,
    horizonSessions,
  });
  if (row === null) {
    throw failure(
      'ArtifactMissing',
      `no dataset of ${step.universe} for ${step.sessionDate}: training or backtest of that session builds it`,
    );
  }
  const { datasetHash, parquetHash } = row;
  return { datasetHash, parquetHash, manifest: parseManifest(row) };
}

/** Training window of the version that is current as of S; before there is one, that of the night's own dataset. */
async function trainingSessions(
  sql: Queryable,
  version: StoredModelVersion | null,
  own: DatasetManifest,
): Promise<{ first: string; last: string }> {
  const row = version === null ? null : await findDataset(sql, version.datasetHash);
  const { sessions, finalTrain } = row === null ? own : parseManifest(row);
  const first = sessions[finalTrain.firstSessionIndex];
  const last = sessions[finalTrain.lastSessionIndex];
  if (first === undefined || last === undefined) {
    throw failure('DataDefect', `the dataset of ${version?.version ?? 'the night'} names sessions it lacks`);
  }
  return { first, last };
}

/** Every series against both baselines, with the rule of nights in a row applied. */
async function judge(
  deps: ActivityDeps,
  progress: Progress,
  input: {
    step: TaskStep;
    config: EffectiveConfig;
    dataset: NightDataset;
    baselines: NightBaselines;
    predictions: PredictionSeries[];
    knownAt: string;
  },
): Promise<JudgedSeries[]> {
  const { step, config, dataset, baselines } = input;
  const { manifest } = dataset;
  const { windowSessions, bins, floor, missing, consecutiveNights } = config.drift;
  const measured = await runJob(
    'measureDrift',
    {
      parquet: await progress.during('dataset', deps.artifacts.get(dataset.parquetHash)),
      features: featureSpecs(manifest.features),
      rowStartBySession: manifest.rowStartBySession,
      session: manifest.scoreSessionIndex,
      rolling: baselines.rolling,
      anchored: baselines.anchored,
      predictions: input.predictions,
      options: {
        horizonSessions: manifest.horizonSessions,
        windowSessions,
        bins,
        floor,
        percentile: config.drift.alarmQuantile,
        falseDiscoveryRate: config.drift.falseDiscoveryRate,
        minComparisonWindows: config.drift.minComparisonWindows,
      },
      missing,
    },
    { progress },
  );
  const end = manifest.scoreSessionIndex - 1;
  const pastSessions = manifest.sessions.slice(Math.max(0, end - (consecutiveNights - 2)), Math.max(0, end));
  const past = await readPastExceedances(deps.db.sql, {
    ...step,
    featureSetVersion: manifest.featureSetVersion,
    sessions: pastSessions,
    writtenThrough: input.knownAt,
  });
  const nights = { nights: consecutiveNights, pastSessions, past };
  return [
    ...judgeNights({ ...nights, series: measured.rolling, baselineKind: 'rolling' }),
    ...judgeNights({ ...nights, series: measured.anchored, baselineKind: 'anchored' }),
  ];
}

/** So little history that nothing lies before the current window: said, not logged. */
function tooShort(config: EffectiveConfig, manifest: DatasetManifest): TaskResult {
  const gap = config.drift.windowSessions + manifest.horizonSessions;
  const why = `no training session ends ${String(gap)} sessions before the night's, of ${String(manifest.sessions.length)} in all`;
  return {
    ...summariseDrift([]),
    features: manifest.features.length,
    notEnoughData: manifest.features.length,
    undecided: [{ why, series: manifest.features }],
    retrainingFlag: false,
    suppressedBy: null,
    reasons: [],
    windowSessions: config.drift.windowSessions,
    baselineSessions: 0,
    baseline: null,
    anchoredBaseline: null,
  };
}
