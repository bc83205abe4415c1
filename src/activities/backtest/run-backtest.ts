import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { BacktestActivities, TaskResult } from '../../contracts/activities.ts';
import { canonicalJson, type EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { Queryable } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import {
  insertBacktestMetrics,
  insertBacktestRun,
  insertEquityCurves,
  readBacktestInstant,
  readIssuedTrack,
  readTrialKeys,
  readTrialReturns,
} from '../../db/queries/backtests.ts';
import { type HoldoutOpening, insertHoldoutOpening } from '../../db/queries/holdouts.ts';
import { readInstruments } from '../../db/queries/reference.ts';
import { findDataset } from '../../db/queries/training.ts';
import type { EarlierTrial } from '../../domain/backtest/overfitting.ts';
import type { Performance } from '../../domain/backtest/performance.ts';
import type { BacktestModel } from '../../domain/backtest/report.ts';
import { runJob } from '../compute/run-job.ts';
import { readRunConfig } from '../config.ts';
import { parseManifest } from '../datasets/ensure-dataset.ts';
import { hashPanel, type MarketPanel, readCalendar, readMarketPanel } from '../datasets/market-panel.ts';
import { SCORED } from '../datasets/tables.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';
import { currentProgress } from '../progress.ts';
import { readJson } from '../training/shap-run.ts';
import { earlierTrials } from './earlier-trials.ts';
import { exposureResult } from './exposure-result.ts';
import {
  holdoutResult,
  type NightHoldouts,
  openingRows,
  readHoldouts,
  withoutClosedQuarters,
} from './holdout.ts';
import { equityRows, metricRows } from './metric-rows.ts';
import { trackColumns } from './track.ts';
import type { TrackColumns, WalkForward } from './walk-forward.ts';

/** What the stack was made with: another code or lock may find another result, and so is another trial. */
const metaCodeSchema = z.object({ codeHash: z.string(), lockHash: z.string() });

type Input = Parameters<BacktestActivities['runBacktest']>[0];

/** Raise it when the walk-forward computes something else from the same input: its results are then stored anew. */
const BACKTEST_CODE_VERSION = 3;

/**
 * Walks forward over the out-of-fold predictions with costs, for every model and both ways to combine them, and
 * stores metrics and equity curves under the hash of all that went in: the same backtest is stored once.
 */
export async function runBacktest(deps: ActivityDeps, input: Input): Promise<TaskResult> {
  const progress = currentProgress();
  const { sql } = deps.db;
  const config = await readRunConfig(sql, input);
  const manifest = await readManifest(sql, input.dataset.datasetHash);
  const calendar = await readCalendar(sql, config);
  const panel = await progress.during('bars', readMarketPanel(sql, { ...input, config, calendar }));
  requireSameAxes(panel, manifest);
  const sectorOfSymbol = await sectorsOf(sql, panel.symbols);
  const code = metaCodeSchema.parse(await readJson(deps.artifacts, input.meta.metaHash));
  const variant = { ...variantOf(config, manifest), ...code };
  const trialKey = sha256(canonicalJson(variant));
  const knownAt = await readBacktestInstant(sql, { ...input, trialKey });
  const asOf = { throughSession: input.sessionDate, writtenThrough: knownAt };
  const holdouts = await readHoldouts(sql, { ...input, ...asOf, calendar });
  const issued = await readIssuedTrack(sql, { ...manifest, ...asOf });
  const track = trackColumns(withoutClosedQuarters(issued, holdouts), manifest.labelKind);
  const { universe } = input;
  const trialCount = await countTrials(sql, { universe, trialKey, ...asOf });
  const earlier = earlierTrials(
    await readTrialReturns(sql, { universe, ...asOf, exceptTrial: trialKey, series: SCORED }),
  );
  const walked = await runJob(
    'walkForward',
    {
      oof: await progress.during('predictions', deps.artifacts.get(input.meta.oofHash)),
      panel,
      sectorOfSymbol,
      labelKind: manifest.labelKind,
      horizonSessions: manifest.horizonSessions,
      quantile: config.signal.quantile,
      costs: config.backtest,
      trialCount,
      earlierTrials: earlier,
      seed: config.model.seed,
      replicates: config.model.bootstrapSamples,
      metaUnusable: input.meta.usable ? null : `the stack's calibration slope is ${input.meta.slope}`,
      track,
      holdouts: holdouts.due,
    },
    { progress },
  );
  const parameters = { ...variant, trialKey, trialCount, codeVersion: BACKTEST_CODE_VERSION };
  const backtestId = sha256(
    canonicalJson({
      parameters,
      sessionDate: input.sessionDate,
      universe: input.universe,
      datasetHash: input.dataset.datasetHash,
      oofHash: input.meta.oofHash,
      metaHash: input.meta.metaHash,
      panel: hashPanel(panel),
      sectors: sectorOfSymbol,
      track: hashTrack(track),
      earlierTrials: hashEarlier(earlier),
    }),
  );
  const openings = openingRows(holdouts.due, {
    judged: walked.holdouts,
    night: input,
    trials: await countTrials(sql, { universe, trialKey, ...EVER }),
  });
  const result = resultOf({ backtestId, input, walked, holdouts, openings });
  await progress.during(
    'store',
    store(deps, { backtestId, knownAt, input, manifest, parameters, walked, result, openings }),
  );
  return result;
}

/** An opening is told once: it counts every trial there has been by then. */
const EVER = { throughSession: 'infinity', writtenThrough: 'infinity' };

/** Variants tried for a universe, this one included, times the scores of each. */
async function countTrials(
  sql: Queryable,
  { trialKey, ...asOf }: Parameters<typeof readTrialKeys>[1] & { trialKey: string },
): Promise<number> {
  return new Set([...(await readTrialKeys(sql, asOf)), trialKey]).size * SCORED.length;
}

async function readManifest(sql: Queryable, datasetHash: string): Promise<DatasetManifest> {
  const row = await findDataset(sql, datasetHash);
  if (row === null) throw failure('InvalidInput', `dataset ${datasetHash} is not stored`);
  return parseManifest(row);
}

/** The indices of the out-of-fold rows are those of the dataset: prices must lie on the same axes. */
function requireSameAxes(panel: MarketPanel, manifest: DatasetManifest): void {
  const isSame =
    panel.sessions.join() === manifest.sessions.join() && panel.symbols.join() === manifest.symbols.join();
  if (isSame) return;
  throw failure(
    'DataDefect',
    `bars of ${manifest.universe} cover other sessions or symbols than the dataset of ${manifest.sessionDate}: ` +
      'they changed since it was built',
  );
}

async function sectorsOf(sql: Queryable, symbols: readonly string[]): Promise<string[]> {
  const instruments = await readInstruments(sql, symbols);
  return symbols.map((symbol) => instruments.get(symbol)?.sector ?? 'unknown');
}

/** What makes one backtest a trial of its own beside the models' code: settings, not the night. */
function variantOf(config: EffectiveConfig, manifest: DatasetManifest) {
  const { labelKind, horizonSessions, blocks, blockMonths, trainWindowSessions, minTrainSessions } =
    config.model;
  const { parameters, meta, seed, threads, bootstrapSamples } = config.model;
  return {
    labelKind,
    horizonSessions,
    blocks,
    blockMonths,
    trainWindowSessions,
    minTrainSessions,
    models: parameters,
    meta,
    seed,
    threads,
    bootstrapSamples,
    featureSetVersion: manifest.featureSetVersion,
    quantile: config.signal.quantile,
    ...config.backtest,
  };
}

function hashTrack(track: readonly TrackColumns[]): string {
  const hash = createHash('sha256');
  for (const { bucket, panel, probabilities } of track) {
    hash.update(bucket);
    for (const column of [...Object.values(panel), ...Object.values(probabilities)]) {
      hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
    }
  }
  return hash.digest('hex');
}

function hashEarlier(trials: readonly EarlierTrial[]): string {
  const hash = createHash('sha256');
  for (const { trial, series } of trials) {
    for (const { name, sessions, net } of series) {
      hash.update(canonicalJson([trial, name, sessions]));
      hash.update(new Uint8Array(net.buffer, net.byteOffset, net.byteLength));
    }
  }
  return hash.digest('hex');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function resultOf(context: {
  backtestId: string;
  input: Input;
  walked: WalkForward;
  holdouts: NightHoldouts;
  openings: readonly HoldoutOpening[];
}): TaskResult {
  const { backtestId, input, walked, holdouts, openings } = context;
  const { report, withFlagged, track } = walked;
  return {
    backtestId,
    models: report.models.map((model) => ({
      ...modelResult(model),
      netReturnWithFlagged: netOf(withFlagged.find(({ name }) => name === model.name)?.performance),
    })),
    benchmarks: report.benchmarks.map(({ name, words, holdsOvernight, totalReturn }) => ({
      name,
      words,
      holdsOvernight,
      totalReturn,
    })),
    matured: input.matured.matured,
    pending: input.matured.pending,
    trackSessions: Object.fromEntries(
      track.filter(({ name }) => name === 'meta').map(({ bucket, metrics }) => [bucket, metrics.sessions]),
    ),
    sessions: report.models.reduce((most, model) => Math.max(most, model.performance.sessions), 0),
    firstSession: report.firstSession,
    lastSession: report.lastSession,
    horizonSessions: report.horizonSessions,
    quantile: report.quantile,
    costBpsPerSide: report.costBpsPerSide,
    borrowBpsPerYear: report.borrowBpsPerYear,
    trials: report.trials.count,
    overfitting: report.overfitting,
    holdout: holdoutResult(input, holdouts, openings),
    survivorship: report.survivorship,
    notes: report.notes,
    leftOutDoubtful: walked.leftOut,
    datasetHash: input.dataset.datasetHash,
    foldsReused: input.folds.filter(({ fit }) => fit.fitReused).length,
    foldsFitted: input.folds.filter(({ fit }) => !fit.fitReused).length,
  };
}

function netOf(performance: Performance | undefined): number | null {
  return performance === undefined || performance.sessions === 0 ? null : performance.totalNet;
}

/** A model without a traded session (the stack before its third block) has no returns, not returns of zero. */
function modelResult({ name, evaluation, performance, fills, closedLate, exposure }: BacktestModel) {
  const traded = performance.sessions > 0;
  return {
    model: name,
    verdict: evaluation?.verdict.verdict ?? null,
    grossReturn: traded ? performance.totalGross : null,
    netReturn: traded ? performance.totalNet : null,
    sharpe: performance.sharpe.value,
    sharpeLow: performance.sharpe.low,
    sharpeHigh: performance.sharpe.high,
    deflatedSharpe: performance.deflatedSharpe,
    turnover: performance.turnoverPerSession,
    grossExposure: performance.meanGrossExposure,
    maxDrawdown: traded ? performance.drawdown.depth : null,
    breakEvenCostBps: performance.breakEvenCostBps,
    sessions: performance.sessions,
    notFilled: fills.missing_entry + fills.missing_exit,
    closedLate: closedLate.trades,
    netReturnClosedLate: traded ? closedLate.totalNet : null,
    topDecileExposure: exposureResult(exposure),
  };
}

async function store(
  deps: ActivityDeps,
  context: {
    backtestId: string;
    knownAt: string;
    input: Input;
    manifest: DatasetManifest;
    parameters: unknown;
    walked: WalkForward;
    result: TaskResult;
    openings: readonly HoldoutOpening[];
  },
): Promise<void> {
  const { backtestId, knownAt, input, manifest, parameters, walked, result, openings } = context;
  const { taskRunId, sessionDate, universe, universeVersion } = input;
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, input.fence);
    await insertBacktestRun(tx, {
      backtestId,
      taskRunId,
      sessionDate,
      universe,
      universeVersion,
      featureSetVersion: manifest.featureSetVersion,
      datasetHash: input.dataset.datasetHash,
      oofHash: input.meta.oofHash,
      metaHash: input.meta.metaHash,
      survivorship: walked.report.survivorship,
      parameters,
      summary: { ...result, trialVariance: walked.report.trials.sharpeVariance ?? null },
      // Whoever runs it again reads no further than its first run.
      knownAt,
    });
    await insertBacktestMetrics(tx, { backtestId, metrics: metricRows(walked) });
    await insertEquityCurves(tx, { backtestId, points: equityRows(walked.report) });
    for (const opening of openings) await insertHoldoutOpening(tx, opening);
  });
}
