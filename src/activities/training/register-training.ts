import { z } from 'zod';
import type { TaskResult, TrainingActivities } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import { MODELS } from '../../contracts/wire/names.ts';
import type { Queryable } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import {
  findCurrentVersion,
  findDataset,
  findModelVersion,
  type FoldFitRow,
  insertFoldFits,
  insertModelMetrics,
  insertModelVersion,
  insertShapRows,
  lockCurrentVersion,
  type ModelVersionRow,
  type ShapRow,
  type StoredModelVersion,
} from '../../db/queries/training.ts';
import { promoteByGate } from '../../db/queries/promotions.ts';
import { readSurvivorship } from '../../db/queries/universes.ts';
import type { NamedOof, TrainingEvaluation } from '../compute/evaluate-training.ts';
import { runJob } from '../compute/run-job.ts';
import { readRunConfig } from '../config.ts';
import { parseManifest } from '../datasets/ensure-dataset.ts';
import { readCalendar, readMarketPanel } from '../datasets/market-panel.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';
import { currentProgress, type Progress } from '../progress.ts';
import { metricRows, modelReports } from './metric-rows.ts';
import { readJson, type ShapRun, writeShapRun } from './shap-run.ts';
import { modelHashes, versionName } from './version.ts';

type Input = Parameters<TrainingActivities['registerTraining']>[0];

/** The parts of the stack's artifact that decide whether it may be used. */
const metaArtifactSchema = z.looseObject({
  reason: z.string().nullable(),
  leakSuspects: z.array(z.looseObject({ model: z.string() })),
});

/**
 * Judges what was trained and registers it: metrics with intervals beside the baselines, verdicts, gate against the
 * version that is current as of S, explanations, and in one transaction the version with its promotion.
 */
export async function registerTraining(deps: ActivityDeps, input: Input): Promise<TaskResult> {
  const { sql } = deps.db;
  const progress = currentProgress();
  requireComplete(input);
  const config = await readRunConfig(sql, input);
  const manifest = await readManifest(sql, input.dataset.datasetHash);
  const version = versionName({
    ...input,
    step: input,
    manifest,
    config,
    datasetHash: input.dataset.datasetHash,
  });
  const current = await findComparable(sql, { input, manifest, version });
  const evaluation = await evaluate(deps, { input, config, manifest, current, progress });
  const known = await findModelVersion(sql, version);
  const gate = known === null ? evaluation.gate : { ...evaluation.gate, ...storedGate(known) };
  const shap = await writeShapRun(deps.artifacts, {
    runId: input.taskRunId,
    version,
    sessionDate: input.sessionDate,
    universe: input.universe,
    explanations: input.explanations,
  });
  const survivorship = await readSurvivorship(sql, { ...input, version: input.universeVersion });
  const row = versionRow({ input, config, manifest, version, evaluation, survivorship });
  await progress.during('store', store(deps, { input, row, evaluation, shap, current }));
  return resultOf({ input, config, version, evaluation, gate, shap, current, survivorship });
}

function requireComplete(input: Input): void {
  const missing = MODELS.flatMap((model) => [
    ...(input.finals.some((final) => final.model === model) ? [] : [`final fit of ${model}`]),
    ...(input.explanations.some((one) => one.model === model) ? [] : [`explanation of ${model}`]),
  ]);
  if (missing.length > 0) throw failure('InvalidInput', `training is not complete: ${missing.join(', ')}`);
}

async function readManifest(sql: Queryable, datasetHash: string): Promise<DatasetManifest> {
  const row = await findDataset(sql, datasetHash);
  if (row === null) throw failure('InvalidInput', `dataset ${datasetHash} is not stored`);
  return parseManifest(row);
}

/** The current version as of S, if it predicts the same thing. */
async function findComparable(
  sql: Queryable,
  context: { input: Input; manifest: DatasetManifest; version: string },
): Promise<StoredModelVersion | null> {
  const { input, manifest, version } = context;
  const current = await findCurrentVersion(sql, {
    universe: input.universe,
    sessionDate: input.sessionDate,
    except: version,
  });
  const comparable =
    current?.labelKind === manifest.labelKind && current.horizonSessions === manifest.horizonSessions;
  return comparable ? current : null;
}

