import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDataset } from '../../src/activities/compute/build-dataset.ts';
import { evaluateTraining, type TrainingEvaluation } from '../../src/activities/compute/evaluate-training.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import type { MetaFit } from '../../src/contracts/activities.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { manifestBytes } from '../../src/domain/dataset.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { syntheticPanel } from '../support/synthetic-panel.ts';

const SEED = 20_180_207;
const THREADS = 2;
const PARAMETERS = {
  lightgbm: { trees: 25, leaves: 7, minRowsPerLeaf: 100 },
  xgboost: { trees: 25, depth: 3, minRowsPerLeaf: 100 },
  catboost: { trees: 25, depth: 3 },
  histGradientBoosting: { trees: 25, leaves: 7, minRowsPerLeaf: 100 },
  randomForest: { trees: 20, depth: 5, minRowsPerLeaf: 100 },
  extraTrees: { trees: 20, depth: 5, minRowsPerLeaf: 100 },
  logisticRegression: { maxIterations: 50 },
  mlp: { hiddenLayers: [8], epochs: 4 },
};

let folder: string;
let artifacts: ArtifactStore;
let ml: MlBridge;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-edge-'));
  artifacts = createArtifactStore(pathToFileURL(folder).href);
  ml = startMlBridge(artifacts.url);
});
afterAll(async () => {
  await ml.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Bars to verdict as a night goes: features, labels, blocks, 40 fits, the stack out of fold, metrics, verdicts. */
async function judge(momentum: number): Promise<{ meta: MetaFit; clean: TrainingEvaluation['clean'] }> {
  const panel = syntheticPanel({ seed: 5, symbols: 24, sessions: 460, lastSession: '2018-02-07', momentum });
  const settings = {
    labelKind: 'excess',
    horizonSessions: 1,
    blocks: 5,
    blockMonths: 3,
    minTrainSessions: 150,
    trainWindowSessions: 756,
  } as const;
  const silent = (): void => undefined;
  const built = await buildDataset(
    { panel, universe: 'synthetic', universeVersion: 'one', settings },
    silent,
  );
  const { hash: parquetHash } = await artifacts.put(built.parquet);
  const { hash: datasetHash } = await artifacts.put(manifestBytes(built.manifest, parquetHash));
  const folds = [];
  for (const { index: blockIndex } of built.manifest.blocks) {
    for (const model of MODELS) {
      const parameters = PARAMETERS[model];
      const fit = await ml.fitFold({
        datasetHash,
        model,
        blockIndex,
        parameters,
        seed: SEED,
        threads: THREADS,
        device: 'cpu',
      });
      folds.push({ model, blockIndex, predictionsHash: fit.predictionsHash });
    }
  }
  const meta = await ml.fitMeta({
    datasetHash,
    folds,
    seed: SEED,
    threads: THREADS,
    parameters: { ridgeC: 1 },
  });
  const { sessions, symbols } = built.manifest;
  const evaluation = await evaluateTraining(
    {
      oof: { bytes: await artifacts.get(meta.oofHash), sessions, symbols },
      panel,
      labelKind: 'excess',
      metrics: { horizonSessions: 1, replicates: 500, seed: SEED },
      metaUnusable: meta.usable ? null : 'the slope of the stack is not above zero',
      leakSuspects: [],
      gateModels: [],
      current: null,
    },
    silent,
  );
  return { meta, clean: evaluation.clean };
}

/** Pinned: a change beyond what another CPU may do must be explained by whoever makes it. */
type Pinned = { verdict: 'edge' | 'no_edge'; auc: number; ic: number | null; gain: number };

function expectPinned(clean: TrainingEvaluation['clean'], pinned: Record<string, Pinned>): void {
  expect(clean.models.map(({ name }) => name)).toEqual(Object.keys(pinned));
  for (const { name, verdict, metrics } of clean.models) {
    const { auc, ic, gain, verdict: expected } = pinned[name] as Pinned;
    expect([name, verdict.verdict, verdict.leakSuspected]).toEqual([name, expected, false]);
    // Five quarters have 288 sessions, the last of them without an outcome; the stack starts with the third.
    const [rows, sessions] = name === 'meta' ? [3768, 157] : [6888, 287];
    expect([name, metrics.rows, metrics.sessions]).toEqual([name, rows, sessions]);
    expect(metrics.aucPooled.value, name).toBeCloseTo(auc, 2);
    expect(metrics.logLossGain.value, name).toBeCloseTo(gain, 3);
    if (ic === null) expect(metrics.ic.value, name).toBeNull();
    else expect(metrics.ic.value, name).toBeCloseTo(ic, 2);
  }
}

describe('eight real models and their stack on a market of 24 symbols', () => {
  it('without an edge find none, and the stack says itself that it must not be used', async () => {
    const { meta, clean } = await judge(0);
    expectPinned(clean, {
      lightgbm: { verdict: 'no_edge', auc: 0.491, ic: -0.013, gain: -0.0016 },
      xgboost: { verdict: 'no_edge', auc: 0.492, ic: -0.01, gain: -0.0012 },
      catboost: { verdict: 'no_edge', auc: 0.501, ic: 0.005, gain: -0.0001 },
      histGradientBoosting: { verdict: 'no_edge', auc: 0.496, ic: 0.002, gain: -0.0012 },
      randomForest: { verdict: 'no_edge', auc: 0.507, ic: 0.014, gain: -0.0012 },
      extraTrees: { verdict: 'no_edge', auc: 0.504, ic: 0.009, gain: -0.0001 },
      logisticRegression: { verdict: 'no_edge', auc: 0.504, ic: 0.004, gain: -0.0033 },
      mlp: { verdict: 'no_edge', auc: 0.489, ic: -0.013, gain: -0.0382 },
      meta: { verdict: 'no_edge', auc: 0.5, ic: null, gain: 0 },
    });
    for (const { verdict } of clean.models) expect(verdict.words).toMatch(/^No edge, because /);
    expect(meta.usable).toBe(false);
    expect(meta.slope).toBeLessThan(0);
  });

  it('with a planted one find it, and call it no leak', async () => {
    const { meta, clean } = await judge(0.2);
    expectPinned(clean, {
      lightgbm: { verdict: 'edge', auc: 0.56, ic: 0.14, gain: 0.0059 },
      xgboost: { verdict: 'edge', auc: 0.56, ic: 0.142, gain: 0.0058 },
      catboost: { verdict: 'edge', auc: 0.567, ic: 0.149, gain: 0.006 },
      histGradientBoosting: { verdict: 'edge', auc: 0.558, ic: 0.139, gain: 0.0054 },
      randomForest: { verdict: 'edge', auc: 0.555, ic: 0.127, gain: 0.0047 },
      extraTrees: { verdict: 'edge', auc: 0.565, ic: 0.146, gain: 0.0057 },
      logisticRegression: { verdict: 'edge', auc: 0.561, ic: 0.134, gain: 0.0049 },
      // It ranks, but four epochs leave it far too sure of itself: its log loss is worse than the base rate's.
      mlp: { verdict: 'no_edge', auc: 0.528, ic: 0.059, gain: -0.0254 },
      meta: { verdict: 'edge', auc: 0.567, ic: 0.156, gain: 0.0073 },
    });
    expect(meta).toMatchObject({ usable: true, blocksWithMeta: 3 });
    expect(clean.models.at(-1)?.verdict.words).toMatch(/^Edge: the IC is 0\.1/);
  });
});
