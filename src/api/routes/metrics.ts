import { createRoute, z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps.ts';
import { rowFamilies } from '../metrics/families.ts';
import { requestMetrics } from '../metrics/process.ts';
import { newRouter } from '../router.ts';
import { problems } from './schemas.ts';

const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['Health'],
  summary: 'Figures for Prometheus: nights, tasks, queue, alerts, requests, this process',
  responses: {
    200: {
      description: 'Text in the format of Prometheus',
      content: { 'text/plain': { schema: z.string() } },
    },
    ...problems(401, 429, 503),
  },
});

/** `/metrics`, and the middleware that counts requests for it. */
export function createMetrics({ sql }: ApiDeps) {
  const { count, text, contentType } = requestMetrics();
  const rows = rowFamilies(sql);
  const routes = newRouter().openapi(metricsRoute, async (c) =>
    c.text([await rows(), await text()].join('\n'), 200, { 'content-type': contentType }),
  );
  return { count, routes };
}
