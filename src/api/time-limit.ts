import { createMiddleware } from 'hono/factory';
import type { ApiEnv } from './deps.ts';
import { Problem } from './problems.ts';

/** Longest `wait` a client may ask for. */
export const MAX_WAIT_SECONDS = 600;

/** Paths of what may be waited for; elsewhere the word in a query lengthens nothing. */
const WAITING = /^\/scheduler\/run_/;

/**
 * Answers 503 after `limitMs`, beside what was asked to wait for, where something behind the API is silent: what was
 * asked for may still happen.
 */
export function limitTime(limitMs: number) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const wait = WAITING.test(c.req.path) ? Number(c.req.query('wait') ?? 0) : 0;
    const waitMs = Number.isFinite(wait) ? Math.min(Math.max(wait, 0), MAX_WAIT_SECONDS) * 1000 : 0;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const words = `no answer within ${limitMs / 1000} s; /readyz says what is down. It may have been done`;
        reject(new Problem('timed-out', words, { headers: { 'retry-after': '5' } }));
      }, limitMs + waitMs);
    });
    try {
      await Promise.race([next(), late]);
    } finally {
      clearTimeout(timer);
    }
  });
}
