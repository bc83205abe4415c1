import {
  binOf,
  createBaseline,
  jsOfShares,
  klOfShares,
  ksPValue,
  ksStatisticSorted,
  presentValues,
  type Baseline,
  type KlDivergence,
} from './drift.ts';
import { type BinSearch, countIntoBins, prepareBinSearch } from './statistics/bins.ts';
import { mean, quantileSorted, standardDeviation, upperBound } from './statistics/quantile.ts';
import { pearson } from './statistics/rank.ts';
import { sortAscending } from './statistics/sort.ts';
import { studentTSf } from './statistics/special.ts';

/** Values by session: the rows of session s are `rowStarts[s] .. rowStarts[s + 1]`. NaN is missing. */
export interface SessionValues {
  readonly values: Float32Array | Float64Array;
  readonly rowStarts: ArrayLike<number>;
  /** First and last session of the range, both included. */
  readonly firstSession: number;
  readonly lastSession: number;
  /** The values of the range, prepared already: spares sorting them again. */
  readonly prepared?: Baseline;
}

export interface WindowOptions {
  readonly windowSessions: number;
  readonly bins: number;
  readonly floor: number;
  /** Values (not missing) a window needs to count. */
  readonly minWindowValues: number;
  /** Sessions from the start of one counted past window to the next; default: they do not overlap. */
  readonly strideSessions?: number | undefined;
  /** Models that made the baseline's values; past windows never count as more independent ones than that. */
  readonly models?: number | undefined;
}

/**
 * Sessions of the baseline for a night: the training sessions that end at least window + h before it, so that no
 * label and no current window reaches into it. Null when none is left.
 */
export function baselineRange(input: {
  readonly trainFirstSession: number;
  readonly trainLastSession: number;
  readonly session: number;
  readonly horizonSessions: number;
  readonly windowSessions?: number;
}): { readonly firstSession: number; readonly lastSession: number } | null {
  const { windowSessions = 20, horizonSessions, session, trainFirstSession, trainLastSession } = input;
  const lastSession = Math.min(trainLastSession, session - windowSessions - horizonSessions);
  return lastSession < trainFirstSession ? null : { firstSession: trainFirstSession, lastSession };
}

export type DriftStatistic = 'psi' | 'kl' | 'ks';

/** Statistics of one window against the baseline, from bin counts; missing values have a bin of their own. */
export interface WindowStatistics {
  readonly psi: number;
  /** KL(current ‖ baseline). */
  readonly kl: number;
  /** Largest distance of the distribution functions on a grid of 100 baseline quantiles. */
  readonly ks: number;
}

/** One statistic over all contiguous windows inside the baseline that had enough values. */
export interface PastWindows {
  readonly sorted: Float64Array;
  /** Mean and sample deviation of the logarithms of `sorted`, as `calibratedPValue` takes them. */
  readonly logs: { readonly mean: number; readonly deviation: number };
  /** Non-overlapping windows, less where neighbours still resemble each other (a volatility regime lasts). */
  readonly effectiveWindows: number;
}

/** A baseline with the statistics of its own past windows: what is normal for this series. */
export interface Calibration {
  readonly baseline: Baseline;
  readonly windows: Readonly<Record<DriftStatistic, PastWindows>>;
  readonly comparisonWindows: number;
  /** How many of them lie a stride apart. */
  readonly countedWindows: number;
  /** How many of them do not overlap. */
  readonly independentWindows: number;
  readonly grid: Grid;
  readonly totals: Counts;
}

interface Grid {
  /** Unique quantiles i/100; the edges of the bins are among them. */
  readonly search: BinSearch;
  /** Last grid cell of each bin. */
  readonly lastCells: Uint16Array;
}

/** Values by grid cell, each cell with all before it: `below[cell]` are smaller than the cell's upper edge. */
interface Counts {
  readonly below: Int32Array;
  missing: number;
}

const CELLS_PER_BIN = 10;

/**
 * Cut the baseline into bins and compute the statistics of every contiguous window inside it. Each window is
 * compared with the baseline without itself, as a new window will be: one that is part of its own baseline looks
 * too normal.
 */
