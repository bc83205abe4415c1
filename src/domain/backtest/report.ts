import { evaluateModels, type EvaluationInput, type ModelEvaluation } from '../metrics/report.ts';
import type { ProbabilityMetrics } from '../metrics/evaluate.ts';
import { bootstrapBlockLength } from '../statistics/bootstrap.ts';
import { standardDeviation } from '../statistics/quantile.ts';
import { buyAndHold } from './benchmarks.ts';
import { topDecileExposure, type Characteristics, type TopDecileExposure } from './exposure.ts';
import { equityCurve, sharpePerSession, summarise, type Performance, type Trials } from './performance.ts';
import { estimateOverfitting, type EarlierTrial, type Overfitting } from './overfitting.ts';
import { planLongShort, planUniverse } from './plan.ts';
import { simulate, type DailyBooks, type PriceGrid, type Simulation, type TradingCosts } from './simulate.ts';
import { decileMetrics, sliceBy, type DecileMetrics, type SliceMetrics } from './slices.ts';

export interface BacktestInput extends Omit<EvaluationInput, 'metrics'> {
  /** Dates of the sessions the indices mean, ascending; as long as the price grid. */
  readonly sessions: readonly string[];
  readonly sectorOfSymbol: readonly string[];
  readonly prices: PriceGrid;
  /** By row of the panel. */
  readonly characteristics?: Characteristics;
  readonly horizonSessions: number;
  readonly quantile?: number;
  readonly costs?: TradingCosts;
  /** Variants tried in all so far; default the number of models here. */
  readonly trialCount?: number;
  /** Net returns of other variants, newest first. */
  readonly earlierTrials?: readonly EarlierTrial[];
  readonly seed?: number;
  readonly replicates?: number;
  readonly minSymbolsForIc?: number;
  readonly survivorship: 'biased' | 'unbiased';
}

export interface BacktestModel {
  readonly name: string;
  /** Null for the mean of base logits, which is a baseline and gets no verdict. */
  readonly evaluation: ModelEvaluation | null;
  readonly performance: Performance;
  readonly fills: Simulation['fills'];
  /** The same trades, those without their planned exit price closed at the next close there is. */
  readonly closedLate: { readonly trades: number; readonly totalGross: number; readonly totalNet: number };
  readonly byMonth: readonly SliceMetrics[];
  readonly bySector: readonly SliceMetrics[];
  readonly byDecile: readonly DecileMetrics[];
  readonly exposure: TopDecileExposure;
}

export interface Benchmark {
  readonly name: string;
  readonly words: string;
  readonly holdsOvernight: boolean;
  readonly performance: Performance | null;
  readonly totalReturn: number;
}

export interface EquityPoint {
  readonly sessionDate: string;
  readonly gross: number;
  readonly net: number;
  /** Bought and sold notional of the session, and notional held, shares of capital. */
  readonly traded: number;
  readonly exposure: number;
}

export interface BacktestReport {
  readonly survivorship: 'biased' | 'unbiased';
  readonly notes: readonly string[];
  readonly horizonSessions: number;
  readonly quantile: number;
  readonly costBpsPerSide: number;
  readonly borrowBpsPerYear: number;
  readonly firstSession: string | null;
  readonly lastSession: string | null;
  readonly trials: Trials;
  readonly overfitting: Overfitting;
  readonly models: readonly BacktestModel[];
  readonly baselines: Readonly<Record<string, ProbabilityMetrics>>;
  readonly benchmarks: readonly Benchmark[];
  readonly curves: readonly { readonly name: string; readonly points: readonly EquityPoint[] }[];
}

/**
 * The whole walk-forward backtest on out-of-fold predictions (definitions.md, Backtest): metrics, verdicts, long-short
 * performance, slices, exposure and equity curves per model, beside the benchmarks. Plain JSON.
 */
export function runBacktest(input: BacktestInput): BacktestReport {
  if (input.sessions.length !== input.prices.sessions) {
    throw new RangeError(
      `sessions has ${input.sessions.length} dates, the price grid ${input.prices.sessions}`,
    );
  }
  const { quantile = 0.1, horizonSessions, costs = {} } = input;
  const settings = { ...costs, quantile, horizonSessions };
  const bootstrap = {
    blockLength: bootstrapBlockLength(horizonSessions),
    replicates: input.replicates ?? 1000,
    seed: input.seed ?? 20_180_207,
  };
  const metrics = {
    horizonSessions,
    ...bootstrap,
    ...(input.minSymbolsForIc === undefined ? {} : { minSymbolsForIc: input.minSymbolsForIc }),
  };
  const evaluation = evaluateModels({ ...input, metrics });
  const columns = Object.entries(input.models);
  if (input.meanLogit !== undefined) columns.push(['meanLogit', input.meanLogit]);
  const books = columns.map(([name, probability]) => {
    const rows = { session: input.panel.session, symbol: input.panel.symbol, probability };
    const plan = planLongShort(rows, settings);
    const late = simulate(plan, input.prices, { ...settings, closesLate: true });
    return { name, probability, rows, simulation: simulate(plan, input.prices, settings), late };
  });
  const trials = countTrials(
    books.map(({ simulation }) => simulation.daily),
    input.trialCount,
  );
  const models = books.map(({ name, probability, rows, simulation, late }): BacktestModel => {
    const slice = { panel: input.panel, probability, positions: simulation.positions, metrics };
    return {
      name,
      evaluation: evaluation.models.find((model) => model.name === name) ?? null,
      performance: summarise(simulation.daily, { bootstrap, trials }),
      fills: simulation.fills,
      closedLate: {
        trades: late.closedLate,
        totalGross: (equityCurve(late.daily.gross).at(-1) ?? 1) - 1,
        totalNet: (equityCurve(late.daily.net).at(-1) ?? 1) - 1,
      },
      byMonth: sliceBy(slice, (session) => (input.sessions[session] ?? 'unknown').slice(0, 7)),
      bySector: sliceBy(slice, (_, symbol) => input.sectorOfSymbol[symbol] ?? 'unknown'),
      byDecile: decileMetrics(slice),
      exposure: topDecileExposure(rows, {
        characteristics: input.characteristics ?? {},
        sectorOfSymbol: input.sectorOfSymbol,
        bootstrap,
      }),
    };
  });
  const overfitting = estimateOverfitting({
    own: books.map(({ name, simulation: { daily } }) => ({
      name,
      sessions: input.sessions.slice(daily.firstSession, daily.firstSession + daily.net.length),
      net: daily.net,
    })),
    earlier: input.earlierTrials ?? [],
    horizonSessions,
  });
  const reference = makeBenchmarks(input, { bootstrap, settings });
  const span = spanOf(books.map(({ simulation }) => simulation.daily));
  return {
    survivorship: input.survivorship,
    notes: notesOf(input),
    horizonSessions,
    quantile,
    costBpsPerSide: costs.costBpsPerSide ?? 5,
    borrowBpsPerYear: costs.borrowBpsPerYear ?? 50,
    firstSession: span === null ? null : (input.sessions[span.first] ?? null),
    lastSession: span === null ? null : (input.sessions[span.last] ?? null),
    trials,
    overfitting,
    models,
    baselines: evaluation.baselines,
    benchmarks: reference.benchmarks,
    curves: [
      ...books.map(({ name, simulation }) => ({ name, points: curve(simulation.daily, input.sessions) })),
      ...reference.curves,
    ],
  };
}

