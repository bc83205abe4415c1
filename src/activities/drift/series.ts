import type { SessionValues } from '../../domain/drift-monitor.ts';
import { describeFeature, FEATURES } from '../../domain/features/registry.ts';
import type { FeatureDefinition } from '../../domain/features/types.ts';

/** A column of the dataset and why it must not alarm; null: it is watched. */
export type FeatureSpec = { name: string; excludedBecause: string | null };

/** What to watch among the columns of a dataset: not the calendar, and of ranks the value before ranking. */
export function featureSpecs(
  columns: readonly string[],
  features: readonly FeatureDefinition[] = FEATURES,
): FeatureSpec[] {
  const known = new Map(features.map((feature) => [feature.name, feature]));
  return columns.map((name) => {
    const feature = known.get(name);
    return { name, excludedBecause: feature === undefined ? null : exclusionOf(feature) };
  });
}

function exclusionOf(feature: FeatureDefinition): string | null {
  const { monitoredAs } = describeFeature(feature);
  if (monitoredAs === null) return `a ${feature.family} feature drifts by itself`;
  return monitoredAs === feature.name ? null : `its value before ranking, ${monitoredAs}, is monitored`;
}

/** Sessions of the night's axis, both included. */
export type SessionRange = { firstSession: number; lastSession: number };

/** Values by session on an axis of `sessions` sessions: the rows of session s are `rowStarts[s] .. rowStarts[s+1]`. */
export type SessionColumn = { values: Float64Array; rowStarts: Int32Array };

/** Rows in any order, laid out by session; rows without a number or off the axis are left out. */
export function layOutBySession(
  rows: { session: ArrayLike<number>; values: ArrayLike<number> },
  sessions: number,
): SessionColumn {
  const rowStarts = new Int32Array(sessions + 1);
  const isUsed = (row: number): boolean => {
    const session = rows.session[row] ?? -1;
    return session >= 0 && session < sessions && !Number.isNaN(rows.values[row] ?? Number.NaN);
  };
  for (let row = 0; row < rows.values.length; row += 1) {
    if (isUsed(row)) add(rowStarts, (rows.session[row] ?? 0) + 1);
  }
  for (let s = 0; s < sessions; s += 1) add(rowStarts, s + 1, rowStarts[s] ?? 0);
  const next = rowStarts.slice();
  const values = new Float64Array(rowStarts[sessions] ?? 0);
  for (let row = 0; row < rows.values.length; row += 1) {
    if (!isUsed(row)) continue;
    const session = rows.session[row] ?? 0;
    values[next[session] ?? 0] = rows.values[row] ?? Number.NaN;
    add(next, session);
  }
  return { values, rowStarts };
}

function add(counts: Int32Array, index: number, amount = 1): void {
  counts[index] = (counts[index] ?? 0) + amount;
}

/** The same column without its missing values: what `drift.missing: drop` compares. */
export function dropMissing(range: SessionValues): SessionValues {
  const rowStarts = Int32Array.from(range.rowStarts);
  const kept = range.values.filter((value) => !Number.isNaN(value));
  if (kept.length === range.values.length) return range;
  let n = 0;
  for (let s = 0; s + 1 < rowStarts.length; s += 1) {
    const [from, to] = [range.rowStarts[s] ?? 0, range.rowStarts[s + 1] ?? 0];
    rowStarts[s] = n;
    for (let row = from; row < to; row += 1) if (!Number.isNaN(range.values[row])) n += 1;
  }
  rowStarts[rowStarts.length - 1] = n;
  return { ...range, values: kept, rowStarts };
}

/**
 * The range without the sessions before the series' first value: there it was warming up, and what was never there
 * is not missing. A range without any value stays whole.
 */
export function fromFirstValue<R extends SessionValues>(range: R): R {
  const { values, rowStarts, firstSession, lastSession } = range;
  for (let session = firstSession; session <= lastSession; session += 1) {
    const end = rowStarts[session + 1] ?? 0;
    for (let row = rowStarts[session] ?? 0; row < end; row += 1) {
      if (!Number.isNaN(values[row])) return { ...range, firstSession: session };
    }
  }
  return range;
}

/** First session of the unbroken run of sessions with values that ends at `session`; one later if there is none. */
export function runStart(rowStarts: ArrayLike<number>, session: number): number {
  let first = session + 1;
  while (first > 0 && (rowStarts[first] ?? 0) > (rowStarts[first - 1] ?? 0)) first -= 1;
  return first;
}
