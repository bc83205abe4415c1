import { createMiddleware } from 'hono/factory';
import { routePath } from 'hono/route';
import { withoutTokens } from '../contracts/api-tokens.ts';
import { spanAttributes } from '../contracts/wire/tracing.ts';
import type { Tracing } from '../tracing/start.ts';
import type { ApiEnv } from './deps.ts';
import { runIdsOf } from './run-ids.ts';

/** Asked for by machines, every few seconds, or of the page that was asked for. */
const QUIET = /^\/(healthz|readyz|metrics|assets\/.*)$/;

/** A span per request, by its route. Queries, bodies and callers stay out of it. */
export function traceRequests(tracing: Tracing) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    if (QUIET.test(c.req.path)) return next();
    return tracing.serve({ method: c.req.method, header: (name) => c.req.header(name) }, async () => {
      await next();
      const ids = Object.entries(spanAttributes({ requestId: c.get('requestId'), ...runIdsOf(c) }));
      return {
        route: routePath(c, -1),
        status: c.res.status,
        // An id is part of a path, where somebody may have pasted a token.
        attributes: Object.fromEntries(ids.map(([name, id]) => [name, withoutTokens(id)])),
      };
    });
  });
}
