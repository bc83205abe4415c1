import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import { setCookie } from 'hono/cookie';
import { streamSSE } from 'hono/streaming';
import { insertAudit } from '../db/queries/requests.ts';
import {
  clearSessionCookie,
  cookieName,
  cookieOptions,
  provesCsrf,
  sessionOf,
  setSessionCookie,
} from '../api/sessions.ts';
import { Problem, problemOf } from '../api/problems.ts';
import { actRoutes } from './acts.ts';
import { assetRoutes } from './assets.ts';
import { renderPage } from './components/layout.tsx';
import { type DashboardDeps, type PageDeps, type PageEnv, type PageRoute, THEMES } from './deps.ts';
import { LiveBoard } from './live.tsx';
import { chromeOf, ownPath, requireLogin, requireOwnOrigin } from './login.ts';
import { LoginPage } from './pages/login.tsx';
import { TonightPage } from './pages/tonight.tsx';
import { backtestRoutes } from './routes/backtest.tsx';
import { dataRoutes } from './routes/data.tsx';
import { docsRoutes } from './routes/docs.tsx';
import { driftRoutes } from './routes/drift.tsx';
import { historyRoutes } from './routes/history.tsx';
import { modelRoutes } from './routes/models.tsx';
import { settingsRoutes } from './routes/settings.tsx';
import { signalRoutes } from './routes/signals.tsx';
import { createTonightReader } from './tonight.ts';

const THEME_SECONDS = 365 * 86_400;

/** The dashboard: pages for people, drawn here, over the same rows and verbs as the API. */
export function dashboardRoutes(shared: DashboardDeps): Hono<PageEnv> {
  const reader = createTonightReader(shared);
  const deps: PageDeps = { ...shared, board: new LiveBoard(reader, shared.log) };
  const login = requireLogin(deps, reader);
  const app = new Hono<PageEnv>();
  app.route('/', assetRoutes());

  app.get('/login', async (c) => {
    const next = ownPath(c.req.query('next'));
    if ((await sessionOf(c, deps)) !== null) return c.redirect(next, 303);
    c.header('cache-control', 'no-store');
    const body = <LoginPage next={next} refused={null} />;
    return c.html(await renderPage({ title: 'Log in', chrome: chromeOf(c), body }));
  });

  app.post('/login', requireOwnOrigin, async (c) => {
    const { token, next } = await c.req.parseBody();
    const text = typeof token === 'string' ? token.trim() : '';
    const caller = await deps.tokens.callerOf(text, () => deps.attempts(c, () => Promise.resolve()));
    c.header('cache-control', 'no-store');
    if (caller === null) {
      const refused = text.startsWith('nst_')
        ? 'This token is not known, or was revoked.'
        : 'This is no token: one begins with nst_ and is shown once, when it is made.';
      const body = <LoginPage next={ownPath(next)} refused={refused} />;
      return c.html(await renderPage({ title: 'Log in', chrome: chromeOf(c), body }), 401);
    }
    setSessionCookie(c, await deps.sessions.begin(caller));
    await insertAudit(deps.sql, { actor: caller.name, action: 'session.begin', subject: caller.tokenId });
    return c.redirect(ownPath(next), 303);
  });

  app.post('/logout', requireOwnOrigin, login, async (c) => {
    const { secret, caller } = c.get('session');
    const { csrf } = await c.req.parseBody();
    if (!provesCsrf(c.get('session'), csrf)) throw new Problem('forbidden', 'this form is of another login');
    await deps.sessions.end(secret);
    await insertAudit(deps.sql, { actor: caller.name, action: 'session.end', subject: caller.tokenId });
    clearSessionCookie(c);
    return c.redirect('/login', 303);
  });

  app.post('/theme', requireOwnOrigin, async (c) => {
    const { theme, back } = await c.req.parseBody();
    const chosen = THEMES.find((one) => one === theme) ?? 'auto';
    setCookie(c, cookieName(c, 'theme'), chosen, { ...cookieOptions(c), maxAge: THEME_SECONDS });
    return c.redirect(ownPath(back), 303);
  });

  app.get('/', login, deps.perToken, async (c) => {
    const [view, settings] = await Promise.all([reader.view(), reader.settings()]);
    const chrome = c.get('chrome');
    const body = <TonightPage view={view} settings={settings} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Tonight', at: '/', chrome, body }));
  });

  app.get('/live', login, deps.perToken, (c) => {
    const { secret, csrfToken, caller } = c.get('session');
    const { mayAct } = c.get('chrome');
    const stopping = deps.stopping ?? new AbortController().signal;
    const answer = streamSSE(c, async (stream) => {
      const left = new AbortController();
      stream.onAbort(() => left.abort());
      const leave = await deps.board.join({
        tokenId: caller.tokenId,
        mayAct,
        csrfToken,
        send: (message) => stream.writeSSE(message),
      });
      if (leave === null) {
        await stream.writeSSE({ event: 'full', data: '' });
        return;
      }
      const over = AbortSignal.any([left.signal, stopping]);
      try {
        while (!over.aborted) {
          await sleep(deps.times.beatMs, undefined, { signal: over });
          // A login that has ended, or whose token was revoked, sees nothing more. While Postgres is away nobody
          // can say so, and there is nothing new to see.
          const holds = await deps.sessions.holds(secret).catch(() => true);
          await stream.writeSSE({ event: holds ? 'beat' : 'over', data: '' });
          if (!holds) return;
        }
      } catch (error) {
        if (!over.aborted) deps.log('WARNING', 'a live page was left', { problem: problemOf(error).message });
      } finally {
        leave();
      }
    });
    // On a connection that lives on a browser would ask again for ever of a server that wants to stop.
    answer.headers.set('connection', 'close');
    return answer;
  });

  const guard: PageRoute = [login, deps.perToken];
  app.route('/', actRoutes(deps, reader));
  app.route('/', historyRoutes(deps, guard));
  app.route('/', signalRoutes(deps, guard));
  app.route('/', modelRoutes(deps, guard));
  app.route('/', backtestRoutes(deps, guard));
  app.route('/', driftRoutes(deps, guard));
  app.route('/', dataRoutes(deps, guard));
  app.route('/', settingsRoutes(deps, guard, reader));
  app.route('/', docsRoutes(deps, guard, shared.document));
  return app;
}
