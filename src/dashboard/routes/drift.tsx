import { Hono } from 'hono';
import {
  findSeriesBaseline,
  readDriftCells,
  readDriftSessions,
  readFeatureValues,
  readRaisedFlags,
} from '../../db/queries/dashboard-drift.ts';
import { type BaselineKind, readDriftLog } from '../../db/queries/drift.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { sharesOf } from '../drift-levels.ts';
import { DriftPage, type DriftView } from '../pages/drift.tsx';
import { whichNight } from '../which-night.ts';

const SESSIONS = 60;
const SHOWN = 30;
const WINDOW = 21;
const FLAGS = 1;

/** Drift of features and predictions. */
export function driftRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  const seriesOf = async (
    of: { universe: string; sessionDate: string; kind: BaselineKind },
    feature: string,
  ): Promise<DriftView['series']> => {
    const baseline = await findSeriesBaseline(sql, { ...of, feature });
    if (baseline === null) return null;
    const { universeVersion, featureSetVersion, edges } = baseline;
    const { sessions, values } = await readFeatureValues(sql, {
      feature,
      throughSession: of.sessionDate,
      universeVersion,
      featureSetVersion,
      sessions: WINDOW,
    });
    return {
      name: feature,
      baseline,
      now: { sessions, values: values.length, shares: sharesOf(values, edges) },
    };
  };
  return new Hono<PageEnv>().get('/drift', ...guard, async (c) => {
    const chosen = await whichNight(c, sql, (universe) =>
      readDriftSessions(sql, { universe, limit: SESSIONS }),
    );
    const { session, universe, sessions } = chosen;
    const kind: BaselineKind = c.req.query('kind') === 'anchored' ? 'anchored' : 'rolling';
    const from = session === null ? 0 : sessions.indexOf(session);
    const shown = sessions.slice(from, from + SHOWN).toReversed();
    const feature = c.req.query('feature') ?? '';
    const [rows, cells, flags, series] =
      session === null
        ? [[], [], [], null]
        : await Promise.all([
            readDriftLog(sql, { sessionDate: session, universe }),
            readDriftCells(sql, { universe, sessions: shown, kind }),
            readRaisedFlags(sql, { universe, limit: FLAGS }),
            feature === '' ? null : seriesOf({ universe, sessionDate: session, kind }, feature),
          ]);
    const chrome = c.get('chrome');
    const body = <DriftPage view={{ chosen, kind, rows, cells, shown, flags, asked: feature, series }} />;
    return c.html(await renderPage({ title: 'Drift', at: '/drift', chrome, body }));
  });
}
