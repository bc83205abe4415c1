import type { Queryable } from '../db/client.ts';
import type { BaselineKind } from '../db/queries/drift.ts';
import { PROBABILITY_NAMES } from '../db/queries/predictions.ts';
import {
  type DriftRow,
  findDriftBaseline,
  readDriftSeries,
  readStoredFeatureValues,
  readStoredProbabilities,
  type SessionValues,
} from '../db/queries/result-drift.ts';
import type { TaskResultRun } from '../db/queries/task-results.ts';
import { binOf } from '../domain/drift.ts';
import { addDays } from '../domain/schedule-times.ts';

/** Sessions of the current window, and days in which there are as many. */
const WINDOW_SESSIONS = 20;
const WINDOW_DAYS = 45;
const PREDICTION = 'prediction:';

/** Shares of values by bin, bin i being edges[i-1] <= x < edges[i] with open ends; `missing`: without a value. */
type Histogram = {
  firstSession: string;
  lastSession: string;
  /** Null: not known. */
  sessions: number | null;
  rows: number;
  /** Null: values that are missing are not counted. */
  missing: number | null;
  shares: number[];
};

/** A series of a night beside its baseline; `current` null: none of its values is stored. */
export type SeriesDistribution = { edges: number[]; baseline: Histogram; current: Histogram | null };

/** How a night's series and its baseline fill the same bins; null where it was compared with none. */
export async function readDistribution(
  sql: Queryable,
  input: {
    run: Pick<TaskResultRun, 'sessionDate' | 'universe' | 'universeVersion'>;
    series: string;
    kind: BaselineKind;
  },
): Promise<SeriesDistribution | null> {
  const { run, series, kind } = input;
  const { sessionDate, universe, universeVersion } = run;
  const [row] = await readDriftSeries(sql, {
    universe,
    universeVersion,
    series,
    baseline: kind,
    from: sessionDate,
    through: sessionDate,
    after: null,
    limit: 1,
  });
  if (row === undefined || row.baselineId === null) return null;
  const stored = await findDriftBaseline(sql, { baselineId: row.baselineId, feature: series });
  if (stored === null) return null;
  const { firstSession, lastSession, rows } = stored;
  const edges = [...stored.edges];
  // Behind the bins there may be one of missing values.
  const missing = stored.shares[edges.length + 1] ?? null;
  const shares = stored.shares.slice(0, edges.length + 1);
  return {
    edges,
    baseline: { firstSession, lastSession, sessions: null, rows, missing, shares },
    current: histogramOf(await currentValues(sql, row), edges, missing !== null),
  };
}

/** What is stored of a series in the window that ends with the row's session, newest session first. */
async function currentValues(sql: Queryable, row: DriftRow): Promise<SessionValues[]> {
  const { feature, universe, universeVersion, featureSetVersion, sessionDate: through } = row;
  const window = { from: addDays(through, -WINDOW_DAYS), through, sessions: WINDOW_SESSIONS };
  if (!feature.startsWith(PREDICTION))
    return await readStoredFeatureValues(sql, { ...window, feature, universeVersion, featureSetVersion });
  const model = PROBABILITY_NAMES.find((name) => name === feature.slice(PREDICTION.length));
  return model === undefined ? [] : await readStoredProbabilities(sql, { ...window, model, universe });
}

/** Shares of values in the bins of a baseline; null where there is no value. */
export function histogramOf(
  sessions: readonly SessionValues[],
  edges: readonly number[],
  countsMissing: boolean,
): Histogram | null {
  const [newest, oldest] = [sessions[0], sessions.at(-1)];
  const all = sessions.flatMap(({ values }) => values);
  const present = all.flatMap((value) => (value === null || Number.isNaN(value) ? [] : [value]));
  if (newest === undefined || oldest === undefined || present.length === 0) return null;
  const bounds = Float64Array.from(edges);
  const counts = Array.from({ length: edges.length + 1 }, () => 0);
  for (const value of present) {
    const bin = binOf(value, bounds);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const total = countsMissing ? all.length : present.length;
  return {
    firstSession: oldest.sessionDate,
    lastSession: newest.sessionDate,
    sessions: sessions.length,
    rows: all.length,
    missing: countsMissing ? (all.length - present.length) / total : null,
    shares: counts.map((count) => count / total),
  };
}
