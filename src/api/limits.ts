import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context, MiddlewareHandler } from 'hono';
import { rateLimiter } from 'hono-rate-limiter';
import type { ApiEnv } from './deps.ts';
import { Problem } from './problems.ts';

const WINDOW_MS = 60_000;

/** So many requests a minute per key; more are answered 429 with when to come back. */
export function limitRequests(perMinute: number, keyOf: (c: Context<ApiEnv>) => string) {
  return rateLimiter<ApiEnv>({
    windowMs: WINDOW_MS,
    limit: perMinute,
    standardHeaders: 'draft-7',
    keyGenerator: keyOf,
    handler: () => {
      throw new Problem('too-many-requests', `more than ${perMinute} requests within a minute`, {
        headers: { 'retry-after': String(WINDOW_MS / 1000) },
      });
    },
  });
}

/** The same, but one request counts once, also where its cookie and its token are both wrong. */
export function onceEach(limit: MiddlewareHandler<ApiEnv>): MiddlewareHandler<ApiEnv> {
  const counted = new WeakSet<Request>();
  return async (c, next) => {
    if (counted.has(c.req.raw)) return await next();
    counted.add(c.req.raw);
    return await limit(c, next);
  };
}

/** Address of who asks, for those without a token. */
export function addressOf(c: Context<ApiEnv>): string {
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    // Asked without a socket, as tests do.
    return 'unknown';
  }
}
