import { createMiddleware } from 'hono/factory';
import { routePath } from 'hono/route';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';
import type { ApiEnv } from '../deps.ts';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

let processRegistry: Registry | undefined;

/** Memory, CPU, event loop of this process: one set of observers, however many APIs it has. */
function processMetrics(): Registry {
  if (processRegistry !== undefined) return processRegistry;
  processRegistry = new Registry();
  collectDefaultMetrics({ register: processRegistry });
  return processRegistry;
}

/** Counts requests as they end; `text` is the page of them and of the process. */
export function requestMetrics() {
  const registry = new Registry();
  const requests = new Counter({
    name: 'nightshift_http_requests_total',
    help: 'Requests by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'nightshift_http_request_duration_seconds',
    help: 'Time until the answer began, by method and route.',
    labelNames: ['method', 'route'],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  const count = createMiddleware<ApiEnv>(async (c, next) => {
    const startedMs = performance.now();
    await next();
    // The pattern, never the path: ids in paths would make a series each.
    const path = routePath(c, -1);
    const route = path.includes('*') ? 'other' : path;
    const method = METHODS.has(c.req.method) ? c.req.method : 'other';
    requests.inc({ method, route, status: String(c.res.status) });
    durations.observe({ method, route }, (performance.now() - startedMs) / 1000);
  });
  const text = async (): Promise<string> =>
    [await registry.metrics(), await processMetrics().metrics()].join('\n');
  return { count, text, contentType: registry.contentType };
}
