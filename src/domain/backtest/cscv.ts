import { toJsonNumber } from '../statistics/json.ts';
import { mean } from '../statistics/quantile.ts';

/** Result of the splits, plain JSON. Sharpe ratios are per session, not annualised. */
export interface Cscv {
  readonly series: number;
  readonly subBlocks: number;
  readonly sessionsPerSubBlock: number;
  /** Ways to take half of the sub-blocks. */
  readonly combinations: number;
  /** Share of them in which the best of one half is at or below the median of all in the other half. */
  readonly probability: number;
  /** Median of ln(ω / (1 − ω)), ω = rank of that best in the other half / (series + 1); below 0 is overfitted. */
  readonly medianLogit: number;
  /** Share in which that best loses money in the other half. */
  readonly probabilityOfLoss: number;
  /** Mean over the splits of the best's Sharpe ratio where it was chosen, and in the other half. */
  readonly bestInSample: number | null;
  readonly bestOutOfSample: number | null;
}

/** Below this share of its second moment a variance is the rounding of equal returns. */
const NO_VARIATION = 1e-12;

/** Per sub-block and series, at `subBlock * series + column`: sums of the centred returns and of their squares. */
interface Sums {
  readonly centre: Float64Array;
  readonly sum: Float64Array;
  readonly square: Float64Array;
}

/**
 * Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu 2015): the sessions are cut into
 * `subBlocks` equal parts in order of time, and for each choice of half of them the series with the highest Sharpe
 * ratio there is ranked by its Sharpe ratio in the other half. Equal ratios share the average rank; of equal best ones
 * the first is taken. A half without variation has a ratio of 0, or an infinite one where it earned something.
 * Throws RangeError for fewer than two series, an odd number of parts outside 2..20 or lengths that do not fit.
 */
export function cscv(returns: readonly Float64Array[], subBlocks: number): Cscv {
  const sessions = returns[0]?.length ?? 0;
  assertShape(returns, { sessions, subBlocks });
  const series = returns.length;
  const perBlock = sessions / subBlocks;
  const half = { blocks: subBlocks / 2, sessions: sessions / 2 };
  const sums = sumByBlock(returns, subBlocks);
  const inside = { sum: new Float64Array(series), square: new Float64Array(series) };
  const outside = { sum: new Float64Array(series), square: new Float64Array(series) };
  const ratios = { inside: new Float64Array(series), outside: new Float64Array(series) };
  const logits: number[] = [];
  const bestIn: number[] = [];
  const bestOut: number[] = [];
  let overfitted = 0;
  let losing = 0;
  // A split and its mirror are the same two halves: those without the last part stand for both.
  for (let mask = 0; mask < 2 ** (subBlocks - 1); mask += 1) {
    if (bitCount(mask) !== half.blocks) continue;
    addBlocks(sums, mask, { subBlocks, inside, outside });
    sharpes(inside, { centre: sums.centre, n: half.sessions, into: ratios.inside });
    sharpes(outside, { centre: sums.centre, n: half.sessions, into: ratios.outside });
    for (const [chosen, other] of [
      [ratios.inside, ratios.outside],
      [ratios.outside, ratios.inside],
    ] as const) {
      const best = indexOfLargest(chosen);
      const own = other[best] as number;
      const { below, equal } = countBelow(other, own);
      const rank = below + (equal + 1) / 2;
      bestIn.push(chosen[best] as number);
      bestOut.push(own);
      logits.push(Math.log(rank / (series + 1 - rank)));
      // ω <= 1/2, in whole numbers.
      if (2 * below + equal <= series) overfitted += 1;
      if (own < 0) losing += 1;
    }
  }
  const combinations = logits.length;
  return {
    series,
    subBlocks,
    sessionsPerSubBlock: perBlock,
    combinations,
    probability: overfitted / combinations,
    medianLogit: medianOf(logits),
    probabilityOfLoss: losing / combinations,
    bestInSample: toJsonNumber(mean(bestIn)),
    bestOutOfSample: toJsonNumber(mean(bestOut)),
  };
}

function assertShape(
  returns: readonly Float64Array[],
  { sessions, subBlocks }: { sessions: number; subBlocks: number },
): void {
  if (returns.length < 2) throw new RangeError(`two series are needed, got ${returns.length}`);
  if (!Number.isInteger(subBlocks / 2) || subBlocks < 2 || subBlocks > 20) {
    throw new RangeError(`subBlocks must be an even number in 2..20, got ${subBlocks}`);
  }
  if (sessions % subBlocks !== 0 || sessions / subBlocks < 2) {
    throw new RangeError(`${sessions} sessions cannot be cut into ${subBlocks} equal parts of two or more`);
  }
  for (const column of returns) {
    if (column.length !== sessions) throw new RangeError('all series must cover the same sessions');
    if (column.some((value) => !Number.isFinite(value))) throw new RangeError('a return is not a number');
  }
}

function sumByBlock(returns: readonly Float64Array[], subBlocks: number): Sums {
  const series = returns.length;
  const centre = Float64Array.from(returns, (column) => mean(column));
  const sum = new Float64Array(subBlocks * series);
  const square = new Float64Array(subBlocks * series);
  for (const [n, column] of returns.entries()) {
    const perBlock = column.length / subBlocks;
    for (let session = 0; session < column.length; session += 1) {
      const at = Math.floor(session / perBlock) * series + n;
      const value = (column[session] as number) - (centre[n] as number);
      sum[at] = (sum[at] as number) + value;
      square[at] = (square[at] as number) + value * value;
    }
  }
  return { centre, sum, square };
}

type Half = { readonly sum: Float64Array; readonly square: Float64Array };

function addBlocks(
  sums: Sums,
  mask: number,
  { subBlocks, inside, outside }: { subBlocks: number; inside: Half; outside: Half },
): void {
  for (const half of [inside, outside]) {
    half.sum.fill(0);
    half.square.fill(0);
  }
  const series = sums.centre.length;
  for (let block = 0; block < subBlocks; block += 1) {
    const half = (mask >>> block) & 1 ? inside : outside;
    for (let n = 0; n < series; n += 1) {
      const at = block * series + n;
      half.sum[n] = (half.sum[n] as number) + (sums.sum[at] as number);
      half.square[n] = (half.square[n] as number) + (sums.square[at] as number);
    }
  }
}

/** Mean over standard deviation (n − 1) of a half, per series. */
function sharpes(
  half: Half,
  { centre, n, into }: { centre: Float64Array; n: number; into: Float64Array },
): void {
  for (let i = 0; i < into.length; i += 1) {
    const sum = half.sum[i] as number;
    const square = half.square[i] as number;
    const average = (centre[i] as number) + sum / n;
    const spread = square - (sum * sum) / n;
    if (spread > NO_VARIATION * square) {
      into[i] = average / Math.sqrt(spread / (n - 1));
      continue;
    }
    const scale = Math.abs(centre[i] as number) + Math.sqrt(square / n);
    into[i] = Math.abs(average) <= NO_VARIATION * scale ? 0 : average * Number.POSITIVE_INFINITY;
  }
}

function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

function indexOfLargest(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i += 1) {
    if ((values[i] as number) > (values[best] as number)) best = i;
  }
  return best;
}

function countBelow(values: Float64Array, bound: number): { below: number; equal: number } {
  let below = 0;
  let equal = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value < bound) below += 1;
    else if (value === bound) equal += 1;
  }
  return { below, equal };
}

function medianOf(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length / 2;
  // The number of combinations is even.
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
