import { Hono } from 'hono';
import {
  countQuarantine,
  readFreshness,
  readQuarantinePage,
  readRecentCoverage,
} from '../../db/queries/dashboard-data.ts';
import { readNightUniverses } from '../../db/queries/dashboard-history.ts';
import { readDataAge } from '../../db/queries/dashboard-tonight.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { DataPage, QUARANTINE_ROWS } from '../pages/data.tsx';

const SESSIONS = 21;

/** Coverage, freshness and quarantine. */
export function dataRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  return new Hono<PageEnv>().get('/data', ...guard, async (c) => {
    const universes = await readNightUniverses(sql);
    const universe = universes.find((name) => name === c.req.query('universe')) ?? universes[0] ?? '';
    const [freshness, age] = await Promise.all([readFreshness(sql, universe), readDataAge(sql)]);
    const symbols = freshness.map(({ symbol }) => symbol);
    const [coverage, quarantine, counts] = await Promise.all([
      readRecentCoverage(sql, { symbols, sessions: SESSIONS }),
      readQuarantinePage(sql, { symbols, status: null, limit: QUARANTINE_ROWS }),
      countQuarantine(sql, symbols),
    ]);
    const { sessionsBehind, lastSession } = age;
    const view = {
      universe,
      universes,
      freshness,
      coverage,
      quarantine,
      counts,
      sessionsBehind,
      lastSession,
    };
    const chrome = c.get('chrome');
    const body = <DataPage view={view} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Data', at: '/data', chrome, body }));
  });
}
