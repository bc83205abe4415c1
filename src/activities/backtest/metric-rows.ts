import type { BacktestMetric, EquityPoint } from '../../db/queries/backtests.ts';
import type { Performance } from '../../domain/backtest/performance.ts';
import type { BacktestModel, BacktestReport } from '../../domain/backtest/report.ts';
import type { DecileMetrics, SliceMetrics } from '../../domain/backtest/slices.ts';
import type { ProbabilityMetrics } from '../../domain/metrics/evaluate.ts';
import type { Estimate } from '../../domain/statistics/bootstrap.ts';
import { intervalOf, type MetricTable, metricTable } from '../training/metric-rows.ts';
import type { WalkForward } from './walk-forward.ts';

type Place = Pick<BacktestMetric, 'model' | 'dimension' | 'bucket'>;

/** Everything of a walk-forward as rows of `backtest_metrics`. */
export function metricRows({ report, withFlagged, track, leftOut }: WalkForward): BacktestMetric[] {
  return [
    ...report.models.flatMap((model) => modelRows(model, report)),
    ...Object.entries(report.baselines)
      .filter(([name]) => !report.models.some((model) => model.name === name))
      .flatMap(([name, metrics]) => metricsRows(place(name, 'all'), metrics)),
    ...report.benchmarks.flatMap(({ name, performance, totalReturn }) => [
      ...tableRows(place(name, 'benchmark'), { totalReturn }, null),
      ...(performance === null ? [] : performanceRows(place(name, 'benchmark'), performance)),
    ]),
    ...withFlagged.flatMap(({ name, metrics, performance }) => [
      ...metricsRows(place(name, 'allWithFlagged'), metrics),
      ...performanceRows(place(name, 'portfolioWithFlagged'), performance),
    ]),
    ...leftOut.flatMap(({ block, rows, sessions }) =>
      tableRows(place('all', 'leftOutDoubtful', String(block)), { rows }, sessions),
    ),
    ...overfittingRows(report),
    ...track.flatMap(({ name, bucket, metrics }) => metricsRows(place(name, 'track', bucket), metrics)),
  ];
}

/** One choice among all scores, so of none of them; a probability that is not defined is a row without a value. */
function overfittingRows({ overfitting }: BacktestReport): BacktestMetric[] {
  const { probability, medianLogit, probabilityOfLoss, sharpeWhereChosen, sharpeElsewhere } = overfitting;
  return tableRows(
    place('all', 'overfitting'),
    {
      probability,
      medianLogit,
      probabilityOfLoss,
      sharpeWhereChosen,
      sharpeElsewhere,
      series: overfitting.series,
      earlierTrials: overfitting.earlierTrials,
      sessions: overfitting.sessions,
      subBlocks: overfitting.subBlocks,
    },
    overfitting.combinations,
  );
}

function modelRows(model: BacktestModel, report: BacktestReport): BacktestMetric[] {
  const { name, evaluation, exposure } = model;
  // The mean of base logits is a baseline: its metrics stand there.
  const metrics = evaluation?.metrics ?? report.baselines[name];
  const gain = evaluation?.gainOverMeanLogit ?? null;
  const verdict = evaluation?.verdict;
  return [
    ...(metrics === undefined ? [] : metricsRows(place(name, 'all'), metrics)),
    ...tableRows(
      place(name, 'all'),
      {
        ...(gain === null ? {} : { gainOverMeanLogit: intervalOf(gain) }),
        ...(verdict === undefined
          ? {}
          : {
              adjustedPValue: verdict.adjustedPValue,
              smallestDetectableIc: verdict.smallestDetectableIc,
              hasEdge: Number(verdict.verdict === 'edge'),
            }),
      },
      metrics?.rows ?? null,
    ),
    ...performanceRows(place(name, 'portfolio'), model.performance),
    ...tableRows(place(name, 'portfolio'), fillTable(model), null),
    ...tableRows(
      place(name, 'portfolioClosedLate'),
      { grossReturn: model.closedLate.totalGross, netReturn: model.closedLate.totalNet },
      model.closedLate.trades,
    ),
    ...tableRows(
      place(name, 'exposure'),
      {
        betaTop: exposure.beta.top,
        betaUniverse: exposure.beta.universe,
        betaDifference: intervalOf(exposure.beta.difference),
        sizeRankTop: exposure.sizeRank.top,
        sizeRankDifference: intervalOf(exposure.sizeRank.difference),
      },
      exposure.sessions,
    ),
    ...exposure.sectors.flatMap(({ sector, top, universe }) =>
      tableRows(place(name, 'sectorExposure', sector), { topShare: top, universeShare: universe }, null),
    ),
    ...model.byMonth.flatMap((slice) => sliceRows(place(name, 'month', slice.key), slice)),
    ...model.bySector.flatMap((slice) => sliceRows(place(name, 'sector', slice.key), slice)),
    ...model.byDecile.flatMap((decile) => decileRows(name, decile)),
  ];
}

