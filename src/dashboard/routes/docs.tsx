import { Hono, type MiddlewareHandler } from 'hono';
import { createMiddleware } from 'hono/factory';
import { requireToken } from '../../api/auth.ts';
import type { ApiDocument } from '../../api/openapi.ts';
import { type ApiDocs, docsOf } from '../api-docs.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { chromeOf } from '../login.ts';
import { DocsPage } from '../pages/docs.tsx';

/** `/docs`: the OpenAPI document for people. Its readers need not log in: a token of theirs will do. */
export function docsRoutes(deps: PageDeps, guard: PageRoute, document: () => ApiDocument): Hono<PageEnv> {
  const [login, perToken] = guard;
  const withToken: MiddlewareHandler = requireToken(deps.tokens, deps.attempts);
  const loginOrToken = createMiddleware<PageEnv>(async (c, next) => {
    if (c.req.header('authorization') === undefined) return await login(c, next);
    return await withToken(c, async () => {
      c.set('chrome', chromeOf(c));
      c.header('cache-control', 'no-store');
      await next();
    });
  });
  let docs: ApiDocs | undefined;
  return new Hono<PageEnv>().get('/docs', loginOrToken, perToken, async (c) => {
    docs ??= docsOf(document());
    const { origin } = new URL(c.req.url);
    const body = <DocsPage docs={docs} origin={origin} />;
    return c.html(await renderPage({ title: 'The API', chrome: c.get('chrome'), body }));
  });
}