async function evaluate(
  deps: ActivityDeps,
  context: {
    input: Input;
    config: EffectiveConfig;
    manifest: DatasetManifest;
    current: StoredModelVersion | null;
    progress: Progress;
  },
): Promise<TrainingEvaluation> {
  const { input, config, manifest, current, progress } = context;
  const { sql } = deps.db;
  const calendar = await readCalendar(sql, config);
  const panel = await progress.during('bars', readMarketPanel(sql, { ...input, config, calendar }));
  const meta = metaArtifactSchema.parse(await readJson(deps.artifacts, input.meta.metaHash));
  return await runJob(
    'evaluateTraining',
    {
      oof: await namedOof(deps, input.meta.oofHash, manifest),
      panel,
      labelKind: manifest.labelKind,
      metrics: {
        horizonSessions: manifest.horizonSessions,
        replicates: config.model.bootstrapSamples,
        seed: config.model.seed,
      },
      metaUnusable: input.meta.usable ? null : (meta.reason ?? 'the stack is not usable'),
      leakSuspects: meta.leakSuspects.map(({ model }) => model),
      gateModels: input.explanations.map(({ model, explanation }) => ({
        name: model,
        finalFinite: input.finals.some((final) => final.model === model && final.fit.finite),
        additive: explanation.additive,
        additivityMaxError: explanation.additivityMaxError,
        foldsExpected: manifest.blocks.length,
        foldsDone: input.folds.filter((fold) => fold.model === model).length,
      })),
      current: current === null ? null : await currentOof(deps, current),
    },
    { progress },
  );
}

async function namedOof(deps: ActivityDeps, oofHash: string, manifest: DatasetManifest): Promise<NamedOof> {
  const { sessions, symbols } = manifest;
  return { bytes: await deps.artifacts.get(oofHash), sessions, symbols };
}

async function currentOof(deps: ActivityDeps, current: StoredModelVersion): Promise<NamedOof> {
  return await namedOof(deps, current.oofHash, await readManifest(deps.db.sql, current.datasetHash));
}

function storedGate(known: StoredModelVersion): { accepted: boolean; reason: string } {
  const { gate } = known;
  const reason = typeof gate === 'object' && gate !== null && 'reason' in gate ? String(gate.reason) : '';
  return { accepted: known.accepted, reason };
}

function versionRow(context: {
  input: Input;
  config: EffectiveConfig;
  manifest: DatasetManifest;
  version: string;
  evaluation: TrainingEvaluation;
  survivorship: 'biased' | 'unbiased';
}): ModelVersionRow {
  const { input, config, manifest, version, evaluation, survivorship } = context;
  const { seed, threads, device, parameters, meta } = config.model;
  return {
    version,
    sessionDate: input.sessionDate,
    universe: input.universe,
    universeVersion: input.universeVersion,
    featureSetVersion: manifest.featureSetVersion,
    datasetHash: input.dataset.datasetHash,
    codeHash: input.ml.codeHash,
    lockHash: input.ml.lockHash,
    labelKind: manifest.labelKind,
    horizonSessions: manifest.horizonSessions,
    parameters: { ...parameters, meta, device },
    seed,
    threads,
    libraryVersions: input.ml.libraryVersions,
    platform: input.ml.platform,
    models: modelHashes(input.finals),
    survivorship,
    metaHash: input.meta.metaHash,
    oofHash: input.meta.oofHash,
    verdicts: Object.fromEntries(evaluation.clean.models.map(({ name, verdict }) => [name, verdict])),
    gate: evaluation.gate,
    accepted: evaluation.gate.accepted,
    createdByRun: input.taskRunId,
  };
}

async function store(
  deps: ActivityDeps,
  context: {
    input: Input;
    row: ModelVersionRow;
    evaluation: TrainingEvaluation;
    shap: ShapRun;
    current: StoredModelVersion | null;
  },
): Promise<void> {
  const { input, row, evaluation, shap, current } = context;
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, input.fence);
    await lockCurrentVersion(tx, row.universe);
    await insertFoldFits(tx, fitRows(input, row));
    const isNew = await insertModelVersion(tx, row);
    if (!isNew) return;
    await insertModelMetrics(tx, metricRows(row, evaluation));
    await insertShapRows(tx, shapRows(input, { version: row.version, shap }));
    if (!row.accepted) return;
    const now = await findComparable(tx, {
      input,
      manifest: await readManifest(tx, row.datasetHash),
      version: row.version,
    });
    // Somebody promoted meanwhile: the comparison was with another version, so it is made again.
    if (now?.version !== current?.version) throw new Error('the current version changed, judging again');
    await promoteByGate(tx, { ...row, why: evaluation.gate.reason });
  });
}

