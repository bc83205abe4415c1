import type { Hono } from 'hono';

/** HEAD is answered as GET is, without its body. */
const METHODS = { GET: 'GET, HEAD', POST: 'POST' } as const;

/** What the `Allow` header of a path says; null for a path that is not there with any method. */
export function allowedMethods(app: Pick<Hono, 'router'>, path: string): string | null {
  const allowed = Object.entries(METHODS).flatMap(([method, words]) => {
    const [handlers] = app.router.match(method, path);
    // Middleware is there for every method, or for every path.
    const isThere = handlers.some(([[, route]]) => route.method === method && !route.path.endsWith('*'));
    return isThere ? [words] : [];
  });
  return allowed.length === 0 ? null : allowed.join(', ');
}