/** Trials and the variance of their Sharpe ratios; at least as many as there are models here. */
function countTrials(books: readonly DailyBooks[], trialCount: number | undefined): Trials {
  const sharpes = books.map(({ net }) => sharpePerSession(net)).filter((value) => Number.isFinite(value));
  const count = Math.max(books.length, trialCount ?? 0);
  const spread = standardDeviation(sharpes);
  return Number.isFinite(spread) ? { count, sharpeVariance: spread * spread } : { count };
}

function notesOf(input: BacktestInput): string[] {
  const notes = ['returns lack dividends'];
  if (input.survivorship === 'biased') {
    notes.push('survivorship: biased, the universe is a later membership list');
  }
  notes.push(
    'a trade without its planned exit price is cancelled, entry included, which nobody could have foreseen: ' +
      'closedLate has the same trades closed at the next usable close',
  );
  if (input.horizonSessions > 1) notes.push('positions are held overnight');
  return notes;
}

type Settings = TradingCosts & { readonly quantile: number; readonly horizonSessions: number };

function makeBenchmarks(
  input: BacktestInput,
  { bootstrap, settings }: { bootstrap: Parameters<typeof summarise>[1]['bootstrap']; settings: Settings },
): Pick<BacktestReport, 'benchmarks' | 'curves'> {
  const { horizonSessions } = settings;
  // The panel's rows, not a model's: the benchmark covers the same sessions for every model.
  const everyone = { ...input.panel, probability: new Float64Array(input.panel.session.length) };
  const universe = simulate(planUniverse(everyone, horizonSessions), input.prices, settings);
  const performance = summarise(universe.daily, { bootstrap, trials: { count: 1 } });
  const last = universe.daily.firstSession + universe.daily.net.length - 1;
  const hold = buyAndHold(input.prices, Math.max(0, universe.daily.firstSession - 1), Math.max(0, last));
  const equity = equityCurve(hold.returns);
  const clock = horizonSessions === 1 ? 'open to close' : `open to close ${horizonSessions} sessions on`;
  return {
    benchmarks: [
      {
        name: 'equalWeight',
        words: `all scored symbols long with equal weights on the same clock (${clock}), after costs`,
        holdsOvernight: horizonSessions > 1,
        performance,
        totalReturn: performance.totalNet,
      },
      {
        name: 'zero',
        words: 'cash at zero interest',
        holdsOvernight: false,
        performance: null,
        totalReturn: 0,
      },
      {
        name: 'buyAndHold',
        words: 'equal amounts at the start, close to close, holds overnight, without dividends and costs',
        holdsOvernight: true,
        performance: null,
        totalReturn: (equity.at(-1) ?? 1) - 1,
      },
    ],
    curves: [
      { name: 'equalWeight', points: curve(universe.daily, input.sessions) },
      {
        name: 'buyAndHold',
        points: Array.from(equity, (value, day) => ({
          sessionDate: input.sessions[hold.firstSession + day] ?? 'unknown',
          gross: value,
          net: value,
          traded: 0,
          exposure: 1,
        })),
      },
    ],
  };
}

function curve(daily: DailyBooks, sessions: readonly string[]): EquityPoint[] {
  const gross = equityCurve(daily.gross);
  const net = equityCurve(daily.net);
  return Array.from(net, (value, day) => ({
    sessionDate: sessions[daily.firstSession + day] ?? 'unknown',
    gross: gross[day] as number,
    net: value,
    traded: daily.traded[day] as number,
    exposure: (daily.longExposure[day] as number) + (daily.shortExposure[day] as number),
  }));
}

function spanOf(books: readonly DailyBooks[]): { first: number; last: number } | null {
  const used = books.filter(({ net }) => net.length > 0);
  if (used.length === 0) return null;
  return {
    first: Math.min(...used.map(({ firstSession }) => firstSession)),
    last: Math.max(...used.map(({ firstSession, net }) => firstSession + net.length - 1)),
  };
}
