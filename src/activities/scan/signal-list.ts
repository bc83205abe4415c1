import { z } from 'zod';
import type { ScanPlan, TaskStep } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import { findDataset, findModelVersion, type StoredModelVersion } from '../../db/queries/training.ts';
import { edgeHistory, makeSignals, type SignalList } from '../../domain/signals.ts';
import type { NotScored } from '../compute/build-dataset.ts';
import { readRunConfig } from '../config.ts';
import { parseManifest } from '../datasets/ensure-dataset.ts';
import { readOofTable, readScoreTable, type ScoreTable } from '../datasets/tables.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';

export type ScanState = {
  config: EffectiveConfig;
  version: StoredModelVersion;
  manifest: DatasetManifest;
  scores: ScoreTable;
  baseRate: number;
  verdict: 'edge' | 'no_edge';
  list: SignalList;
};

const verdictsSchema = z.looseObject({ meta: z.looseObject({ verdict: z.enum(['edge', 'no_edge']) }) });
const coverageSchema = z.looseObject({
  notScored: z.array(z.object({ symbol: z.string(), reason: z.string() })),
});

/** The ranked list of S from the table of scores: the same for choosing who needs reasons and for writing. */
export async function readSignalList(
  deps: ActivityDeps,
  input: TaskStep & { plan: ScanPlan; predictionsHash: string },
): Promise<ScanState> {
  const { sql } = deps.db;
  const { plan } = input;
  const config = await readRunConfig(sql, input);
  const version = await findModelVersion(sql, plan.modelVersion);
  const dataset = await findDataset(sql, plan.dataset.datasetHash);
  if (version === null) throw failure('InvalidInput', `model version ${plan.modelVersion} is not stored`);
  if (dataset === null) {
    throw failure('InvalidInput', `dataset ${plan.dataset.datasetHash} is not stored`);
  }
  const manifest = parseManifest(dataset);
  const scores = await readScoreTable(await deps.artifacts.get(input.predictionsHash));
  const oof = await readOofTable(await deps.artifacts.get(version.oofHash));
  const baseRate = scores.baseRate[0];
  if (baseRate === undefined) throw failure('DataDefect', `nothing was scored for ${input.sessionDate}`);
  const verdict = verdictOf(version);
  const list = makeSignals({
    rows: Array.from(scores.symbol, (symbol, row) => ({
      symbol: manifest.symbols[symbol] ?? `#${symbol}`,
      probability: scores.probabilities.meta[row] ?? Number.NaN,
      tieBreak: scores.probabilities.meanLogit[row] ?? 0,
    })),
    notScored: notScoredOf({ manifest, scores, known: coverageSchema.parse(dataset.coverage).notScored }),
    baseRate,
    labelKind: version.labelKind === 'direction' ? 'direction' : 'excess',
    verdict,
    quantile: config.signal.quantile,
    minEdge: config.signal.minEdge,
    history: edgeHistory(oof.probabilities.meta, oof.panel.baseRate),
  });
  return { config, version, manifest, scores, baseRate, verdict, list };
}

function verdictOf(version: StoredModelVersion): 'edge' | 'no_edge' {
  const parsed = verdictsSchema.safeParse(version.verdicts);
  return parsed.success ? parsed.data.meta.verdict : 'no_edge';
}

/** Members without a score, each with the reason the dataset gives. */
function notScoredOf(input: {
  manifest: DatasetManifest;
  scores: ScoreTable;
  known: readonly NotScored[];
}): NotScored[] {
  const scored = new Set(input.scores.symbol);
  const reasons = new Map(input.known.map(({ symbol, reason }) => [symbol, reason]));
  return input.manifest.symbols.flatMap((symbol, index) =>
    scored.has(index) ? [] : [{ symbol, reason: reasons.get(symbol) ?? 'the model gave no score' }],
  );
}
