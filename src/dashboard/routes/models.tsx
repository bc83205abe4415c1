import { Hono } from 'hono';
import { Problem } from '../../api/problems.ts';
import { readPromotions } from '../../db/queries/dashboard-models.ts';
import { findNewestCurrentVersion } from '../../db/queries/promotions.ts';
import { readCalibration, readModelMetrics, readShapRows } from '../../db/queries/result-models.ts';
import { findModelVersion, listModelVersions } from '../../db/queries/training.ts';
import { curveOf } from '../backtest-tables.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { ModelsPage } from '../pages/models.tsx';
import { whichUniverse } from '../which-night.ts';

const VERSIONS = 30;
/** The stack, or what stands for it while it has no predictions out of sample yet. */
const CALIBRATED = ['meta', 'meanLogit'];

/** Versions of the models. */
export function modelRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  return new Hono<PageEnv>().get('/models', ...guard, async (c) => {
    const asked = c.req.query('version') ?? '';
    const named = asked === '' ? null : await findModelVersion(sql, asked);
    if (asked !== '' && named === null)
      throw new Problem('not-found', `there is no model version ${asked.slice(0, 100)}`);
    const [newest] = await listModelVersions(sql, { limit: 1 });
    const { universe: wanted, universes, isAsked } = await whichUniverse(c, sql);
    const universe = named?.universe ?? (isAsked ? wanted : newest?.universe) ?? '';
    const [versions, current, promotions] = await Promise.all([
      listModelVersions(sql, { universe, limit: VERSIONS }),
      findNewestCurrentVersion(sql, universe),
      readPromotions(sql, { universe, limit: VERSIONS }),
    ]);
    const shown = named ?? current ?? versions[0] ?? null;
    const [metrics, shap, bins] =
      shown === null
        ? [[], [], []]
        : await Promise.all([
            readModelMetrics(sql, shown.version),
            readShapRows(sql, shown.version),
            readCalibration(sql, shown),
          ]);
    const calibration = CALIBRATED.map((model) => ({
      model,
      points: curveOf(bins.filter((bin) => bin.model === model)),
    })).find(({ points }) => points.length > 0);
    const view = {
      universe,
      universes,
      versions,
      shown,
      current,
      promotions,
      metrics,
      shap,
      calibration: calibration ?? null,
    };
    const chrome = c.get('chrome');
    const body = <ModelsPage view={view} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Models', at: '/models', chrome, body }));
  });
}
