import { groupBySession } from '../metrics/panel.ts';
import {
  createBlockBootstrap,
  ratioEstimate,
  type BlockBootstrapOptions,
  type Estimate,
} from '../statistics/bootstrap.ts';
import { averageRanks } from '../statistics/rank.ts';
import { sessionDeciles, type ScoredRows } from './plan.ts';

/** Characteristics of rows as of their session, NaN where unknown. */
export interface Characteristics {
  /** Trailing beta to the market. */
  readonly beta?: Float64Array;
  /** Size in any monotone unit (dollar volume, market value): only its rank within the session is used. */
  readonly size?: Float64Array;
}

/** What the top decile holds that the universe does not; averages over sessions. */
export interface TopDecileExposure {
  readonly sessions: number;
  /** Mean beta of the top decile, of the universe, and the difference with its interval. */
  readonly beta: {
    readonly top: number | null;
    readonly universe: number | null;
    readonly difference: Estimate;
  };
  /** Mean size rank in (0, 1), 0.5 is the universe. */
  readonly sizeRank: { readonly top: number | null; readonly difference: Estimate };
  /** Share of each sector in the top decile and in the universe, by sector name. */
  readonly sectors: readonly { readonly sector: string; readonly top: number; readonly universe: number }[];
}

/** Exposure of the top probability decile to beta, size and sector (definitions.md, Backtest). */
export function topDecileExposure(
  rows: ScoredRows,
  context: {
    readonly characteristics: Characteristics;
    readonly sectorOfSymbol: readonly string[];
    readonly bootstrap: Omit<BlockBootstrapOptions, 'sessions'>;
  },
): TopDecileExposure {
  const deciles = sessionDeciles(rows);
  const groups = groupBySession(rows.session);
  const sessions = groups.sessions.length;
  const scored = (g: number): Uint32Array =>
    groups.order
      .subarray(groups.starts[g], groups.starts[g + 1])
      .filter((row) => (deciles[row] as number) >= 0);
  const bootstrap = sessions === 0 ? null : createBlockBootstrap({ ...context.bootstrap, sessions });

  const compare = (valueOf: (members: Uint32Array) => Float64Array) => {
    const column = (): Float64Array => new Float64Array(sessions);
    const sums = { top: column(), universe: column(), difference: column(), known: column() };
    for (let g = 0; g < sessions; g += 1) {
      const members = scored(g);
      const values = valueOf(members);
      const top = finiteMean(values.filter((_, i) => deciles[members[i] as number] === 9));
      const universe = finiteMean(values);
      if (!Number.isFinite(top) || !Number.isFinite(universe)) continue;
      sums.top[g] = top;
      sums.universe[g] = universe;
      sums.difference[g] = top - universe;
      sums.known[g] = 1;
    }
    return {
      top: ratioEstimate(null, sums.top, sums.known).value,
      universe: ratioEstimate(null, sums.universe, sums.known).value,
      difference: ratioEstimate(bootstrap, sums.difference, sums.known),
    };
  };

  const { beta, size } = context.characteristics;
  const unknown = (members: Uint32Array) => new Float64Array(members.length).fill(Number.NaN);
  const sizeRank = compare((members) => (size === undefined ? unknown(members) : ranksOf(size, members)));
  return {
    sessions,
    beta: compare((members) =>
      beta === undefined ? unknown(members) : Float64Array.from(members, (row) => beta[row] as number),
    ),
    sizeRank: { top: sizeRank.top, difference: sizeRank.difference },
    sectors: sectorShares(rows, { deciles, sectorOfSymbol: context.sectorOfSymbol }),
  };
}

function finiteMean(values: Float64Array): number {
  const finite = values.filter((value) => Number.isFinite(value));
  return finite.reduce((a, b) => a + b, 0) / finite.length;
}

/** (average rank - 0.5) / n among the members with a value. */
function ranksOf(column: Float64Array, members: Uint32Array): Float64Array {
  const known = members.filter((row) => Number.isFinite(column[row]));
  const ranks = averageRanks(Float64Array.from(known, (row) => column[row] as number));
  const rankOfRow = new Map<number, number>();
  known.forEach((row, i) => rankOfRow.set(row, ((ranks[i] as number) - 0.5) / known.length));
  return Float64Array.from(members, (row) => rankOfRow.get(row) ?? Number.NaN);
}

function sectorShares(
  rows: ScoredRows,
  { deciles, sectorOfSymbol }: { deciles: Int8Array; sectorOfSymbol: readonly string[] },
): TopDecileExposure['sectors'] {
  const counts = new Map<string, { top: number; universe: number }>();
  const totals = { top: 0, universe: 0 };
  deciles.forEach((decile, row) => {
    if (decile < 0) return;
    const sector = sectorOfSymbol[rows.symbol[row] as number] ?? 'unknown';
    const count = counts.get(sector) ?? { top: 0, universe: 0 };
    counts.set(sector, count);
    count.universe += 1;
    totals.universe += 1;
    if (decile !== 9) return;
    count.top += 1;
    totals.top += 1;
  });
  return Array.from(counts, ([sector, { top, universe }]) => ({
    sector,
    top: top / Math.max(1, totals.top),
    universe: universe / Math.max(1, totals.universe),
  })).sort((a, b) => (a.sector < b.sector ? -1 : 1));
}