function fillTable({ fills }: BacktestModel): MetricTable {
  return {
    filled: fills.filled,
    missingEntry: fills.missing_entry,
    missingExit: fills.missing_exit,
    pendingTrades: fills.pending,
  };
}

function metricsRows(at: Place, metrics: ProbabilityMetrics): BacktestMetric[] {
  return tableRows(at, metricTable(metrics), metrics.rows);
}

function performanceRows(at: Place, performance: Performance): BacktestMetric[] {
  return tableRows(
    at,
    {
      grossReturn: performance.totalGross,
      netReturn: performance.totalNet,
      annualisedNet: performance.annualisedNet,
      annualVolatility: performance.annualVolatility,
      meanNetPerSession: intervalOf(performance.meanNetPerSession),
      sharpe: intervalOf(performance.sharpe),
      sharpeGross: performance.sharpeGross,
      deflatedSharpe: performance.deflatedSharpe,
      trials: performance.trials,
      maxDrawdown: performance.drawdown.depth,
      turnover: performance.turnoverPerSession,
      costTotal: performance.costTotal,
      borrowTotal: performance.borrowTotal,
      breakEvenCostBps: performance.breakEvenCostBps,
      meanGrossExposure: performance.meanGrossExposure,
      meanNetExposure: performance.meanNetExposure,
      maxGrossExposure: performance.maxGrossExposure,
      positiveSessions: performance.positiveSessions,
    },
    performance.sessions,
  );
}

function sliceRows(at: Place, slice: SliceMetrics): BacktestMetric[] {
  return tableRows(
    at,
    {
      auc: intervalOf(slice.auc),
      accuracy: intervalOf(slice.accuracy),
      logLossGain: intervalOf(slice.logLossGain),
      ic: intervalOf(slice.ic),
      positiveShare: slice.positiveShare,
      netTotal: slice.netTotal,
      netPerSession: intervalOf(slice.netPerSession),
      sessions: slice.sessions,
    },
    slice.rows,
  );
}

function decileRows(name: string, decile: DecileMetrics): BacktestMetric[] {
  const estimates: [string, Estimate][] = [
    ['realisedRate', decile.realisedRate],
    ['forwardReturn', decile.forwardReturn],
    ['excessReturn', decile.excessReturn],
  ];
  const table = Object.fromEntries(estimates.map(([metric, one]) => [metric, intervalOf(one)]));
  const at = place(name, 'decile', String(decile.decile));
  return tableRows(at, { ...table, meanProbability: decile.meanProbability }, decile.rows);
}

function place(model: string, dimension: string, bucket = 'all'): Place {
  return { model, dimension, bucket };
}

function tableRows(at: Place, table: MetricTable, n: number | null): BacktestMetric[] {
  return Object.entries(table).map(([metric, figure]) => {
    const interval = typeof figure === 'number' ? { value: figure, low: null, high: null } : figure;
    return {
      ...at,
      metric,
      value: interval?.value ?? null,
      lower: interval?.low ?? null,
      upper: interval?.high ?? null,
      n,
    };
  });
}

/** Equity curves with session returns and the fall from the highest point so far. */
export function equityRows(report: BacktestReport): EquityPoint[] {
  return report.curves.flatMap(({ name, points }) => {
    let peak = 1;
    return points.map((point, day): EquityPoint => {
      const before = points[day - 1] ?? { gross: 1, net: 1 };
      peak = Math.max(peak, point.net);
      return {
        series: name,
        sessionDate: point.sessionDate,
        grossReturn: point.gross / before.gross - 1,
        netReturn: point.net / before.net - 1,
        equityGross: point.gross,
        equityNet: point.net,
        turnover: point.traded,
        exposure: point.exposure,
        drawdown: 1 - point.net / peak,
      };
    });
  });
}
