import {
  createBlockBootstrap,
  estimateFromReplicates,
  ratioEstimate,
  type BlockBootstrapOptions,
  type Estimate,
} from '../statistics/bootstrap.ts';
import { toJsonNumber } from '../statistics/json.ts';
import { mean, standardDeviation } from '../statistics/quantile.ts';
import { normalCdf, normalQuantile } from '../statistics/special.ts';
import type { DailyBooks } from './simulate.ts';

const SESSIONS_PER_YEAR = 252;
const EULER_GAMMA = 0.577_215_664_901_532_9;

export interface Drawdown {
  /** Largest loss from a peak of the equity curve, as a positive share of that peak. */
  readonly depth: number;
  /** Session index of the peak (null: the start), of the lowest point, and of the recovery (null: not yet). */
  readonly peakSession: number | null;
  readonly troughSession: number | null;
  readonly recoverySession: number | null;
}

/** Performance of one book, plain JSON. Returns and costs are shares of capital. */
export interface Performance {
  readonly sessions: number;
  readonly totalGross: number;
  readonly totalNet: number;
  readonly annualisedNet: number | null;
  readonly annualVolatility: number | null;
  readonly meanNetPerSession: Estimate;
  /** Yearly Sharpe ratios of net and gross session returns, cash at zero. */
  readonly sharpe: Estimate;
  readonly sharpeGross: number | null;
  /** Probability that the true Sharpe ratio is above what the best of `trials` useless ones would show. */
  readonly deflatedSharpe: number | null;
  readonly trials: number;
  readonly drawdown: Drawdown;
  readonly turnoverPerSession: number | null;
  readonly costTotal: number;
  readonly borrowTotal: number;
  /** Cost per side in basis points at which the net result is zero; null where nothing was traded. */
  readonly breakEvenCostBps: number | null;
  readonly meanGrossExposure: number | null;
  readonly meanNetExposure: number | null;
  readonly maxGrossExposure: number;
  readonly positiveSessions: number | null;
}

export interface Trials {
  /** How many variants were tried in all: the deflated Sharpe ratio pays for each. */
  readonly count: number;
  /** Variance over the trials of their Sharpe ratios per session; without it 1/sessions, that of no skill. */
  readonly sharpeVariance?: number;
}

/** Summarise a book; equity compounds the session returns, so that each session starts with all capital. */
export function summarise(
  daily: DailyBooks,
  options: { readonly bootstrap: Omit<BlockBootstrapOptions, 'sessions'>; readonly trials: Trials },
): Performance {
  const { net, gross } = daily;
  const sessions = net.length;
  const bootstrap = sessions === 0 ? null : createBlockBootstrap({ ...options.bootstrap, sessions });
  const equity = equityCurve(net);
  const totalNet = (equity.at(-1) ?? 1) - 1;
  const exposure = daily.longExposure.map((long, i) => long + (daily.shortExposure[i] as number));
  const netExposure = daily.longExposure.map((long, i) => long - (daily.shortExposure[i] as number));
  const traded = total(daily.traded);
  const perSession = sharpePerSession(net);
  return {
    sessions,
    totalGross: (equityCurve(gross).at(-1) ?? 1) - 1,
    totalNet,
    annualisedNet: toJsonNumber(sessions === 0 ? null : (1 + totalNet) ** (SESSIONS_PER_YEAR / sessions) - 1),
    annualVolatility: toJsonNumber(standardDeviation(net) * Math.sqrt(SESSIONS_PER_YEAR)),
    meanNetPerSession: ratioEstimate(bootstrap, net, new Float64Array(sessions).fill(1)),
    sharpe: sharpeEstimate(net, bootstrap),
    sharpeGross: toJsonNumber(sharpePerSession(gross) * Math.sqrt(SESSIONS_PER_YEAR)),
    deflatedSharpe: toJsonNumber(
      deflatedSharpe({ sharpePerSession: perSession, sessions, ...moments(net), trials: options.trials }),
    ),
    trials: options.trials.count,
    drawdown: maxDrawdown(equity, daily.firstSession),
    turnoverPerSession: toJsonNumber(traded / sessions),
    costTotal: total(daily.cost),
    borrowTotal: total(daily.borrow),
    breakEvenCostBps: toJsonNumber(((total(gross) - total(daily.borrow)) / traded) * 10_000),
    meanGrossExposure: toJsonNumber(mean(exposure)),
    meanNetExposure: toJsonNumber(mean(netExposure)),
    maxGrossExposure: exposure.reduce((a, b) => Math.max(a, b), 0),
    positiveSessions: toJsonNumber(net.filter((r) => r > 0).length / sessions),
  };
}

function total(column: Float64Array): number {
  return column.reduce((a, b) => a + b, 0);
}

