import { z } from '@hono/zod-openapi';
import type { BacktestMetric, EquityPoint } from '../../db/queries/backtests.ts';
import {
  type BacktestHead,
  findBacktestById,
  type ListedBacktest,
  readBacktestPage,
  readEquityPage,
  readMetricPage,
} from '../../db/queries/result-backtests.ts';
import type { ApiDeps } from '../deps.ts';
import { instantPart, itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { keyPart, requireResult, textIn } from '../results.ts';
import { newRouter } from '../router.ts';
import { formatOf, streamItems } from '../streams.ts';
import {
  backtestRoute,
  equityRoute,
  equitySchema,
  listRoute,
  metricSchema,
  metricsRoute,
  originSchema,
  summarySchema,
} from './backtest-definitions.ts';

const listKey = z.tuple([keyPart.date, instantPart, keyPart.hash]);
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
    .openapi(listRoute, async (c) => {
      const { universe, limit, pageToken } = c.req.valid('query');
      const list: KeyedList<ListedBacktest, [string, string, string]> = {
        read: (key, rows) => {
          const [sessionDate = '', recordedAt = '', backtestId = ''] = key ?? [];
          const after = key === null ? null : { sessionDate, recordedAt, backtestId };
          return readBacktestPage(sql, { universe, after, limit: rows });
        },
        keyOf: ({ sessionDate, pageAt, backtestId }) => [sessionDate, pageAt, backtestId],
      };
      const after = keyIn(pageToken, listKey);
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      const items = rows.map((row) => ({ ...originOf(row), shown: row.isShown }));
      return c.json({ items, nextPageToken }, 200);
    })
    .openapi(backtestRoute, async (c) => {
      const { session } = c.req.valid('param');
      const { universe } = c.req.valid('query');
      const head = await backtestOf({ session, universe }, undefined);
      return c.json({ ...summarySchema.parse(head.summary), ...originOf(head) }, 200);
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

function originOf({ taskRunId, ...row }: Omit<BacktestHead, 'summary' | 'oofHash'>) {
  return originSchema.parse({ ...row, runId: taskRunId });
}

function metricOf({ model, dimension, bucket, metric, value, lower, upper, n }: BacktestMetric) {
  return { model, dimension, bucket, metric, value, low: lower, high: upper, n };
}
