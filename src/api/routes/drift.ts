import { z } from '@hono/zod-openapi';
import type { Queryable } from '../../db/client.ts';
import type { RetrainingFlag } from '../../db/queries/drift.ts';
import { PROBABILITY_NAMES } from '../../db/queries/predictions.ts';
import {
  type DriftRow,
  findDriftBaseline,
  type FlagEnd,
  readDriftPage,
  readDriftSeries,
  readFlagPage,
  readStoredFeatureValues,
  readStoredProbabilities,
  type SeriesEnd,
  type SessionValues,
} from '../../db/queries/result-drift.ts';
import { binOf } from '../../domain/drift.ts';
import { addDays } from '../../domain/schedule-times.ts';
import type { ApiDeps } from '../deps.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { keyPart, requireResult } from '../results.ts';
import { newRouter } from '../router.ts';
import { formatOf, streamItems } from '../streams.ts';
import {
  detailsSchema,
  distributionRoute,
  flagReasons,
  flagsRoute,
  type flagSchema,
  nightRoute,
  rowSchema,
  seriesRoute,
  summarySchema,
} from './drift-definitions.ts';

/** Sessions of the current window, and days in which there are as many. */
const WINDOW_SESSIONS = 20;
const WINDOW_DAYS = 45;
const FIRST_SESSION = '1900-01-01';
const LAST_SESSION = '2099-12-31';
const PREDICTION = 'prediction:';

const kindPart = z.enum(['rolling', 'anchored']);
/** The night a page is of, then the place in it. */
const nightKey = z.tuple([keyPart.date, keyPart.hash, keyPart.hash, keyPart.hash, kindPart, keyPart.name]);
type NightKey = [string, string, string, string, 'rolling' | 'anchored', string];
const seriesKey = z.tuple([keyPart.date, keyPart.hash, keyPart.hash]);
const flagKey = z.tuple([keyPart.date, keyPart.hash, keyPart.hash, keyPart.hash]);
const statusSchema = rowSchema.shape.status;