function fitRows(input: Input, row: ModelVersionRow): FoldFitRow[] {
  const { seed, threads, datasetHash } = row;
  const parametersOf = (model: string): unknown => (row.parameters as Record<string, unknown>)[model] ?? {};
  const folds = input.folds.map(
    ({ model, blockIndex, fit }): FoldFitRow => ({
      foldKey: fit.foldKey,
      kind: 'fold',
      model,
      datasetHash,
      blockIndex,
      modelHash: fit.modelHash,
      predictionsHash: fit.predictionsHash,
      parameters: parametersOf(model),
      seed,
      threads,
      trainRows: fit.trainRows,
      testRows: fit.testRows,
      trees: fit.trees,
      fitSeconds: fit.fitSeconds,
      cpuSeconds: fit.cpuSeconds,
    }),
  );
  const finals = input.finals.map(
    ({ model, fit }): FoldFitRow => ({
      foldKey: fit.fitKey,
      kind: 'final',
      model,
      datasetHash,
      blockIndex: -1,
      modelHash: fit.modelHash,
      predictionsHash: null,
      parameters: parametersOf(model),
      seed,
      threads,
      trainRows: fit.trainRows,
      testRows: null,
      trees: fit.trees,
      fitSeconds: fit.fitSeconds,
      cpuSeconds: fit.cpuSeconds,
    }),
  );
  return [...folds, ...finals];
}

function shapRows(input: Input, { version, shap }: { version: string; shap: ShapRun }): ShapRow[] {
  return input.explanations.map(({ model, explanation }) => {
    const artifact = shap.artifacts.find((one) => one.model === model);
    return {
      taskRunId: input.taskRunId,
      version,
      model,
      shapHash: explanation.shapHash,
      space: explanation.space,
      additive: explanation.additive,
      additivityMaxError: explanation.additivityMaxError,
      top10: artifact?.top10 ?? [],
      top20: artifact?.top20 ?? [],
    };
  });
}

function resultOf(context: {
  input: Input;
  config: EffectiveConfig;
  version: string;
  evaluation: TrainingEvaluation;
  gate: { accepted: boolean; reason: string };
  shap: ShapRun;
  current: StoredModelVersion | null;
  survivorship: 'biased' | 'unbiased';
}): TaskResult {
  const { input, config, version, evaluation, gate, shap, survivorship } = context;
  const { folds, finals, dataset } = input;
  const fitted = [...folds, ...finals].filter(({ fit }) => !fit.fitReused);
  const meta = evaluation.clean.models.find(({ name }) => name === 'meta');
  return {
    modelVersion: version,
    accepted: gate.accepted,
    gateReason: gate.reason,
    comparedWith: context.current?.version ?? null,
    verdict: meta?.verdict.verdict ?? 'no_edge',
    verdictInWords: meta?.verdict.words ?? 'No edge: there is no stack.',
    smallestDetectableIc: meta?.verdict.smallestDetectableIc ?? null,
    models: modelReports({
      version,
      ...evaluation,
      modelHashes: modelHashes(finals),
      explanations: shap.artifacts,
    }),
    datasetHash: dataset.datasetHash,
    datasetReused: dataset.reused,
    rows: dataset.rows,
    features: dataset.features,
    symbols: dataset.symbols,
    sessions: dataset.sessions,
    blocks: dataset.blocks.length,
    outOfFoldRows: input.meta.rows,
    trees: Object.fromEntries(finals.map(({ model, fit }) => [model, fit.trees])),
    foldsFitted: folds.filter(({ fit }) => !fit.fitReused).length,
    foldsReused: folds.filter(({ fit }) => fit.fitReused).length,
    finalsFitted: finals.filter(({ fit }) => !fit.fitReused).length,
    finalsReused: finals.filter(({ fit }) => fit.fitReused).length,
    fitCpuSeconds: round(fitted.reduce((sum, { fit }) => sum + fit.cpuSeconds, 0)),
    fitSeconds: round(fitted.reduce((sum, { fit }) => sum + fit.fitSeconds, 0)),
    metaUsable: input.meta.usable,
    metaSlope: input.meta.slope,
    shapFile: shap.file,
    seed: config.model.seed,
    threads: config.model.threads,
    labelKind: config.model.labelKind,
    horizonSessions: config.model.horizonSessions,
    survivorship,
  };
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
