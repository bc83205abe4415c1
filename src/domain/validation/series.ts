import type { BarColumns } from '../bars.ts';
import type { FindingList } from './findings.ts';
import type { ValidationRules } from './rules.ts';

/** The usable rows of one symbol, and where they are on the exchange's sessions. */
export interface Series {
  readonly bars: BarColumns;
  readonly findings: FindingList;
  /** Row of each usable position. */
  readonly rows: Int32Array;
  /** Session index of each usable position, ascending. */
  readonly sessions: Int32Array;
  /** log(open / previous close), NaN where the neighbour is too far. Raw until `subtractMarket`. */
  readonly gaps: Float64Array;
}

export function createSeries(input: {
  readonly bars: BarColumns;
  readonly sessionOfRow: Int32Array;
  readonly findings: FindingList;
  readonly rules: ValidationRules;
}): Series {
  const { bars, sessionOfRow, findings, rules } = input;
  let count = 0;
  for (const session of sessionOfRow) if (session >= 0) count++;
  const rows = new Int32Array(count);
  const sessions = new Int32Array(count);
  const gaps = new Float64Array(count).fill(Number.NaN);
  let at = 0;
  for (let row = 0; row < sessionOfRow.length; row++) {
    const session = sessionOfRow[row] ?? -1;
    if (session < 0) continue;
    rows[at] = row;
    sessions[at] = session;
    if (at > 0 && session - (sessions[at - 1] ?? 0) <= rules.neighbourMaxSessions) {
      gaps[at] = Math.log((bars.open[row] ?? Number.NaN) / (bars.close[rows[at - 1] ?? 0] ?? Number.NaN));
    }
    at++;
  }
  return { bars, findings, rows, sessions, gaps };
}

/** Symbols with a usable bar in each session. */
export function countBySession(series: readonly Series[], sessionCount: number): Int32Array {
  const counts = new Int32Array(sessionCount);
  for (const { sessions } of series)
    for (const session of sessions) counts[session] = (counts[session] ?? 0) + 1;
  return counts;
}

/** Takes the median gap of all symbols off each session's gaps, where there are enough of them. */
export function subtractMarket(
  series: readonly Series[],
  sessionCount: number,
  rules: ValidationRules,
): void {
  const starts = new Int32Array(sessionCount + 1);
  for (const { sessions, gaps } of series) {
    for (let at = 0; at < sessions.length; at++) {
      if (!Number.isNaN(gaps[at])) starts[(sessions[at] ?? 0) + 1]!++;
    }
  }
  for (let session = 0; session < sessionCount; session++) starts[session + 1]! += starts[session]!;
  const values = new Float64Array(starts[sessionCount] ?? 0);
  const fill = starts.slice(0, sessionCount);
  for (const { sessions, gaps } of series) {
    for (let at = 0; at < sessions.length; at++) {
      const gap = gaps[at] ?? Number.NaN;
      if (!Number.isNaN(gap)) values[fill[sessions[at] ?? 0]!++] = gap;
    }
  }
  const medians = new Float64Array(sessionCount);
  for (let session = 0; session < sessionCount; session++) {
    const group = values.subarray(starts[session], starts[session + 1]);
    if (group.length >= rules.marketMinSymbols) medians[session] = medianInPlace(group);
  }
  for (const { sessions, gaps } of series) {
    for (let at = 0; at < sessions.length; at++) gaps[at]! -= medians[sessions[at] ?? 0] ?? 0;
  }
}

/** Scale of a symbol's gaps from those before a position: robust, never below the floor. */
export function gapScale(series: Series, at: number, rules: ValidationRules): number {
  const from = Math.max(0, at - rules.scaleSessions);
  const values: number[] = [];
  for (let position = from; position < at; position++) {
    const gap = series.gaps[position] ?? Number.NaN;
    if (!Number.isNaN(gap)) values.push(Math.abs(gap));
  }
  if (values.length < rules.scaleMinGaps) return rules.scaleDefault;
  return Math.max(rules.scaleFloor, 1.4826 * medianInPlace(Float64Array.from(values)));
}

/** Median; reorders its input. NaN for no values. */
export function medianInPlace(values: Float64Array): number {
  if (values.length === 0) return Number.NaN;
  const middle = values.length >>> 1;
  const upper = quickSelect(values, middle);
  if (values.length % 2 === 1) return upper;
  let lower = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < middle; i++) lower = Math.max(lower, values[i] ?? lower);
  return (lower + upper) / 2;
}

/** Value of rank `rank`; smaller ones end up before it. Median-of-three Hoare partition. */
function quickSelect(values: Float64Array, rank: number): number {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const a = values[left]!;
    const b = values[(left + right) >>> 1]!;
    const c = values[right]!;
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const swap = values[i]!;
      values[i++] = values[j]!;
      values[j--] = swap;
    }
    if (rank <= j) right = j;
    else if (rank >= i) left = i;
    else break;
  }
  return values[rank]!;
}