/** Drift by night and by series, distributions, retraining flags. */
export function driftRoutes({ sql, log }: ApiDeps) {
  return newRouter()
    .openapi(nightRoute, async (c) => {
      const { limit, pageToken, format: asked, baseline, ...night } = c.req.valid('query');
      const after = keyIn<NightKey>(pageToken, nightKey);
      const begun = after === null ? night : { session: after[0], universe: after[1] };
      const run = await requireResult(sql, 'driftMonitoring', begun);
      const { sessionDate, universe, taskRunId } = run;
      const universeVersion = after?.[2] ?? run.universeVersion;
      const list: KeyedList<DriftRow, NightKey> = {
        read: (key, rows) => {
          const [, , , featureSetVersion = '', baselineKind = '', feature = ''] = key ?? [];
          return readDriftPage(sql, {
            night: { sessionDate, universe, universeVersion },
            baseline,
            after: key === null ? null : { featureSetVersion, baselineKind, feature },
            limit: rows,
          });
        },
        keyOf: ({ featureSetVersion, baselineKind, feature }) => [
          sessionDate,
          universe,
          universeVersion,
          featureSetVersion,
          baselineKind,
          feature,
        ],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const name = `drift-${universe}-${sessionDate}`;
        const batches = itemBatchesOf(list, after, rowOf);
        return await streamItems(c, { format, schema: rowSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json(
        {
          ...summarySchema.parse(run.result),
          sessionDate,
          universe,
          universeVersion,
          runId: taskRunId,
          items: rows.map(rowOf),
          nextPageToken,
        },
        200,
      );
    })
    .openapi(seriesRoute, async (c) => {
      const { series } = c.req.valid('param');
      const { limit, pageToken, format: asked, baseline, from, to, ...night } = c.req.valid('query');
      const after = keyIn(pageToken, seriesKey);
      const { universe } = await requireResult(sql, 'driftMonitoring', night);
      const list: KeyedList<DriftRow, [string, string, string]> = {
        read: (key, rows) =>
          readDriftSeries(sql, {
            universe,
            series,
            baseline,
            from: from ?? FIRST_SESSION,
            through: to ?? LAST_SESSION,
            after: key === null ? null : seriesEndOf(key),
            limit: rows,
          }),
        keyOf: ({ sessionDate, universeVersion, featureSetVersion }) => [
          sessionDate,
          universeVersion,
          featureSetVersion,
        ],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const name = `drift-${series}-${universe}`;
        const batches = itemBatchesOf(list, after, rowOf);
        return await streamItems(c, { format, schema: rowSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      if (after === null && rows.length === 0)
        throw new Problem('not-found', `no night of ${universe} has logged a series ${series}`);
      return c.json({ universe, series, items: rows.map(rowOf), nextPageToken }, 200);
    })
    .openapi(distributionRoute, async (c) => {
      const { series } = c.req.valid('param');
      const { baseline: baselineKind, ...night } = c.req.valid('query');
      const { sessionDate, universe } = await requireResult(sql, 'driftMonitoring', night);
      const [row] = await readDriftSeries(sql, {
        universe,
        series,
        baseline: baselineKind,
        from: sessionDate,
        through: sessionDate,
        after: null,
        limit: 1,
      });
      const stored =
        row === undefined || row.baselineId === null
          ? null
          : await findDriftBaseline(sql, { baselineId: row.baselineId, feature: series });
      if (row === undefined || stored === null)
        throw new Problem(
          'not-found',
          `${series} has no ${baselineKind} baseline on ${sessionDate} (${universe})`,
        );
      const edges = [...stored.edges];
      const current = await currentValues(sql, row);
      const { firstSession, lastSession, rows } = stored;
      // Behind the bins there may be one of missing values.
      const missing = stored.shares[edges.length + 1] ?? null;
      const shares = stored.shares.slice(0, edges.length + 1);
      return c.json(
        {
          sessionDate,
          universe,
          series,
          baselineKind,
          edges,
          baseline: { firstSession, lastSession, sessions: null, rows, missing, shares },
          current: histogramOf(current, edges, missing !== null),
        },
        200,
      );
    })
    .openapi(flagsRoute, async (c) => {
      const { universe, limit, pageToken } = c.req.valid('query');
      const list: KeyedList<RetrainingFlag & { recordedAt: string }, [string, string, string, string]> = {
        read: (key, rows) =>
          readFlagPage(sql, { universe, after: key === null ? null : flagEndOf(key), limit: rows }),
        keyOf: (flag) => [flag.sessionDate, flag.universe, flag.universeVersion, flag.modelVersion],
      };
      const { rows, nextPageToken } = await readKeyPage(list, { after: keyIn(pageToken, flagKey), limit });
      return c.json({ items: rows.map(flagOf), nextPageToken }, 200);
    });
}

function seriesEndOf([sessionDate, universeVersion, featureSetVersion]: [string, string, string]): SeriesEnd {
  return { sessionDate, universeVersion, featureSetVersion };
}

function flagEndOf([sessionDate, universe, universeVersion, modelVersion]: [
  string,
  string,
  string,
  string,
]): FlagEnd {
  return { sessionDate, universe, universeVersion, modelVersion };
}

function flagOf(flag: RetrainingFlag & { recordedAt: string }): z.infer<typeof flagSchema> {
  const reasons = flagReasons.parse(flag.reasons);
  const { sessionDate, universe, universeVersion, modelVersion, taskRunId, recordedAt } = flag;
  const raised = reasons.length > 0;
  return {
    sessionDate,
    universe,
    universeVersion,
    modelVersion,
    raised,
    reasons,
    runId: taskRunId,
    recordedAt,
  };
}

function rowOf(row: DriftRow): z.infer<typeof rowSchema> {
  const details = detailsSchema.parse(row.details);
  return {
    sessionDate: row.sessionDate,
    universe: row.universe,
    universeVersion: row.universeVersion,
    featureSetVersion: row.featureSetVersion,
    series: row.feature,
    kind: details.kind,
    baseline: row.baselineKind,
    status: statusSchema.parse(row.status),
    words: details.words,
    psi: row.psi,
    psiCritical: row.psiCritical,
    klCurrentGivenBaseline: row.klCurrentGivenBaseline,
    klBaselineGivenCurrent: row.klBaselineGivenCurrent,
    klCritical: row.klCritical,
    jensenShannon: row.jensenShannon,
    ksStatistic: row.ksStatistic,
    ksPValue: row.ksPValue,
    ksCritical: row.ksCritical,
    percentile: details.percentile,
    pValue: row.pValue,
    qValue: row.qValue,
    exceeded: row.exceeded,
    alarm: row.alarm,
    baselineRows: row.baselineRows,
    currentRows: row.currentRows,
    windows: row.windows,
    independentWindows: details.independentWindows,
    baselineMissingShare: details.baselineMissingShare,
    currentMissingShare: details.currentMissingShare,
    invalidReason: row.invalidReason,
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
function histogramOf(sessions: readonly SessionValues[], edges: readonly number[], countsMissing: boolean) {
  const [newest, oldest] = [sessions[0], sessions.at(-1)];
  const all = sessions.flatMap(({ values }) => values);
  const present = all.filter((value) => !Number.isNaN(value));
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
