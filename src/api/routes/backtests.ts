import { z } from '@hono/zod-openapi';
import type { BacktestMetric, EquityPoint } from '../../db/queries/backtests.ts';
import {
  type BacktestHead,
  findBacktestById,
  readEquityPage,
  readMetricPage,
} from '../../db/queries/result-backtests.ts';
import type { ApiDeps } from '../deps.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { keyPart, requireResult, textIn } from '../results.ts';
import { newRouter } from '../router.ts';
import { formatOf, streamItems } from '../streams.ts';
import {
  backtestRoute,
  equityRoute,
  equitySchema,
  metricSchema,
  metricsRoute,
  summarySchema,
} from './backtest-definitions.ts';

const survivorshipSchema = z.enum(['biased', 'unbiased', 'unknown']);
/** The backtest a page is of, then the place in it: a page goes on in the backtest it began with. */
const metricKey = z.tuple([keyPart.hash, keyPart.name, keyPart.name, keyPart.name, keyPart.name]);
const equityKey = z.tuple([keyPart.hash, keyPart.name, keyPart.date]);

/** Backtests by session: the summary, all metrics, the curves. */
export function backtestRoutes({ sql, log }: ApiDeps) {
  const backtestOf = async (
    asked: { session: string; universe: string | undefined },
    begun: string | undefined,
  ): Promise<BacktestHead> => {
    const { session, universe } = asked;
    const backtestId =
      begun ?? textIn(await requireResult(sql, 'backtest', { session, universe }), 'backtestId');
    const found = await findBacktestById(sql, backtestId);
    if (found === null || found.sessionDate !== session)
      throw new Problem('not-found', `the backtest of ${session} is no longer kept`);
    return found;
  };
  return newRouter()
    .openapi(backtestRoute, async (c) => {
      const { session } = c.req.valid('param');
      const { universe } = c.req.valid('query');
      const head = await backtestOf({ session, universe }, undefined);
      const { universeVersion, featureSetVersion, datasetHash, recordedAt, invalidReason } = head;
      return c.json(
        {
          ...summarySchema.parse(head.summary),
          ...identityOf(head),
          runId: head.taskRunId,
          universeVersion,
          featureSetVersion,
          datasetHash,
          survivorship: survivorshipSchema.parse(head.survivorship),
          recordedAt,
          invalidReason,
        },
        200,
      );
    })
    .openapi(metricsRoute, async (c) => {
      const { session } = c.req.valid('param');
      const { limit, pageToken, format: asked, universe, ...filter } = c.req.valid('query');
      const after = keyIn(pageToken, metricKey);
      const head = await backtestOf({ session, universe }, after?.[0]);
      const { backtestId } = head;
      const list: KeyedList<BacktestMetric, z.infer<typeof metricKey>> = {
        read: (key, rows) => {
          const [, model = '', dimension = '', bucket = '', metric = ''] = key ?? [];
          const { model: of, dimension: by, bucket: at } = filter;
          return readMetricPage(sql, {
            backtestId,
            filter: { model: of, dimension: by, bucket: at },
            after: key === null ? null : { model, dimension, bucket, metric },
            limit: rows,
          });
        },
        keyOf: ({ model, dimension, bucket, metric }) => [backtestId, model, dimension, bucket, metric],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const name = `backtest-metrics-${head.universe}-${session}`;
        const batches = itemBatchesOf(list, after, metricOf);
        return await streamItems(c, { format, schema: metricSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json({ ...identityOf(head), items: rows.map(metricOf), nextPageToken }, 200);
    })
    .openapi(equityRoute, async (c) => {
      const { session } = c.req.valid('param');
      const { limit, pageToken, format: asked, universe, series } = c.req.valid('query');
      const after = keyIn(pageToken, equityKey);
      const head = await backtestOf({ session, universe }, after?.[0]);
      const { backtestId } = head;
      const list: KeyedList<EquityPoint, z.infer<typeof equityKey>> = {
        read: (key, rows) => {
          const [, of = '', sessionDate = ''] = key ?? [];
          const place = key === null ? null : { series: of, sessionDate };
          return readEquityPage(sql, { backtestId, series, after: place, limit: rows });
        },
        keyOf: ({ series: of, sessionDate }) => [backtestId, of, sessionDate],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const name = `equity-${head.universe}-${session}`;
        const batches = itemBatchesOf(list, after, (point: EquityPoint) => point);
        return await streamItems(c, { format, schema: equitySchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json({ ...identityOf(head), items: rows.map((point) => ({ ...point })), nextPageToken }, 200);
    });
}

function identityOf({ backtestId, sessionDate, universe }: BacktestHead) {
  return { backtestId, sessionDate, universe };
}

function metricOf({ model, dimension, bucket, metric, value, lower, upper, n }: BacktestMetric) {
  return { model, dimension, bucket, metric, value, low: lower, high: upper, n };
}
