import {
  binOf,
  createBaseline,
  jsOfShares,
  klOfShares,
  ksPValue,
  ksStatisticSorted,
  psiOfShares,
  type Baseline,
  type KlDivergence,
} from './drift.ts';
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
  readonly totals: Float64Array;
}

interface Grid {
  /** Unique quantiles i/100; the edges of the bins are among them. */
  readonly edges: Float64Array;
  /** Bin of each grid cell. */
  readonly binOfCell: Uint16Array;
  readonly bins: number;
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
  const cells = grid.edges.length + 1;
  const sessions = range.lastSession - range.firstSession + 1;
  const counts = new Uint32Array(Math.max(0, sessions) * (cells + 1));
  for (let s = 0; s < sessions; s += 1) {
    countInto(counts.subarray(s * (cells + 1), (s + 1) * (cells + 1)), range, {
      session: range.firstSession + s,
      edges: grid.edges,
    });
  }
  const totals = new Float64Array(cells + 1);
  for (let s = 0; s < sessions; s += 1) {
    const row = s * (cells + 1);
    for (let cell = 0; cell <= cells; cell += 1) {
      totals[cell] = (totals[cell] as number) + (counts[row + cell] as number);
    }
  }
  const found: Record<DriftStatistic, number[]> = { psi: [], kl: [], ks: [] };
  const window = new Float64Array(cells + 1);
  const rest = Float64Array.from(totals);
  for (let s = 0; s < sessions; s += 1) {
    const entering = s * (cells + 1);
    const leaving = (s - windowSessions) * (cells + 1);
    for (let cell = 0; cell <= cells; cell += 1) {
      const left = leaving >= 0 ? (counts[leaving + cell] as number) : 0;
      const change = (counts[entering + cell] as number) - left;
      window[cell] = (window[cell] as number) + change;
      rest[cell] = (rest[cell] as number) - change;
    }
    if (s < windowSessions - 1 || presentIn(window) < options.minWindowValues) continue;
    const statistics = compareCounts({ baseline: rest, window, grid, floor: options.floor });
    for (const name of ['psi', 'kl', 'ks'] as const) found[name].push(statistics[name]);
  }
  const apart = (stride: number): number => Math.floor((found.psi.length + stride - 1) / stride);
  const independentWindows = apart(windowSessions);
  const past = (name: DriftStatistic): PastWindows => ({
    sorted: Float64Array.from(found[name]).sort(),
    effectiveWindows: effectiveWindows(found[name], { lag: windowSessions, independentWindows, models }),
  });
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
  const gridEdges = Float64Array.from(edges);
  const binOfCell = new Uint16Array(gridEdges.length + 1);
  for (let cell = 1; cell <= gridEdges.length; cell += 1) {
    binOfCell[cell] = binOf(gridEdges[cell - 1] as number, baseline.edges);
  }
  return { edges: gridEdges, binOfCell, bins: baseline.edges.length + 1 };
}

/** Add the values of a session to grid counts; the last slot counts the missing ones. */
function countInto(
  counts: Uint32Array | Float64Array,
  range: Pick<SessionValues, 'values' | 'rowStarts'>,
  { session, edges }: { session: number; edges: Float64Array },
): void {
  const end = range.rowStarts[session + 1] ?? 0;
  for (let row = range.rowStarts[session] ?? 0; row < end; row += 1) {
    const value = range.values[row] as number;
    const slot = value === value ? binOf(value, edges) : counts.length - 1;
    counts[slot] = (counts[slot] as number) + 1;
  }
}

function presentIn(counts: Float64Array): number {
  let sum = 0;
  for (let cell = 0; cell < counts.length - 1; cell += 1) sum += counts[cell] as number;
  return sum;
}

function compareCounts(input: {
  baseline: Float64Array;
  window: Float64Array;
  grid: Grid;
  floor: number;
}): WindowStatistics {
  const shares = sharesOf(input);
  return { psi: psiOfShares(shares), kl: klOfShares(shares).currentGivenBaseline, ks: gridKs(input) };
}

function sharesOf(input: { baseline: Float64Array; window: Float64Array; grid: Grid; floor: number }): {
  baseline: Float64Array;
  current: Float64Array;
} {
  const { baseline, window, grid, floor } = input;
  const baselineShares = new Float64Array(grid.bins + 1);
  const currentShares = new Float64Array(grid.bins + 1);
  let baselineTotal = 0;
  let windowTotal = 0;
  for (let cell = 0; cell < window.length; cell += 1) {
    const bin = cell === window.length - 1 ? grid.bins : (grid.binOfCell[cell] as number);
    baselineShares[bin] = (baselineShares[bin] as number) + (baseline[cell] as number);
    currentShares[bin] = (currentShares[bin] as number) + (window[cell] as number);
    baselineTotal += baseline[cell] as number;
    windowTotal += window[cell] as number;
  }
  return {
    baseline: baselineShares.map((count) => Math.max(count / baselineTotal, floor)),
    current: currentShares.map((count) => Math.max(count / windowTotal, floor)),
  };
}

function gridKs({ baseline, window }: { baseline: Float64Array; window: Float64Array }): number {
  const baselineTotal = presentIn(baseline);
  const windowTotal = presentIn(window);
  let below = 0;
  let belowInWindow = 0;
  let largest = 0;
  for (let cell = 0; cell < window.length - 1; cell += 1) {
    below += baseline[cell] as number;
    belowInWindow += window[cell] as number;
    largest = Math.max(largest, Math.abs(below / baselineTotal - belowInWindow / windowTotal));
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
  const window = new Float64Array(totals.length);
  for (let session = range.firstSession; session <= range.lastSession; session += 1) {
    countInto(window, range, { session, edges: grid.edges });
  }
  const input = { baseline: totals, window, grid, floor: options.floor };
  const shares = sharesOf(input);
  const present = options.exactKs
    ? sortAscending(Float64Array.from(valuesOf(range)).filter((value) => value === value))
    : new Float64Array();
  const ksStatistic = ksStatisticSorted(present, baseline.sorted);
  const missing = window.at(-1) ?? 0;
  return {
    statistics: compareCounts(input),
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
  const { sorted, effectiveWindows: effective } = past;
  const logs = sorted.map(logOf);
  const centre = mean(logs);
  // Dependent windows stay closer to their own mean than to the true one, and a new one adds that mean's error.
  const widen = Math.sqrt((1 + 1 / effective) / (1 - 1 / effective));
  const spread = Math.max(standardDeviation(logs) || 0, MIN_LOG_SPREAD) * widen;
  return {
    threshold: quantileSorted(sorted, percentile),
    percentile: upperBound(sorted, statistic) / sorted.length,
    pValue: studentTSf((logOf(statistic) - centre) / spread, effective - 1),
  };
}
