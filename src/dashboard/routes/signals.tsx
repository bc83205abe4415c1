import { Hono } from 'hono';
import { Problem } from '../../api/problems.ts';
import { FIRST_DAY, signalSetIn } from '../../api/results.ts';
import { featuresOf } from '../../api/symbol-values.ts';
import {
  findInstrument,
  findSignalHead,
  readSectors,
  type SignalHead,
} from '../../db/queries/dashboard-signals.ts';
import { readSignals } from '../../db/queries/predictions.ts';
import { readSignalPage, readSymbolPredictions } from '../../db/queries/result-signals.ts';
import { readSymbolFeatures } from '../../db/queries/result-symbols.ts';
import { findTaskResult } from '../../db/queries/task-results.ts';
import { ADJUSTMENTS } from '../../domain/adjustment.ts';
import { NoResults } from '../components/choose-night.tsx';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { SignalsPage } from '../pages/signals.tsx';
import { SymbolPage } from '../pages/symbol.tsx';
import { readPriceLine } from '../prices.ts';
import { contributionsOf } from '../reasons.ts';
import { orderOf, sortSignals } from '../signal-order.ts';
import { whichNight } from '../which-night.ts';

const TRACK_SESSIONS = 250;

/** The signals of a session, and one symbol. */
export function signalRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql } = deps;
  /** The signals that the newest scan of a session names, as the API and the report have them. */
  const headOf = async (universe: string, sessionDate: string | null): Promise<SignalHead | null> => {
    if (sessionDate === null) return null;
    const scan = await findTaskResult(sql, { task: 'overnightScan', sessionDate, universe });
    const set = scan === null ? null : signalSetIn(scan);
    return set === null ? null : await findSignalHead(sql, set);
  };
  return new Hono<PageEnv>()
    .get('/signals', ...guard, async (c) => {
      const chosen = await whichNight(c, sql, 'overnightScan');
      const { session, universe, missing } = chosen;
      const set = await headOf(universe, session);
      const all = set === null ? [] : await readSignals(sql, set);
      const sectors = await readSectors(
        sql,
        all.map(({ symbol }) => symbol),
      );
      const find = (c.req.query('find') ?? '').trim().slice(0, 100);
      const wanted = find.toLowerCase();
      const order = orderOf(c.req.query('sort'), c.req.query('dir'));
      const issued = all.filter(({ side }) => side === 'buy' || side === 'sell').length;
      const rows = sortSignals(all, order).map((row) => {
        const looked = `${row.symbol} ${sectors.get(row.symbol) ?? ''} ${row.reasonWords}`.toLowerCase();
        return { ...row, looked, isFound: looked.includes(wanted) };
      });
      const baseRate = all.find((row) => row.baseRate !== null)?.baseRate ?? null;
      const view = {
        chosen,
        set: set === null ? null : { ...set, baseRate },
        rows,
        issued,
        sectors,
        order,
        find,
      };
      const chrome = c.get('chrome');
      const body = <SignalsPage view={view} chrome={chrome} />;
      const page = await renderPage({ title: 'Signals', at: '/signals', chrome, body });
      return c.html(page, missing === null ? 200 : 404);
    })
    .get('/symbols/:symbol', ...guard, async (c) => {
      const symbol = c.req.param('symbol').toUpperCase();
      const chosen = await whichNight(c, sql, 'overnightScan');
      const { session, universe } = chosen;
      const chrome = c.get('chrome');
      if (chosen.missing !== null) {
        const path = `/symbols/${encodeURIComponent(symbol)}`;
        const none = <NoResults action={path} chosen={chosen} title={symbol} none="No signals" />;
        return c.html(await renderPage({ title: symbol, at: '/signals', chrome, body: none }), 404);
      }
      const set = await headOf(universe, session);
      const [signal] =
        set === null ? [] : await readSignalPage(sql, { set, sort: 'rank', after: null, limit: 1, symbol });
      if (session === null || set === null || signal === undefined)
        throw new Problem(
          'not-found',
          `${symbol.slice(0, 20)} has no signal${session === null ? '' : ` of ${session} in ${universe}`}`,
        );
      const { universeVersion } = set;
      const { featureSetVersion } = signal;
      const adjust = ADJUSTMENTS.find((one) => one === c.req.query('adjust')) ?? 'splits';
      const asked = { symbol, universe, from: FIRST_DAY, through: session, before: null };
      const [instrument, prices, stored, track] = await Promise.all([
        findInstrument(sql, symbol),
        readPriceLine(deps, { symbol, session, universe, adjust }),
        readSymbolFeatures(sql, { sessionDate: session, universeVersion, featureSetVersion, symbol }),
        readSymbolPredictions(sql, { ...asked, limit: TRACK_SESSIONS }),
      ]);
      const features = stored === null ? null : featuresOf(stored);
      const contributions = contributionsOf(signal.reasons);
      const view = {
        symbol,
        chosen,
        session,
        universe,
        instrument,
        signal,
        contributions,
        adjust,
        prices,
        features,
        track: track.toReversed(),
      };
      const body = <SymbolPage view={view} chrome={chrome} />;
      return c.html(await renderPage({ title: symbol, at: '/signals', charts: true, chrome, body }));
    });
}
