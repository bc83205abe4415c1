import { kolmogorovSf } from './statistics/kolmogorov.ts';
import { lowerBound, quantileSorted } from './statistics/quantile.ts';
import { sortAscending } from './statistics/sort.ts';

/** Numbers in any array form. NaN, null and undefined are missing; the infinities are ordinary, ordered values. */
export type Samples = ArrayLike<number | null | undefined>;

export interface DriftOptions {
  /** Number of quantile bins of the baseline before equal edges are merged; integer >= 2, default 10. */
  readonly bins?: number;
  /** Smallest share a bin may have, in (0, 1); default 1e-4. Shares are not renormalised afterwards. */
  readonly floor?: number;
  /** `drop` (default) leaves missing values out; `bin` gives them a bin of their own, counted in the total. */
  readonly missing?: 'drop' | 'bin';
}

/** A prepared baseline: reuse it, so that its values are sorted once and not for each comparison. */
export interface Baseline {
  /** The values that are not missing, ascending. */
  readonly sorted: Float64Array;
  readonly missingCount: number;
  readonly bins: number;
  /** Unique type-7 quantiles 1/bins .. (bins-1)/bins of the values. */
  readonly edges: Float64Array;
  /** Values per bin, one more than edges; bin i is edges[i-1] <= x < edges[i], the ends are open. */
  readonly counts: Float64Array;
}

export interface BinShares {
  readonly edges: Float64Array;
  /** Floored shares per bin; with `missing: 'bin'` the last one is the share of missing values. */
  readonly baseline: Float64Array;
  readonly current: Float64Array;
}

export interface KlDivergence {
  /** KL(current ‖ baseline) = Σ c · ln(c / b): the surprise of someone who expected the baseline. */
  readonly currentGivenBaseline: number;
  /** KL(baseline ‖ current) = Σ b · ln(b / c). The two add up to the PSI. */
  readonly baselineGivenCurrent: number;
}

export interface KsTest {
  /** sup |F_a - F_b|. */
  readonly statistic: number;
  readonly pValue: number;
}

interface ResolvedOptions {
  readonly bins: number;
  readonly floor: number;
  readonly missing: 'drop' | 'bin';
}

/** Options with defaults filled in. Throws RangeError that names the field. */
function resolveOptions(options: DriftOptions): ResolvedOptions {
  const { bins = 10, floor = 1e-4, missing = 'drop' } = options;
  if (!Number.isInteger(bins) || bins < 2) throw new RangeError(`bins must be an integer >= 2, got ${bins}`);
  if (!(floor > 0 && floor < 1)) throw new RangeError(`floor must be above 0 and below 1, got ${floor}`);
  if (missing !== 'drop' && missing !== 'bin') {
    throw new RangeError(`missing must be 'drop' or 'bin', got ${String(missing)}`);
  }
  return { bins, floor, missing };
}

/**
 * Sort a baseline and cut it into quantile bins once. Accepts values that are already sorted without sorting
 * them again. Throws RangeError for `bins` that is not an integer >= 2.
 */
export function createBaseline(values: Samples, options: Pick<DriftOptions, 'bins'> = {}): Baseline {
  const { bins } = resolveOptions(options);
  const present = presentValues(values);
  return cutBaseline(sortAscending(present), values.length - present.length, bins);
}

function cutBaseline(sorted: Float64Array, missingCount: number, bins: number): Baseline {
  const edges: number[] = [];
  for (let i = 1; i < bins && sorted.length > 0; i += 1) {
    const edge = quantileSorted(sorted, i / bins);
    if (edge !== edges.at(-1)) edges.push(edge);
  }
  const edgeArray = Float64Array.from(edges);
  return { sorted, missingCount, bins, edges: edgeArray, counts: countsOfSorted(sorted, edgeArray) };
}

function asBaseline(baseline: Samples | Baseline, bins: number): Baseline {
  if (!('sorted' in baseline)) return createBaseline(baseline, { bins });
  return baseline.bins === bins ? baseline : cutBaseline(baseline.sorted, baseline.missingCount, bins);
}

/** The values that are not NaN, null or undefined, as an array of their own. */
export function presentValues(values: Samples): Float64Array {
  // Columns of numbers are copied whole: the loop below takes several times longer for each value.
  if (values instanceof Float64Array || values instanceof Float32Array) {
    return withoutNaN(new Float64Array(values));
  }
  const present = new Float64Array(values.length);
  for (let i = 0; i < values.length; i += 1) present[i] = values[i] ?? Number.NaN;
  return withoutNaN(present);
}

