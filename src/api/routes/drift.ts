import { z } from '@hono/zod-openapi';
import type { RetrainingFlag } from '../../db/queries/drift.ts';
import {
  type DriftRow,
  type FlagEnd,
  readDriftPage,
  readDriftSeries,
  readFlagPage,
  type SeriesEnd,
} from '../../db/queries/result-drift.ts';
import type { ApiDeps } from '../deps.ts';
import { readDistribution } from '../drift-distribution.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { FIRST_DAY, keyPart, LAST_DAY, requireResult } from '../results.ts';
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

const kindPart = z.enum(['rolling', 'anchored']);
/** The night a page is of, then the place in it. */
const nightKey = z.tuple([keyPart.date, keyPart.hash, keyPart.hash, keyPart.hash, kindPart, keyPart.name]);
type NightKey = [string, string, string, string, 'rolling' | 'anchored', string];
/** The universe a page is of, then the place in it. */
const seriesKey = z.tuple([keyPart.hash, keyPart.date, keyPart.hash, keyPart.hash]);
type SeriesKey = [string, string, string, string];
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
      const after = keyIn<SeriesKey>(pageToken, seriesKey);
      const universe = after?.[0] ?? (await requireResult(sql, 'driftMonitoring', night)).universe;
      const list: KeyedList<DriftRow, SeriesKey> = {
        read: (key, rows) =>
          readDriftSeries(sql, {
            universe,
            series,
            baseline,
            from: from ?? FIRST_DAY,
            through: to ?? LAST_DAY,
            after: key === null ? null : seriesEndOf(key),
            limit: rows,
          }),
        keyOf: ({ sessionDate, universeVersion, featureSetVersion }) => [
          universe,
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
      const run = await requireResult(sql, 'driftMonitoring', night);
      const { sessionDate, universe } = run;
      const found = await readDistribution(sql, { run, series, kind: baselineKind });
      if (found === null)
        throw new Problem(
          'not-found',
          `${series} has no ${baselineKind} baseline on ${sessionDate} (${universe})`,
        );
      return c.json({ sessionDate, universe, series, baselineKind, ...found }, 200);
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

function seriesEndOf([, sessionDate, universeVersion, featureSetVersion]: SeriesKey): SeriesEnd {
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
