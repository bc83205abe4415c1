import { runBacktest, type BacktestReport } from '../../domain/backtest/report.ts';
import { judgeHoldouts, type HoldoutFigures, type HoldoutRows } from '../../domain/backtest/holdout.ts';
import type { EarlierTrial } from '../../domain/backtest/overfitting.ts';
import { summarise, type Performance } from '../../domain/backtest/performance.ts';
import { planLongShort } from '../../domain/backtest/plan.ts';
import { simulate, type TradingCosts } from '../../domain/backtest/simulate.ts';
import type { LabelKind } from '../../domain/labels.ts';
import {
  evaluatePredictions,
  type MetricOptions,
  type ProbabilityMetrics,
} from '../../domain/metrics/evaluate.ts';
import type { OofPanel } from '../../domain/metrics/panel.ts';
import { bootstrapBlockLength } from '../../domain/statistics/bootstrap.ts';
import { labelsWithFlagged, withOutcomes } from '../compute/outcomes.ts';
import type { Report } from '../compute/protocol.ts';
import { type MarketPanel, maskPanel } from '../datasets/market-panel.ts';
import { type OofTable, readOofTable, SCORED } from '../datasets/tables.ts';
import { characteristicsOf, priceGrid } from './characteristics.ts';
import { countLeftOut, type LeftOut, leftOutInWords } from './left-out.ts';

/** Stored predictions with outcomes as columns; sessions and symbols are positions of this table only. */
export type TrackColumns = {
  bucket: 'live' | 'simulated';
  panel: OofPanel;
  probabilities: Record<string, Float64Array>;
};

export type WalkForwardInput = {
  /** The out-of-fold Parquet file. */
  oof: Uint8Array;
  /** Of the same night: its indices are those of the file. */
  panel: MarketPanel;
  sectorOfSymbol: string[];
  labelKind: LabelKind;
  horizonSessions: number;
  quantile: number;
  costs: TradingCosts;
  trialCount: number;
  earlierTrials: EarlierTrial[];
  seed: number;
  replicates: number;
  /** Why the meta-learner must not be used; null when it may. */
  metaUnusable: string | null;
  track: TrackColumns[];
  /** Quarters of live predictions that this night opens. */
  holdouts: { quarter: string; rows: HoldoutRows; horizonSessions: number }[];
};

/** The same predictions against outcomes and fills that count doubtful bars. */
export type FlaggedModel = { name: string; metrics: ProbabilityMetrics; performance: Performance };
export type TrackModel = { bucket: string; name: string; metrics: ProbabilityMetrics };
export type WalkForward = {
  report: BacktestReport;
  withFlagged: FlaggedModel[];
  track: TrackModel[];
  leftOut: LeftOut[];
  holdouts: { quarter: string; figures: HoldoutFigures }[];
};

/** The walk-forward of one night, clean and with doubtful bars, beside the track record; a job for a thread. */
export async function walkForward(input: WalkForwardInput, report: Report): Promise<WalkForward> {
  report('read', 0, 4);
  const oof = await readOofTable(input.oof);
  const masked = maskPanel(input.panel);
  const { meanLogit, ...models } = oof.probabilities;
  report('walk-forward', 1, 4);
  const backtest = runBacktest({
    panel: oof.panel,
    models,
    meanLogit,
    majorityClass: oof.majorityClass,
    yesterdaySign: oof.yesterdaySign,
    ...(input.metaUnusable === null ? {} : { unusable: { meta: input.metaUnusable } }),
    sessions: input.panel.sessions,
    sectorOfSymbol: input.sectorOfSymbol,
    prices: priceGrid(masked),
    characteristics: characteristicsOf(masked, oof.panel),
    horizonSessions: input.horizonSessions,
    quantile: input.quantile,
    costs: input.costs,
    trialCount: input.trialCount,
    earlierTrials: input.earlierTrials,
    seed: input.seed,
    replicates: input.replicates,
    // A list of unknown origin is taken for today's.
    survivorship: input.panel.survivorship === 'unbiased' ? 'unbiased' : 'biased',
  });
  report('with doubtful bars', 2, 4);
  const withFlagged = evaluateFlagged(oof, input, backtest);
  report('track record', 3, 4);
  const leftOut = countLeftOut(oof.panel, input.panel);
  const notes = [...backtest.notes, leftOutInWords(leftOut)];
  const holdouts = judgeHoldouts(input.holdouts, input);
  return { report: { ...backtest, notes }, withFlagged, track: evaluateTrack(input), leftOut, holdouts };
}

function metricOptions(input: WalkForwardInput): MetricOptions & { blockLength: number; seed: number } {
  const { horizonSessions, replicates, seed } = input;
  return { horizonSessions, replicates, seed, blockLength: bootstrapBlockLength(horizonSessions) };
}

function evaluateFlagged(oof: OofTable, input: WalkForwardInput, clean: BacktestReport): FlaggedModel[] {
  const { panel, horizonSessions, quantile } = input;
  const labels = labelsWithFlagged(panel, horizonSessions);
  const outcomes = withOutcomes(oof.panel, labels, {
    symbols: panel.symbols.length,
    labelKind: input.labelKind,
  });
  const prices = priceGrid(panel);
  const { blockLength, seed } = metricOptions(input);
  const bootstrap = { blockLength, seed, replicates: input.replicates };
  return SCORED.map((name) => {
    const probability = oof.probabilities[name];
    const { session, symbol } = oof.panel;
    const plan = planLongShort({ session, symbol, probability }, { quantile, horizonSessions });
    const { daily } = simulate(plan, prices, { ...input.costs, horizonSessions });
    return {
      name,
      metrics: evaluatePredictions(outcomes, probability, metricOptions(input)),
      performance: summarise(daily, { bootstrap, trials: clean.trials }),
    };
  });
}

function evaluateTrack(input: WalkForwardInput): TrackModel[] {
  return input.track.flatMap(({ bucket, panel, probabilities }) =>
    Object.entries(probabilities).map(([name, probability]) => ({
      bucket,
      name,
      metrics: evaluatePredictions(panel, probability, metricOptions(input)),
    })),
  );
}