/** Moves the numbers to the front of the array and gives the part that they fill. */
function withoutNaN(values: Float64Array): Float64Array {
  let n = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value !== value) continue;
    values[n] = value;
    n += 1;
  }
  return n === values.length ? values : values.subarray(0, n);
}

function countsOfSorted(sorted: Float64Array, edges: Float64Array): Float64Array {
  const counts = new Float64Array(edges.length + 1);
  let previous = 0;
  for (let i = 0; i < edges.length; i += 1) {
    const position = lowerBound(sorted, edges[i] as number, previous);
    counts[i] = position - previous;
    previous = position;
  }
  counts[edges.length] = sorted.length - previous;
  return counts;
}

/** Bin number of a value: the number of edges that are <= it. */
export function binOf(value: number, edges: Float64Array): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edges[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Floored shares of baseline and current in the bins of the baseline, or null when there is nothing to compare:
 * a baseline without any value, or a current sample that is empty (with `drop`: after dropping).
 * Throws RangeError for bad options.
 */
export function binShares(
  baseline: Samples | Baseline,
  current: Samples,
  options: DriftOptions = {},
): BinShares | null {
  const resolved = resolveOptions(options);
  const prepared = asBaseline(baseline, resolved.bins);
  const counts = new Float64Array(prepared.counts.length);
  let missingCount = 0;
  for (let i = 0; i < current.length; i += 1) {
    const value = current[i];
    if (typeof value === 'number' && value === value) {
      const bin = binOf(value, prepared.edges);
      counts[bin] = (counts[bin] as number) + 1;
    } else {
      missingCount += 1;
    }
  }
  return sharesFromCounts(prepared, { counts, missingCount, total: current.length }, resolved);
}

function sharesFromCounts(
  baseline: Baseline,
  current: { counts: Float64Array; missingCount: number; total: number },
  { floor, missing }: ResolvedOptions,
): BinShares | null {
  const withMissing = missing === 'bin';
  const currentTotal = withMissing ? current.total : current.total - current.missingCount;
  const baselineTotal = baseline.sorted.length + (withMissing ? baseline.missingCount : 0);
  if (baseline.sorted.length === 0 || currentTotal === 0) return null;
  const bins = baseline.counts.length;
  const size = withMissing ? bins + 1 : bins;
  const baselineShares = new Float64Array(size);
  const currentShares = new Float64Array(size);
  for (let i = 0; i < size; i += 1) {
    const baselineCount = i < bins ? (baseline.counts[i] as number) : baseline.missingCount;
    const currentCount = i < bins ? (current.counts[i] as number) : current.missingCount;
    baselineShares[i] = Math.max(baselineCount / baselineTotal, floor);
    currentShares[i] = Math.max(currentCount / currentTotal, floor);
  }
  return { edges: baseline.edges, baseline: baselineShares, current: currentShares };
}

/** PSI = Σ (c - b) · ln(c / b) over bins. */
export function psiOfShares(shares: Pick<BinShares, 'baseline' | 'current'>): number {
  let sum = 0;
  for (let i = 0; i < shares.baseline.length; i += 1) {
    const b = shares.baseline[i] as number;
    const c = shares.current[i] as number;
    sum += (c - b) * Math.log(c / b);
  }
  return sum;
}

/** Both directions of the Kullback-Leibler divergence of given shares, natural log. */
export function klOfShares(shares: Pick<BinShares, 'baseline' | 'current'>): KlDivergence {
  let currentGivenBaseline = 0;
  let baselineGivenCurrent = 0;
  for (let i = 0; i < shares.baseline.length; i += 1) {
    const b = shares.baseline[i] as number;
    const c = shares.current[i] as number;
    currentGivenBaseline += c * Math.log(c / b);
    baselineGivenCurrent += b * Math.log(b / c);
  }
  return { currentGivenBaseline, baselineGivenCurrent };
}

/** Jensen-Shannon divergence of given shares (renormalised), natural log: symmetric, between 0 and ln 2. */
export function jsOfShares(shares: Pick<BinShares, 'baseline' | 'current'>): number {
  const totalB = shares.baseline.reduce((x, y) => x + y, 0);
  const totalC = shares.current.reduce((x, y) => x + y, 0);
  let sum = 0;
  for (let i = 0; i < shares.baseline.length; i += 1) {
    const b = (shares.baseline[i] as number) / totalB;
    const c = (shares.current[i] as number) / totalC;
    const middle = (b + c) / 2;
    sum += (b * Math.log(b / middle) + c * Math.log(c / middle)) / 2;
  }
  return sum;
}

/**
 * Population stability index of `current` against quantile bins of `baseline` (definitions.md, Drift): natural log,
 * floored shares, not renormalised. NaN when there is nothing to compare (an empty sample, or nothing but
 * missing values); the drift monitor turns that into `not_enough_data`. Throws RangeError for bad options.
 */
export function psi(baseline: Samples | Baseline, current: Samples, options: DriftOptions = {}): number {
  const shares = binShares(baseline, current, options);
  return shares === null ? Number.NaN : psiOfShares(shares);
}

/**
 * Kullback-Leibler divergence in both directions on the bins of `psi`. Finite thanks to the floor, which is
 * why a direction can be slightly below zero. NaN in both when there is nothing to compare (see `psi`).
 * Throws RangeError for bad options.
 */
export function klDivergence(
  baseline: Samples | Baseline,
  current: Samples,
  options: DriftOptions = {},
): KlDivergence {
  const shares = binShares(baseline, current, options);
  if (shares === null) return { currentGivenBaseline: Number.NaN, baselineGivenCurrent: Number.NaN };
  return klOfShares(shares);
}

/**
 * Two-sample Kolmogorov-Smirnov test, two-sided; missing values are dropped, ties are right. The p-value is that
 * of scipy's `ks_2samp(method='asymp')`: `kstwo.sf(D, round(n1·n2/(n1+n2)))`, which supposes independent values;
 * symbols of one session are not, so it is never an alarm by itself. NaN in both for an empty sample; the
 * p-value alone is NaN for one value against one, as in scipy.
 */
export function ksTest(a: Samples | Baseline, b: Samples | Baseline): KsTest {
  const sortedA = 'sorted' in a ? a.sorted : sortAscending(presentValues(a));
  const sortedB = 'sorted' in b ? b.sorted : sortAscending(presentValues(b));
  const statistic = ksStatisticSorted(sortedA, sortedB);
  return { statistic, pValue: ksPValue(statistic, sortedA.length, sortedB.length) };
}

/** p-value of a two-sample statistic for sizes n1 and n2, as scipy's asymptotic method gives it. */
export function ksPValue(statistic: number, n1: number, n2: number): number {
  const effective = (Math.max(n1, n2) * Math.min(n1, n2)) / (n1 + n2);
  return kolmogorovSf(roundHalfToEven(effective), statistic);
}

/** numpy's `round`: halves go to the even neighbour. */
function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** sup |F_a - F_b| of ascending samples; walks the smaller one, gallops through the larger. */
export function ksStatisticSorted(a: Float64Array, b: Float64Array): number {
  if (a.length === 0 || b.length === 0) return Number.NaN;
  const [small, large] = a.length <= b.length ? [a, b] : [b, a];
  const n = small.length;
  const m = large.length;
  let largest = 0;
  let below = 0;
  let start = 0;
  while (start < n) {
    const value = small[start] as number;
    let end = start + 1;
    while (end < n && small[end] === value) end += 1;
    // F_large just before the value, then at it: the supremum lies at one of the two.
    below = gallop(large, value, below, false);
    const before = Math.abs(start / n - below / m);
    below = gallop(large, value, below, true);
    const at = Math.abs(end / n - below / m);
    largest = Math.max(largest, before, at);
    start = end;
  }
  return largest;
}

/** Number of values < `value` (or <= with `inclusive`), known to be at least `from`. */
function gallop(sorted: Float64Array, value: number, from: number, inclusive: boolean): number {
  const n = sorted.length;
  let low = from;
  let step = 1;
  let high = from;
  while (high < n && isBelow(sorted[high] as number, value, inclusive)) {
    low = high + 1;
    high = low + step;
    step *= 2;
  }
  high = Math.min(high, n);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(sorted[middle] as number, value, inclusive)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBelow(x: number, value: number, inclusive: boolean): boolean {
  return inclusive ? x <= value : x < value;
}