/** Capital after each session, starting from 1. */
export function equityCurve(returns: Float64Array): Float64Array {
  const equity = new Float64Array(returns.length);
  let capital = 1;
  for (let i = 0; i < returns.length; i += 1) {
    capital *= 1 + (returns[i] as number);
    equity[i] = capital;
  }
  return equity;
}

/** Deepest fall of an equity curve that started at 1 before `firstSession`. */
export function maxDrawdown(equity: Float64Array, firstSession: number): Drawdown {
  let peak = 1;
  let peakAt = -1;
  let worst = { depth: 0, peak: 1, peakAt: -1, troughAt: -1 };
  for (let i = 0; i < equity.length; i += 1) {
    const value = equity[i] as number;
    if (value > peak) {
      peak = value;
      peakAt = i;
    }
    const depth = 1 - value / peak;
    if (depth > worst.depth) worst = { depth, peak, peakAt, troughAt: i };
  }
  const { depth, troughAt } = worst;
  if (depth === 0) return { depth, peakSession: null, troughSession: null, recoverySession: null };
  const recovered = equity.findIndex((value, i) => i > troughAt && value >= worst.peak);
  return {
    depth,
    peakSession: worst.peakAt < 0 ? null : firstSession + worst.peakAt,
    troughSession: firstSession + troughAt,
    recoverySession: recovered < 0 ? null : firstSession + recovered,
  };
}

/** A deviation below this share of the mean is the rounding of equal returns. */
const NO_VARIATION = 1e-12;

/** Mean over standard deviation of session returns; NaN below two sessions or without variation. */
export function sharpePerSession(returns: Float64Array): number {
  const deviation = standardDeviation(returns);
  const centre = mean(returns);
  return deviation > NO_VARIATION * Math.max(Math.abs(centre), NO_VARIATION)
    ? centre / deviation
    : Number.NaN;
}

function sharpeEstimate(returns: Float64Array, bootstrap: ReturnType<typeof createBlockBootstrap>): Estimate {
  const yearly = Math.sqrt(SESSIONS_PER_YEAR);
  const value = sharpePerSession(returns) * yearly;
  if (bootstrap === null) return estimateFromReplicates(value, null);
  const n = returns.length;
  const sums = bootstrap.sums(returns);
  const squares = bootstrap.sums(returns.map((r) => r * r));
  const replicates = sums.map((sum, b) => {
    const variance = ((squares[b] as number) - (sum * sum) / n) / (n - 1);
    return variance > 0 ? (sum / n / Math.sqrt(variance)) * yearly : Number.NaN;
  });
  return estimateFromReplicates(value, { replicates, bootstrap });
}

function moments(returns: Float64Array): { skewness: number; kurtosis: number } {
  const centre = mean(returns);
  let [second, third, fourth] = [0, 0, 0];
  for (const value of returns) {
    const d = value - centre;
    second += d * d;
    third += d ** 3;
    fourth += d ** 4;
  }
  const n = returns.length;
  return { skewness: third / n / (second / n) ** 1.5, kurtosis: fourth / n / (second / n) ** 2 };
}

export interface DeflatedSharpeInput {
  /** Sharpe ratio per session, not annualised. */
  readonly sharpePerSession: number;
  readonly sessions: number;
  readonly skewness: number;
  /** Not in excess of 3. */
  readonly kurtosis: number;
  readonly trials: Trials;
}

/**
 * Deflated Sharpe ratio (Bailey and López de Prado 2014): the probability that the true ratio exceeds the expected
 * maximum of `trials` ratios without skill, given length, skewness and kurtosis. With one trial it is the
 * probabilistic Sharpe ratio against zero. NaN where the ratio is not defined.
 */
export function deflatedSharpe(input: DeflatedSharpeInput): number {
  const { sharpePerSession: sharpe, sessions, skewness, kurtosis, trials } = input;
  const variance = trials.sharpeVariance ?? 1 / sessions;
  const hurdle = Math.sqrt(variance) * expectedMaximum(trials.count);
  const spread = 1 - skewness * sharpe + ((kurtosis - 1) / 4) * sharpe * sharpe;
  if (!(spread > 0) || sessions < 2) return Number.NaN;
  return normalCdf(((sharpe - hurdle) * Math.sqrt(sessions - 1)) / Math.sqrt(spread));
}

/** Expected maximum of `count` independent standard normal draws, the approximation of that paper. */
function expectedMaximum(count: number): number {
  if (count <= 1) return 0;
  return (
    (1 - EULER_GAMMA) * normalQuantile(1 - 1 / count) + EULER_GAMMA * normalQuantile(1 - 1 / (count * Math.E))
  );
}
