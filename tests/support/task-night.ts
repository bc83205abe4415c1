import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { createIngestionActivities } from '../../src/activities/ingestion/activities.ts';
import { createScanActivities } from '../../src/activities/scan/activities.ts';
import { createTrainingActivities } from '../../src/activities/training/activities.ts';
import type {
  FitPlan,
  FoldResult,
  MetaFit,
  MlActivities,
  TaskResult,
  TaskStep,
} from '../../src/contracts/activities.ts';
import { insertUniverseList } from '../../src/db/queries/universes.ts';
import { universeVersionOf } from '../../src/domain/universe.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { createProviderChain } from '../../src/providers/chain.ts';
import { readUniverse } from '../../src/providers/universe-file.ts';
import { sharedArchive } from './sample-archive.ts';
import { runActivity, type TaskRig } from './task-rig.ts';

const SAMPLE = join(projectRoot, 'data', 'sample');

/** What `registerTraining` is given. */
export type Trained = Awaited<ReturnType<TaskNight['trained']>>;

/** The steps of a night's tasks in the order of their workflows, on a rig and the real model jobs. */
export class TaskNight {
  readonly rig: TaskRig;
  readonly ml: MlActivities;

  constructor(rig: TaskRig, ml: MlActivities) {
    this.rig = rig;
    this.ml = ml;
  }

  /** Brings the bundled data of a session in; returns the universe's version. */
  async ingest(sessionDate: string): Promise<string> {
    const { rig } = this;
    const definition = await readUniverse({
      nameOrFile: rig.config.universe,
      bundledFolder: join(SAMPLE, 'universes'),
    });
    const universeVersion = universeVersionOf(definition.symbols);
    await insertUniverseList(rig.db('pipeline').sql, {
      universe: definition.name,
      version: universeVersion,
      members: [...definition.symbols],
      survivorship: definition.survivorship,
    });
    const provider = createProviderChain({ providers: [sharedArchive(SAMPLE)] });
    const ingestion = createIngestionActivities({
      db: rig.db('ingest'),
      provider: () => provider,
      sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
      readUniverse: async () => definition,
      clock: () => rig.now,
    });
    const step = await rig.begin({ task: 'ingestion', sessionDate, universeVersion });
    const { result: plan } = await runActivity(ingestion, 'planIngestion', step);
    for (const batch of plan.batches) await runActivity(ingestion, 'ingestBatch', { ...step, batch });
    const { result } = await runActivity(ingestion, 'finishIngestion', step);
    await rig.finish(step, result);
    return universeVersion;
  }

  async fits(step: TaskStep): Promise<{ plan: FitPlan; folds: FoldResult[]; meta: MetaFit }> {
    const training = createTrainingActivities(this.rig.deps());
    const { result: plan } = await runActivity(training, 'planFits', step);
    const folds: FoldResult[] = [];
    for (const job of plan.folds) {
      folds.push({ model: job.model, blockIndex: job.blockIndex, fit: await this.ml.fitFold(job) });
    }
    const meta = await this.ml.fitMeta({
      datasetHash: plan.dataset.datasetHash,
      folds: folds.map(({ model, blockIndex, fit }) => ({
        model,
        blockIndex,
        predictionsHash: fit.predictionsHash,
      })),
      ...plan.meta,
    });
    return { plan, folds, meta };
  }

  /** What `registerTraining` is given at the end of training. */
  async trained(step: TaskStep) {
    const { plan, folds, meta } = await this.fits(step);
    const finals = [];
    for (const job of plan.finals) finals.push({ model: job.model, fit: await this.ml.fitFinal(job) });
    const newest = Math.max(...plan.dataset.blocks);
    const explanations = [];
    for (const { model, blockIndex, fit } of folds.filter((fold) => fold.blockIndex === newest)) {
      const { seed, threads } = plan.meta;
      const explanation = await this.ml.explainModel({
        datasetHash: plan.dataset.datasetHash,
        model,
        modelHash: fit.modelHash,
        blockIndex,
        seed,
        threads,
        device: 'cpu',
      });
      explanations.push({ model, explanation });
    }
    const about = await this.ml.mlInfo({});
    return { ...step, dataset: plan.dataset, folds, finals, meta, explanations, ml: about };
  }

  /** Training; `change` spoils what is registered, `configHash` names other settings than the rig's. */
  async train(
    sessionDate: string,
    universeVersion: string,
    options: { change?: (given: Trained) => Trained; configHash?: string } = {},
  ): Promise<TaskResult> {
    const { change = (given) => given, configHash = this.rig.configHash } = options;
    const begun = await this.rig.begin({ task: 'training', sessionDate, universeVersion });
    const step = { ...begun, configHash };
    const training = createTrainingActivities(this.rig.deps());
    const { result } = await runActivity(training, 'registerTraining', change(await this.trained(step)));
    await this.rig.finish(step, result);
    return result;
  }

  /** The backtest task as its workflow runs it. */
  async backtest(sessionDate: string, universeVersion: string): Promise<TaskResult> {
    const step = await this.rig.begin({ task: 'backtest', sessionDate, universeVersion });
    const { plan, folds, meta } = await this.fits(step);
    const backtests = createBacktestActivities(this.rig.deps());
    const { result: matured } = await runActivity(backtests, 'maturePredictions', step);
    const { dataset } = plan;
    const given = { ...step, dataset, folds, meta, matured };
    const { result } = await runActivity(backtests, 'runBacktest', given);
    await this.rig.finish(step, result);
    return result;
  }

  async scan(sessionDate: string, universeVersion: string): Promise<TaskResult> {
    const step = await this.rig.begin({ task: 'overnightScan', sessionDate, universeVersion });
    const scan = createScanActivities(this.rig.deps());
    const { result: plan } = await runActivity(scan, 'planScan', step);
    const { models, metaHash, seed } = plan;
    const { datasetHash } = plan.dataset;
    const { predictionsHash } = await this.ml.score({ datasetHash, models, metaHash });
    const { result: chosen } = await runActivity(scan, 'selectSignals', { ...step, plan, predictionsHash });
    const { symbolIndexes } = chosen;
    const reasons =
      symbolIndexes.length === 0
        ? null
        : await this.ml.explainSignals({ datasetHash, models, metaHash, symbolIndexes, seed });
    const { result } = await runActivity(scan, 'writeSignals', {
      ...step,
      plan,
      predictionsHash,
      reasonsHash: reasons?.reasonsHash ?? null,
    });
    await this.rig.finish(step, result);
    return result;
  }
}