export function calibrate(range: SessionValues, options: WindowOptions): Calibration {
  const { windowSessions, bins, strideSessions = windowSessions, models } = options;
  const baseline = range.prepared ?? createBaseline(valuesOf(range), { bins });
  const grid = makeGrid(baseline, bins);
  const sessions: Counts[] = [];
  for (let session = range.firstSession; session <= range.lastSession; session += 1) {
    sessions.push(countOf(grid, range, { firstSession: session, lastSession: session }));
  }
  const totals = emptyCounts(grid);
  for (const counts of sessions) addCounts(totals, counts, 1);
  const found: Record<DriftStatistic, number[]> = { psi: [], kl: [], ks: [] };
  const window = emptyCounts(grid);
  const compared = { totals, window, grid, floor: options.floor, isPart: true, shares: emptyShares(grid) };
  for (const [s, entering] of sessions.entries()) {
    addCounts(window, entering, 1);
    const leaving = sessions[s - windowSessions];
    if (leaving !== undefined) addCounts(window, leaving, -1);
    if (s < windowSessions - 1 || presentIn(window) < options.minWindowValues) continue;
    const { psi, kl, ks } = compareCounts(compared);
    found.psi.push(psi);
    found.kl.push(kl);
    found.ks.push(ks);
  }
  const apart = (stride: number): number => Math.floor((found.psi.length + stride - 1) / stride);
  const independentWindows = apart(windowSessions);
  const past = (name: DriftStatistic): PastWindows => {
    const sorted = Float64Array.from(found[name]).sort();
    const logs = sorted.map(logOf);
    return {
      sorted,
      logs: { mean: mean(logs), deviation: standardDeviation(logs) },
      effectiveWindows: effectiveWindows(found[name], { lag: windowSessions, independentWindows, models }),
    };
  };
  return {
    baseline,
    windows: { psi: past('psi'), kl: past('kl'), ks: past('ks') },
    comparisonWindows: found.psi.length,
    countedWindows: apart(strideSessions),
    independentWindows,
    grid,
    totals,
  };
}

/**
 * K · (1 - r) / (1 + r) with r the autocorrelation of the log statistic at the lag of one window, r >= 0; at most
 * the number of models, whose own level and spread all their windows share.
 */
function effectiveWindows(
  statistics: readonly number[],
  given: { lag: number; independentWindows: number; models: number | undefined },
): number {
  const { lag, independentWindows, models = Number.POSITIVE_INFINITY } = given;
  const logs = Float64Array.from(statistics, logOf);
  const pairs = logs.length - lag;
  const r = pairs > 2 ? pearson(logs.slice(0, pairs), logs.slice(lag)) : 0;
  const positive = Number.isFinite(r) ? Math.min(0.9, Math.max(0, r)) : 0;
  return Math.max(3, Math.min(models, (independentWindows * (1 - positive)) / (1 + positive)));
}

function valuesOf(range: SessionValues): Float32Array | Float64Array {
  const start = range.rowStarts[range.firstSession] ?? 0;
  return range.values.subarray(start, range.rowStarts[range.lastSession + 1] ?? start);
}

function makeGrid(baseline: Baseline, bins: number): Grid {
  const cells = bins * CELLS_PER_BIN;
  const edges: number[] = [];
  for (let i = 1; i < cells && baseline.sorted.length > 0; i += 1) {
    const edge = quantileSorted(baseline.sorted, i / cells);
    if (edge !== edges.at(-1)) edges.push(edge);
  }
  const lastCells = new Uint16Array(baseline.edges.length + 1);
  for (const [i, edge] of edges.entries()) lastCells.fill(i + 1, binOf(edge, baseline.edges));
  return { search: prepareBinSearch(Float64Array.from(edges)), lastCells };
}

function emptyCounts(grid: Grid): Counts {
  return { below: new Int32Array(grid.search.edges.length + 1), missing: 0 };
}

function addCounts(sum: Counts, counts: Counts, times: 1 | -1): void {
  const { below } = sum;
  for (let cell = 0; cell < below.length; cell += 1) {
    below[cell] = (below[cell] as number) + times * (counts.below[cell] as number);
  }
  sum.missing += times * counts.missing;
}

/** Counts of the rows of some sessions, which follow each other. */
function countOf(
  grid: Grid,
  { values, rowStarts }: Pick<SessionValues, 'values' | 'rowStarts'>,
  { firstSession, lastSession }: { firstSession: number; lastSession: number },
): Counts {
  const cells = grid.search.edges.length + 1;
  const counts = new Int32Array(cells + 1);
  const rows = { values, from: rowStarts[firstSession] ?? 0, to: rowStarts[lastSession + 1] ?? 0 };
  countIntoBins(counts, rows, grid.search);
  for (let cell = 1; cell < cells; cell += 1) {
    counts[cell] = (counts[cell] as number) + (counts[cell - 1] as number);
  }
  return { below: counts.subarray(0, cells), missing: counts[cells] as number };
}

function presentIn({ below }: Counts): number {
  return below[below.length - 1] as number;
}

interface Compared {
  readonly totals: Counts;
  readonly window: Counts;
  readonly grid: Grid;
  readonly floor: number;
  /** Whether the window is part of the totals: it is compared with the rest of them. */
  readonly isPart: boolean;
  /** Where the shares go: made once for many windows. */
  readonly shares: Shares;
}

interface Shares {
  readonly baseline: Float64Array;
  readonly current: Float64Array;
}

function emptyShares({ lastCells }: Grid): Shares {
  const slots = lastCells.length + 1;
  return { baseline: new Float64Array(slots), current: new Float64Array(slots) };
}

