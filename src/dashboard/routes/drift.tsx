import { Hono } from 'hono';
import { readDistribution } from '../../api/drift-distribution.ts';
import { findLastFlag, readDriftCells } from '../../db/queries/dashboard-drift.ts';
import { type BaselineKind, readDriftLog } from '../../db/queries/drift.ts';
import { findTaskResult, type TaskResultRun } from '../../db/queries/task-results.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { DriftPage, type DriftView } from '../pages/drift.tsx';
import { whichNight } from '../which-night.ts';

const SHOWN = 30;

/** Drift of features and predictions. */
export function driftRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  const seriesOf = async (
    run: TaskResultRun,
    { name, kind }: { name: string; kind: BaselineKind },
  ): Promise<DriftView['series']> => {
    const found = await readDistribution(sql, { run, series: name, kind });
    return found === null ? null : { name, ...found };
  };
  return new Hono<PageEnv>().get('/drift', ...guard, async (c) => {
    const chosen = await whichNight(c, sql, 'driftMonitoring');
    const { session, universe, sessions } = chosen;
    const kind: BaselineKind = c.req.query('kind') === 'anchored' ? 'anchored' : 'rolling';
    const from = session === null ? 0 : sessions.indexOf(session);
    const shown = sessions.slice(from, from + SHOWN).toReversed();
    const feature = c.req.query('feature') ?? '';
    const run =
      session === null
        ? null
        : await findTaskResult(sql, { task: 'driftMonitoring', sessionDate: session, universe });
    const [rows, cells, flag, series] =
      run === null
        ? [[], [], null, null]
        : await Promise.all([
            readDriftLog(sql, run),
            readDriftCells(sql, { universe, sessions: shown, kind }),
            findLastFlag(sql, { universe, through: run.sessionDate }),
            feature === '' ? null : seriesOf(run, { name: feature, kind }),
          ]);
    const chrome = c.get('chrome');
    const body = <DriftPage view={{ chosen, kind, rows, cells, shown, flag, asked: feature, series }} />;
    const page = await renderPage({ title: 'Drift', at: '/drift', chrome, body });
    return c.html(page, chosen.missing === null ? 200 : 404);
  });
}
