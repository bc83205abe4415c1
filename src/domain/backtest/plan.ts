import { groupBySession } from '../metrics/panel.ts';
import { quantileSize } from '../signals.ts';
import { argsort, isAscending } from '../statistics/sort.ts';
import type { TradePlan } from './simulate.ts';

export interface ScoredRows {
  readonly session: Int32Array;
  readonly symbol: Int32Array;
  /** NaN where there is no prediction; such rows are not ranked. */
  readonly probability: Float64Array;
}

/** Scored rows of each session from the highest probability down; ties by symbol index. */
function rankedSessions(rows: ScoredRows): { session: number; ranked: Uint32Array }[] {
  const groups = groupBySession(rows.session);
  return Array.from(groups.sessions, (session, g) => {
    const members = groups.order
      .slice(groups.starts[g], groups.starts[g + 1])
      .filter((row) => Number.isFinite(rows.probability[row]));
    const symbols = Int32Array.from(members, (row) => rows.symbol[row] as number);
    if (!isAscending(symbols))
      members.sort((a, b) => (rows.symbol[a] as number) - (rows.symbol[b] as number));
    // argsort is stable, so that the order by symbol survives among equal probabilities.
    const order = argsort(Float64Array.from(members, (row) => -(rows.probability[row] as number)));
    return { session, ranked: order.map((position) => members[position] as number) };
  });
}

/**
 * Long the top and short the bottom quantile of each session, equal weights, half the capital each, in h tranches
 * of 1/h (model-design 8). A session with fewer than two scored symbols trades nothing.
 */
export function planLongShort(
  rows: ScoredRows,
  options: { readonly quantile: number; readonly horizonSessions: number },
): TradePlan {
  const trades: { session: number; symbol: number; weight: number }[] = [];
  for (const { session, ranked } of rankedSessions(rows)) {
    const perSide = quantileSize(ranked.length, options.quantile);
    const weight = 0.5 / options.horizonSessions / perSide;
    for (let i = 0; i < perSide; i += 1) {
      trades.push({ session, symbol: rows.symbol[ranked[i] as number] as number, weight });
      const bottom = ranked[ranked.length - 1 - i] as number;
      trades.push({ session, symbol: rows.symbol[bottom] as number, weight: -weight });
    }
  }
  return columns(trades);
}

/** The whole scored universe long with all capital, equal weights, the same h tranches: the benchmark's plan. */
export function planUniverse(rows: ScoredRows, horizonSessions: number): TradePlan {
  const trades = rankedSessions(rows).flatMap(({ session, ranked }) =>
    Array.from(ranked, (row) => ({
      session,
      symbol: rows.symbol[row] as number,
      weight: 1 / horizonSessions / ranked.length,
    })),
  );
  return columns(trades);
}

function columns(trades: readonly { session: number; symbol: number; weight: number }[]): TradePlan {
  return {
    session: Int32Array.from(trades, ({ session }) => session),
    symbol: Int32Array.from(trades, ({ symbol }) => symbol),
    weight: Float64Array.from(trades, ({ weight }) => weight),
  };
}

/** Decile 0 (lowest) .. 9 of the probability within its session, -1 where there is no prediction. */
export function sessionDeciles(rows: ScoredRows): Int8Array {
  const deciles = new Int8Array(rows.session.length).fill(-1);
  for (const { ranked } of rankedSessions(rows)) {
    ranked.forEach((row, position) => {
      deciles[row] = 9 - Math.floor((position * 10) / ranked.length);
    });
  }
  return deciles;
}
