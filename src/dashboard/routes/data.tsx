import { Hono } from 'hono';
import { readDueSession } from '../../api/due-session.ts';
import {
  countQuarantine,
  readFreshness,
  readQuarantinePage,
  readRecentCoverage,
} from '../../db/queries/dashboard-data.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { DataPage, QUARANTINE_ROWS } from '../pages/data.tsx';
import { whichUniverse } from '../which-night.ts';

const SESSIONS = 21;

/** Coverage, freshness and quarantine. */
export function dataRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  return new Hono<PageEnv>().get('/data', ...guard, async (c) => {
    const { universe, universes } = await whichUniverse(c, sql);
    const dueSession = await readDueSession(sql);
    const freshness = await readFreshness(sql, { universe, through: dueSession });
    const symbols = freshness.map(({ symbol }) => symbol);
    const [coverage, quarantine, counts] = await Promise.all([
      readRecentCoverage(sql, { symbols, sessions: SESSIONS }),
      readQuarantinePage(sql, { symbols, status: null, limit: QUARANTINE_ROWS }),
      countQuarantine(sql, symbols),
    ]);
    const view = {
      universe,
      universes,
      freshness,
      coverage,
      quarantine,
      counts,
      dueSession,
    };
    const chrome = c.get('chrome');
    const body = <DataPage view={view} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Data', at: '/data', chrome, body }));
  });
}
