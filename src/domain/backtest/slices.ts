import { evaluatePredictions, type MetricOptions } from '../metrics/evaluate.ts';
import { groupBySession, rowsWhere, takeNumbers, takeRows, type OofPanel } from '../metrics/panel.ts';
import {
  bootstrapBlockLength,
  createBlockBootstrap,
  NO_ESTIMATE,
  ratioEstimate,
  type Estimate,
} from '../statistics/bootstrap.ts';
import { sessionDeciles } from './plan.ts';
import type { Positions } from './simulate.ts';

/** Metrics of a part of the history (a month, a sector), plain JSON. */
export interface SliceMetrics {
  readonly key: string;
  readonly rows: number;
  readonly sessions: number;
  readonly positiveShare: number | null;
  readonly auc: Estimate;
  readonly accuracy: Estimate;
  readonly logLossGain: Estimate;
  /** Mean over sessions of the IC; null where the slice has too few symbols in a session. */
  readonly ic: Estimate;
  /** What the slice's trades earned after costs, total and mean per session, shares of capital. */
  readonly netTotal: number;
  readonly netPerSession: Estimate;
  /** Sessions per bootstrap block: short slices use shorter blocks, so that there is an interval at all. */
  readonly blockLength: number;
}

/** One tenth of each session by probability; decile 1 is the lowest. */
export interface DecileMetrics {
  readonly decile: number;
  readonly rows: number;
  readonly meanProbability: number | null;
  /** Share of ones. */
  readonly realisedRate: Estimate;
  readonly forwardReturn: Estimate;
  readonly excessReturn: Estimate;
}

export interface SliceInput {
  readonly panel: OofPanel;
  readonly probability: Float64Array;
  /** Trades of the same model on the same session and symbol indices. */
  readonly positions: Positions;
  readonly metrics: MetricOptions;
}

/** Metrics per key of a row and of a trade (month of the decision session, sector of the symbol), keys ascending. */
export function sliceBy(
  input: SliceInput,
  keyOf: (session: number, symbol: number) => string,
): SliceMetrics[] {
  const { panel, probability, positions } = input;
  const scored = rowsWhere(probability.length, (row) => Number.isFinite(probability[row]));
  const rowsByKey = gather(scored, (row) => keyOf(panel.session[row] as number, panel.symbol[row] as number));
  const allTrades = rowsWhere(positions.session.length, () => true);
  const tradesByKey = gather(allTrades, (row) =>
    keyOf(positions.session[row] as number, positions.symbol[row] as number),
  );
  return [...rowsByKey.keys()].sort().map((key) => {
    const rows = Uint32Array.from(rowsByKey.get(key) ?? []);
    return sliceMetrics(key, { input, rows, trades: tradesByKey.get(key) ?? [] });
  });
}

function gather(rows: Uint32Array, keyOf: (row: number) => string): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}

function sliceMetrics(
  key: string,
  { input, rows, trades }: { input: SliceInput; rows: Uint32Array; trades: readonly number[] },
): SliceMetrics {
  const { positions, metrics: options } = input;
  const panel = takeRows(input.panel, rows);
  const groups = groupBySession(panel.session);
  const sessions = groups.sessions.length;
  const blockLength = sliceBlockLength(sessions, options);
  const metrics = evaluatePredictions(panel, takeNumbers(input.probability, rows), {
    ...options,
    blockLength,
    brief: true,
  });
  const net = new Float64Array(sessions);
  const groupOf = new Map(Array.from(groups.sessions, (session, g) => [session, g]));
  let netTotal = 0;
  for (const trade of trades) {
    const result =
      (positions.gross[trade] as number) -
      (positions.cost[trade] as number) -
      (positions.borrow[trade] as number);
    netTotal += result;
    const g = groupOf.get(positions.session[trade] as number);
    if (g !== undefined) net[g] = (net[g] as number) + result;
  }
  const { replicates, seed } = metrics.bootstrap;
  const bootstrap = createBlockBootstrap({ sessions, blockLength, replicates, seed });
  return {
    key,
    rows: metrics.rows,
    sessions,
    positiveShare: metrics.positiveShare,
    auc: metrics.aucPooled,
    accuracy: metrics.accuracy,
    logLossGain: metrics.logLossGain,
    ic: metrics.ic,
    netTotal,
    netPerSession: ratioEstimate(bootstrap, net, new Float64Array(sessions).fill(1)),
    blockLength,
  };
}

/** The full block where at least five fit, else a fifth of the slice, but never below the horizon. */
function sliceBlockLength(sessions: number, options: MetricOptions): number {
  const full = options.blockLength ?? bootstrapBlockLength(options.horizonSessions);
  return Math.max(1, options.horizonSessions, Math.min(full, Math.floor(sessions / 5)));
}

/** Calibration and returns by probability decile within the session, intervals over all sessions. */
export function decileMetrics(input: Omit<SliceInput, 'positions'>): DecileMetrics[] {
  const { panel, probability, metrics } = input;
  const deciles = sessionDeciles({ session: panel.session, symbol: panel.symbol, probability });
  const groups = groupBySession(panel.session);
  const sessions = groups.sessions.length;
  const bootstrap =
    sessions === 0
      ? null
      : createBlockBootstrap({
          sessions,
          blockLength: metrics.blockLength ?? bootstrapBlockLength(metrics.horizonSessions),
          replicates: metrics.replicates ?? 1000,
          seed: metrics.seed ?? 20_180_207,
        });
  const sessionOf = new Uint32Array(panel.session.length);
  for (let g = 0; g < sessions; g += 1) {
    const end = groups.starts[g + 1] as number;
    for (let i = groups.starts[g] as number; i < end; i += 1) sessionOf[groups.order[i] as number] = g;
  }
  return Array.from({ length: 10 }, (_, decile) => {
    const rows = rowsWhere(deciles.length, (row) => deciles[row] === decile);
    const average = (column: Float64Array): Estimate => {
      if (sessions === 0) return NO_ESTIMATE;
      const sum = new Float64Array(sessions);
      const count = new Float64Array(sessions);
      for (const row of rows) {
        const value = column[row] as number;
        if (!Number.isFinite(value)) continue;
        const g = sessionOf[row] as number;
        sum[g] = (sum[g] as number) + value;
        count[g] = (count[g] as number) + 1;
      }
      return ratioEstimate(bootstrap, sum, count);
    };
    const probabilities = takeNumbers(probability, rows);
    return {
      decile: decile + 1,
      rows: rows.length,
      meanProbability: rows.length === 0 ? null : probabilities.reduce((a, b) => a + b, 0) / rows.length,
      realisedRate: average(panel.target),
      forwardReturn: average(panel.forwardReturn),
      excessReturn: average(panel.excessReturn),
    };
  });
}
