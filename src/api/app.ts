import { bodyLimit } from 'hono/body-limit';
import { createMiddleware } from 'hono/factory';
import { HTTPException } from 'hono/http-exception';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { dashboardRoutes } from '../dashboard/app.tsx';
import { problemPage, wantsPage } from '../dashboard/problem-page.tsx';
import { describeSchedules } from '../temporal/schedules.ts';
import { requireToken, TokenReader } from './auth.ts';
import { cached } from './cached.ts';
import type { ApiDeps, ApiEnv, RouteDeps } from './deps.ts';
import { addressOf, limitRequests, onceEach } from './limits.ts';
import { allowedMethods } from './methods.ts';
import { Problem, problemDetails, problemOf, stackOf } from './problems.ts';
import { type ApiDocument, describeApi } from './openapi.ts';
import { newRouter } from './router.ts';
import { runIdsOf } from './run-ids.ts';
import { requireLoginOr, SessionKeeper } from './sessions.ts';
import { limitTime } from './time-limit.ts';
import { traceRequests } from './tracing.ts';
import { alertRoutes } from './routes/alerts.ts';
import { auditRoutes } from './routes/audit.ts';
import { backfillRoutes } from './routes/backfill.ts';
import { backtestRoutes } from './routes/backtests.ts';
import { dataRoutes } from './routes/data.ts';
import { documentRoutes } from './routes/document.ts';
import { driftRoutes } from './routes/drift.ts';
import { healthRoutes, readinessRoutes } from './routes/health.ts';
import { logRoutes } from './routes/logs.ts';
import { createMetrics } from './routes/metrics.ts';
import { modelRoutes } from './routes/models.ts';
import { nightRoutes } from './routes/nights.ts';
import { runRoutes } from './routes/runs.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { schedulerRoutes } from './routes/scheduler.ts';
import { signalRoutes } from './routes/signals.ts';
import { symbolRoutes } from './routes/symbols.ts';
import { timelineRoutes } from './routes/timelines.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** `/healthz` asks nobody and may be asked so many times as often as tokens may be guessed. */
const HEALTH_FACTOR = 10;

/**
 * The HTTP API: `/healthz` for everybody, the rest for tokens. Every error is answered as RFC 9457 problem details
 * with the request's id; what failed inside is in the log, not in the answer.
 */
export function createApi(given: ApiDeps) {
  const { log, limits, times, client } = given;
  const deps: RouteDeps = {
    ...given,
    schedules: cached(times.freshMs, () => describeSchedules(client, times.callMs)),
  };
  const attempts = onceEach(limitRequests(limits.anonymousPerMinute, addressOf));
  const base = newRouter();
  const metrics = createMetrics(deps);
  base.use(requestId());
  // Around the line of a request, which names its span.
  if (deps.tracing !== undefined) base.use(traceRequests(deps.tracing));
  base.use(metrics.count, logRequests(deps), limitTime(times.requestMs));
  base.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        objectSrc: ["'none'"],
      },
      xFrameOptions: 'DENY',
      // Loopback has no TLS; whoever puts a proxy in front sets it there.
      strictTransportSecurity: false,
    }),
  );
  // A GET has no body that anybody reads; to look for one makes the whole request of the web's kind.
  base.on(
    ['POST', 'PUT', 'PATCH', 'DELETE'],
    '*',
    bodyLimit({ maxSize: MAX_BODY_BYTES, onError: refuseLarge }),
  );
  base.onError(async (error, c) => {
    const problem = problemOf(error instanceof HTTPException ? refusalOf(error) : error);
    const requestId = c.get('requestId');
    if (problem.status === 500)
      log('ERROR', 'request failed', {
        requestId,
        ...deps.tracing?.ids(),
        error: stackOf(error),
      });
    const details = problemDetails(problem, { instance: c.req.path, requestId });
    const { status, headers: more } = problem;
    const page = wantsPage(c) ? await problemPage(deps, c, { details, status, headers: more }) : null;
    if (page !== null) return page;
    const headers = { ...more, 'content-type': 'application/problem+json' };
    return c.body(JSON.stringify(details), status, headers);
  });
  base.notFound((c) => {
    const allow = allowedMethods(base, c.req.path);
    if (allow !== null)
      throw new Problem('method-not-allowed', `${c.req.path} is there for ${allow}`, { headers: { allow } });
    throw new Problem(
      'not-found',
      `${c.req.method} ${c.req.path} is no part of this API; /openapi.json lists what is`,
    );
  });
  base.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  // Of its own: whoever guesses tokens must not make the process look dead.
  base.use('/healthz', limitRequests(limits.anonymousPerMinute * HEALTH_FACTOR, addressOf));
  const tokens = new TokenReader(deps.findToken, times.tokenMs);
  const sessions = new SessionKeeper(deps.sql);
  const perToken = limitRequests(limits.tokenPerMinute, (c) => c.get('caller').tokenId);
  const shared = { ...deps, tokens, sessions, attempts, perToken, document: () => document };
  base.route('/', dashboardRoutes(shared));
  const open = base.route('/', healthRoutes());
  open.use(requireLoginOr({ sessions, attempts }, requireToken(tokens, attempts)), perToken);
  const api = open
    .route('/', readinessRoutes(deps))
    .route('/', schedulerRoutes(deps))
    .route('/', nightRoutes(deps))
    .route('/', runRoutes(deps))
    .route('/', timelineRoutes(deps))
    .route('/', scheduleRoutes(deps))
    .route('/', backfillRoutes(deps))
    .route('/', signalRoutes(deps))
    .route('/', symbolRoutes(deps))
    .route('/', modelRoutes(deps))
    .route('/', backtestRoutes(deps))
    .route('/', driftRoutes(deps))
    .route('/', dataRoutes(deps))
    .route('/', logRoutes(deps))
    .route('/', auditRoutes(deps))
    .route('/', alertRoutes(deps))
    .route('/', metrics.routes)
    .route(
      '/',
      documentRoutes(() => document),
    );
  const document: ApiDocument = describeApi(api);
  return api;
}

/** The routes of the API as types, for `createClient`. */
export type AppType = ReturnType<typeof createApi>;

function refuseLarge(): never {
  throw new Problem('body-too-large', `a body has at most ${MAX_BODY_BYTES / 1024} KiB`);
}

/** Refusals of the framework itself: a body that is no JSON or does not say that it is, say. */
function refusalOf(error: HTTPException): Problem | HTTPException {
  if (error.status === 415)
    return new Problem('unsupported-media-type', 'a body is JSON: `content-type: application/json`');
  return error.status === 400
    ? new Problem('invalid-input', error.message === '' ? 'the body cannot be read' : error.message)
    : error;
}

/** A line per request: who, what, how it ended, how long it took. Queries and bodies stay out of it. */
function logRequests({ log, tracing }: ApiDeps) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const startedMs = performance.now();
    await next();
    const { status } = c.res;
    log(status >= 500 ? 'WARNING' : 'INFO', `${c.req.method} ${c.req.path} ${status}`, {
      requestId: c.get('requestId'),
      caller: c.get('caller')?.name,
      ...runIdsOf(c),
      ...tracing?.ids(),
      // Who asks is only told that a server is away.
      ...(status === 503 && c.error !== undefined && { error: c.error.message }),
      ms: Math.round(performance.now() - startedMs),
    });
  });
}
