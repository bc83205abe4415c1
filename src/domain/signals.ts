import { upperBound } from './statistics/quantile.ts';
import { sortAscending } from './statistics/sort.ts';

export type SignalAction = 'outperform' | 'underperform' | 'buy' | 'sell' | 'hold' | 'not_scored';

export type HoldReason =
  | 'no_edge'
  | 'inside_quantiles'
  | 'below_min_edge'
  /** In the top quantile with a probability below the base rate, or in the bottom one above it. */
  | 'wrong_side';

/** One symbol of the session's list, plain JSON. */
export interface Signal {
  readonly symbol: string;
  readonly action: SignalAction;
  readonly probability: number | null;
  /** Probability minus base rate. */
  readonly edge: number | null;
  /** 1 is the highest probability; equal ones by tie-break, then symbol. Null where not scored. */
  readonly rank: number | null;
  /** Share (0..1) of the out-of-fold history with an |edge| not larger than this one; null without history. */
  readonly confidence: number | null;
  /** A HoldReason, or why the symbol was not scored; null for an issued signal. */
  readonly reason: string | null;
  readonly words: string;
}

export interface SignalInput {
  /** `tieBreak` ranks equal probabilities, the higher first: all are equal where a meta-learner has no opinion. */
  readonly rows: readonly {
    readonly symbol: string;
    readonly probability: number;
    readonly tieBreak?: number;
  }[];
  /** Members of the universe without a prediction, with the reason. */
  readonly notScored: readonly { readonly symbol: string; readonly reason: string }[];
  readonly baseRate: number;
  readonly labelKind: 'excess' | 'direction';
  readonly verdict: 'edge' | 'no_edge';
  /** Share of the session in the top and in the bottom, in (0, 0.5]; default 0.1. */
  readonly quantile?: number;
  /** Smallest |probability - base rate| of a signal; default 0.01. */
  readonly minEdge?: number;
  /** From `edgeHistory`; empty where there is none. */
  readonly history?: Float64Array;
}

export interface SignalList {
  /** Scored symbols by rank, then those not scored by symbol. */
  readonly signals: readonly Signal[];
  readonly scored: number;
  readonly perSide: number;
  readonly issued: number;
}

/**
 * Symbols on each side of a session of `count`: floor(count · quantile), but at least 1 from two symbols on, and
 * never more than half. Throws RangeError for a quantile outside (0, 0.5].
 */
export function quantileSize(count: number, quantile: number): number {
  if (!(quantile > 0 && quantile <= 0.5)) {
    throw new RangeError(`quantile must be above 0 and at most 0.5, got ${quantile}`);
  }
  const half = Math.floor(count / 2);
  // The small addition keeps 30 · 0.1 from becoming 2.
  return Math.min(half, Math.max(1, Math.floor(count * quantile + 1e-9)));
}

/** Ascending |p - base rate| of out-of-fold rows where both are known: the history of `confidence`. */
export function edgeHistory(probability: Float64Array, baseRate: Float64Array): Float64Array {
  return sortAscending(
    probability
      .map((p, row) => Math.abs(p - (baseRate[row] ?? Number.NaN)))
      .filter((x) => Number.isFinite(x)),
  );
}

/**
 * Turn the probabilities of one session into a ranked list of signals (definitions.md, Signals): top and bottom quantile
 * of the session, |p - base rate| >= minEdge on the side of the signal, verdict not `no_edge`; else hold with the
 * reason. With `no_edge` the list is still ranked. Throws RangeError for bad options or a symbol listed twice.
 */
export function makeSignals(input: SignalInput): SignalList {
  const { quantile = 0.1, minEdge = 0.01 } = input;
  if (!(minEdge >= 0 && minEdge < 1)) throw new RangeError(`minEdge must be in [0, 1), got ${minEdge}`);
  assertUnique([...input.rows, ...input.notScored].map(({ symbol }) => symbol));
  const scored = input.rows
    .filter(({ probability }) => Number.isFinite(probability))
    .sort(
      (a, b) =>
        b.probability - a.probability ||
        (b.tieBreak ?? 0) - (a.tieBreak ?? 0) ||
        compareSymbols(a.symbol, b.symbol),
    );
  const perSide = quantileSize(scored.length, quantile);
  const context = { ...input, count: scored.length, perSide, minEdge };
  const signals = scored.map((row, i) => signalOf(row, i + 1, context));
  const unscored = [
    ...input.notScored,
    ...input.rows
      .filter(({ probability }) => !Number.isFinite(probability))
      .map(({ symbol }) => ({ symbol, reason: 'prediction_not_finite' })),
  ].sort((a, b) => compareSymbols(a.symbol, b.symbol));
  return {
    signals: [...signals, ...unscored.map(notScoredSignal)],
    scored: scored.length,
    perSide,
    issued: signals.filter(({ action }) => action !== 'hold').length,
  };
}

type Context = SignalInput & { readonly count: number; readonly perSide: number; readonly minEdge: number };

function signalOf(row: { symbol: string; probability: number }, rank: number, context: Context): Signal {
  const edge = row.probability - context.baseRate;
  const side = rank <= context.perSide ? 1 : rank > context.count - context.perSide ? -1 : 0;
  const reason = holdReason({ edge, side, context });
  const action = reason === null ? actionOf(side, context.labelKind) : 'hold';
  const { history } = context;
  const confidence =
    history === undefined || history.length === 0
      ? null
      : upperBound(history, Math.abs(edge)) / history.length;
  return {
    symbol: row.symbol,
    action,
    probability: row.probability,
    edge,
    rank,
    confidence,
    reason,
    words: reason === null ? `${action}, rank ${rank} of ${context.count}` : holdWords(reason, rank, context),
  };
}

function holdReason(position: { edge: number; side: number; context: Context }): HoldReason | null {
  const { edge, side, context } = position;
  if (context.verdict === 'no_edge') return 'no_edge';
  if (side === 0) return 'inside_quantiles';
  if (Math.abs(edge) < context.minEdge) return 'below_min_edge';
  return edge * side < 0 ? 'wrong_side' : null;
}

function actionOf(side: number, labelKind: SignalInput['labelKind']): SignalAction {
  if (labelKind === 'excess') return side > 0 ? 'outperform' : 'underperform';
  return side > 0 ? 'buy' : 'sell';
}

function holdWords(reason: HoldReason, rank: number, context: Context): string {
  switch (reason) {
    case 'no_edge':
      return `hold: the model shows no edge (rank ${rank} of ${context.count})`;
    case 'inside_quantiles':
      return `hold: rank ${rank} of ${context.count} is outside the top and bottom ${context.perSide}`;
    case 'below_min_edge':
      return `hold: closer than ${context.minEdge} to the base rate ${context.baseRate.toFixed(4)}`;
    default:
      return `hold: rank ${rank} of ${context.count}, but on the other side of the base rate`;
  }
}

function notScoredSignal({ symbol, reason }: { symbol: string; reason: string }): Signal {
  return {
    symbol,
    action: 'not_scored',
    probability: null,
    edge: null,
    rank: null,
    confidence: null,
    reason,
    words: `not scored: ${reason}`,
  };
}

/** Order of code units: the same on every machine, unlike a locale's. */
function compareSymbols(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function assertUnique(symbols: readonly string[]): void {
  const seen = new Set<string>();
  for (const symbol of symbols) {
    if (seen.has(symbol)) throw new RangeError(`symbol ${symbol} is listed twice`);
    seen.add(symbol);
  }
}