function compareCounts(input: Compared): WindowStatistics {
  let psi = 0;
  let kl = 0;
  const { baseline, current } = fillShares(input);
  for (let i = 0; i < baseline.length; i += 1) {
    const b = baseline[i] as number;
    const c = current[i] as number;
    const log = Math.log(c / b);
    psi += (c - b) * log;
    kl += c * log;
  }
  return { psi, kl, ks: gridKs(input) };
}

/** Floored shares by bin, the missing values last. All counts are whole numbers: sums of them are exact. */
function fillShares({ totals, window, grid, floor, isPart, shares }: Compared): Shares {
  const { baseline, current } = shares;
  const { lastCells } = grid;
  const bins = lastCells.length;
  const own = isPart ? 1 : 0;
  const windowTotal = presentIn(window) + window.missing;
  const baselineTotal = presentIn(totals) + totals.missing - own * windowTotal;
  let before = 0;
  let beforeInWindow = 0;
  for (let bin = 0; bin <= bins; bin += 1) {
    const cell = lastCells[bin] as number;
    const all = bin < bins ? (totals.below[cell] as number) : presentIn(totals) + totals.missing;
    const inWindow = bin < bins ? (window.below[cell] as number) : windowTotal;
    const count = inWindow - beforeInWindow;
    current[bin] = Math.max(count / windowTotal, floor);
    baseline[bin] = Math.max((all - before - own * count) / baselineTotal, floor);
    before = all;
    beforeInWindow = inWindow;
  }
  return shares;
}

function gridKs({ totals, window, isPart }: Compared): number {
  const { below } = window;
  const own = isPart ? 1 : 0;
  const windowTotal = presentIn(window);
  const baselineTotal = presentIn(totals) - own * windowTotal;
  let largest = 0;
  for (let cell = 0; cell < below.length; cell += 1) {
    const inWindow = below[cell] as number;
    const rest = (totals.below[cell] as number) - own * inWindow;
    largest = Math.max(largest, Math.abs(rest / baselineTotal - inWindow / windowTotal));
  }
  return largest;
}

/** One current window beside its calibration. */
export interface WindowComparison {
  readonly statistics: WindowStatistics;
  readonly kl: KlDivergence;
  readonly jsDivergence: number;
  /** Exact KS statistic and its naive p-value, which supposes independent rows. */
  readonly ksStatistic: number;
  readonly ksPValue: number;
  readonly rows: number;
  readonly missing: number;
}

/** Compare the sessions of a range with a calibrated baseline; `exactKs` false leaves the raw KS test out. */
export function compareWindow(
  range: SessionValues,
  calibration: Calibration,
  options: { readonly floor: number; readonly exactKs: boolean },
): WindowComparison {
  const { baseline, grid, totals } = calibration;
  const window = countOf(grid, range, range);
  const shares = emptyShares(grid);
  const statistics = compareCounts({ totals, window, grid, floor: options.floor, isPart: false, shares });
  const present = options.exactKs ? sortAscending(presentValues(valuesOf(range))) : new Float64Array();
  const ksStatistic = ksStatisticSorted(present, baseline.sorted);
  const { missing } = window;
  return {
    statistics,
    kl: klOfShares(shares),
    jsDivergence: jsOfShares(shares),
    ksStatistic,
    ksPValue: ksPValue(ksStatistic, present.length, baseline.sorted.length),
    rows: presentIn(window) + missing,
    missing,
  };
}

export interface CalibratedP {
  /** The chosen percentile of the statistic over past windows. */
  readonly threshold: number;
  /** Share of past windows with a statistic not above the current one. */
  readonly percentile: number;
  /** See `calibratedPValue`. */
  readonly pValue: number;
}

const MIN_LOG_SPREAD = 0.05;

/** The offset keeps the logarithm of a constant series finite. */
function logOf(statistic: number): number {
  return Math.log(Math.max(0, statistic) + 1e-6);
}

/**
 * How unusual a statistic is among past windows. Windows overlap, so that ranks among them promise more than the
 * few independent ones can: the p-value is that of a new value in a Student t prediction for the logarithm of the
 * statistic, with (effective windows - 1) degrees of freedom. The threshold is the plain percentile.
 */
export function calibratedPValue(statistic: number, past: PastWindows, percentile: number): CalibratedP {
  const { sorted, logs, effectiveWindows: effective } = past;
  // Dependent windows stay closer to their own mean than to the true one, and a new one adds that mean's error.
  const widen = Math.sqrt((1 + 1 / effective) / (1 - 1 / effective));
  const spread = Math.max(logs.deviation || 0, MIN_LOG_SPREAD) * widen;
  return {
    threshold: quantileSorted(sorted, percentile),
    percentile: upperBound(sorted, statistic) / sorted.length,
    pValue: studentTSf((logOf(statistic) - logs.mean) / spread, effective - 1),
  };
}
