import { Hono } from 'hono';
import { textIn } from '../../api/results.ts';
import { readBacktestMetrics } from '../../db/queries/backtests.ts';
import { readEquity } from '../../db/queries/dashboard-backtests.ts';
import { findBacktestById } from '../../db/queries/result-backtests.ts';
import { findTaskResult } from '../../db/queries/task-results.ts';
import { calibrationOf, equitySpec, saidBy } from '../backtest-tables.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { BacktestPage, SERIES_ORDER } from '../pages/backtest.tsx';
import { whichNight } from '../which-night.ts';

/** The backtest of a session. */
export function backtestRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  return new Hono<PageEnv>().get('/backtest', ...guard, async (c) => {
    const chosen = await whichNight(c, sql, 'backtest');
    const { session, universe } = chosen;
    const result =
      session === null
        ? null
        : await findTaskResult(sql, { task: 'backtest', sessionDate: session, universe });
    const run = result === null ? null : await findBacktestById(sql, textIn(result, 'backtestId'));
    const [metrics, points] =
      run === null
        ? [[], []]
        : await Promise.all([readBacktestMetrics(sql, run.backtestId), readEquity(sql, run.backtestId)]);
    const known = new Set(
      metrics.filter(({ dimension }) => dimension === 'portfolio').map(({ model }) => model),
    );
    const models = SERIES_ORDER.filter((name) => known.has(name));
    const benchmarks = [
      ...new Set(metrics.filter(({ dimension }) => dimension === 'benchmark').map(({ model }) => model)),
    ];
    const asked = c.req.query('model');
    // The stack has no predictions out of sample before its third block.
    const evaluated = models.find((name) => calibrationOf(metrics, name).length > 0);
    const view = {
      chosen,
      model: models.find((name) => name === asked) ?? evaluated ?? models[0] ?? 'meta',
      models,
      metrics,
      equity: equitySpec(points, ['meta', ...(evaluated === undefined ? [] : [evaluated]), ...benchmarks]),
      invalidReason: run?.invalidReason ?? null,
      survivorship: run?.survivorship ?? '',
      said: saidBy(run?.summary),
    };
    const chrome = c.get('chrome');
    const body = <BacktestPage view={view} />;
    const page = await renderPage({ title: 'Backtest', at: '/backtest', charts: true, chrome, body });
    return c.html(page, chosen.missing === null ? 200 : 404);
  });
}
