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
 * of 1/h (definitions.md, Backtest). A symbol whose probability equals that of the first one left out of its side is not
 * traded: the model does not prefer it. So a session without opinion (a meta-learner with a slope of 0 or less), or
 * with fewer than two scored symbols, trades nothing.
 */
export function planLongShort(
  rows: ScoredRows,
  options: { readonly quantile: number; readonly horizonSessions: number },
): TradePlan {
  const trades: { session: number; symbol: number; weight: number }[] = [];
  for (const { session, ranked } of rankedSessions(rows)) {
    const perSide = quantileSize(ranked.length, options.quantile);
    const weight = 0.5 / options.horizonSessions / perSide;
    const sides = [
      { order: ranked, signed: weight },
      { order: ranked.toReversed(), signed: -weight },
    ];
    for (const { order, signed } of sides) {
      const leftOut = rows.probability[order[perSide] as number];
      for (const row of order.subarray(0, perSide)) {
        if (rows.probability[row] === leftOut) break;
        trades.push({ session, symbol: rows.symbol[row] as number, weight: signed });
      }
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

/** Decile 0 (lowest) .. 9 of the probability within its session, -1 without prediction or where all are equal. */
export function sessionDeciles(rows: ScoredRows): Int8Array {
  const deciles = new Int8Array(rows.session.length).fill(-1);
  for (const { ranked } of rankedSessions(rows)) {
    const [first, last] = [ranked[0], ranked.at(-1)];
    if (first === undefined || last === undefined) continue;
    if (rows.probability[first] === rows.probability[last]) continue;
    ranked.forEach((row, position) => {
      deciles[row] = 9 - Math.floor((position * 10) / ranked.length);
    });
  }
  return deciles;
}
