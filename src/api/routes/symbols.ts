import { z } from '@hono/zod-openapi';
import type { KnownBars } from '../../activities/datasets/known-bars.ts';
import type { BAR_STATE } from '../../db/queries/bars.ts';
import { readQuarantine } from '../../db/queries/quarantine.ts';
import { readInstruments } from '../../db/queries/reference.ts';
import {
  readSignalPage,
  readSymbolPredictions,
  type SymbolPrediction,
} from '../../db/queries/result-signals.ts';
import { readSymbolFeatures, readSymbolFlags } from '../../db/queries/result-symbols.ts';
import { readSymbolOutcomes } from '../../db/queries/symbol-outcomes.ts';
import { findTaskResult } from '../../db/queries/task-results.ts';
import { epochDayOf, lowerBound, priceBasisKey, sessionDateOf } from '../../domain/bars.ts';
import type { ApiDeps } from '../deps.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import {
  FIRST_DAY,
  keyPart,
  LAST_DAY,
  outcomeOf,
  requireResult,
  requireResultOf,
  signalSetOf,
  textIn,
} from '../results.ts';
import { newRouter } from '../router.ts';
import { formatOf, streamItems } from '../streams.ts';
import { featuresOf, finite, ingestedRun, knownBars } from '../symbol-values.ts';
import { quarantinedOf } from './quarantine-schema.ts';
import { signalOf } from './signals.ts';
import {
  barSchema,
  barsRoute,
  featuresRoute,
  predictionSchema,
  predictionsRoute,
  storyRoute,
} from './symbol-definitions.ts';

/** Doubts and rows in quarantine of one story. */
const MOST = 200;
const STATES = ['provisional', 'final', 'revised'] as const satisfies (keyof typeof BAR_STATE)[];

/** The run whose knowledge a page shows, then its last bar. */
const barKey = z.tuple([keyPart.run, keyPart.date]);
/** The universe a page is of, then its last session. */
const predictionKey = z.tuple([keyPart.hash, keyPart.date]);

/** One symbol: its story, bars, features and predictions. */
export function symbolRoutes(deps: ApiDeps) {
  const { sql, log } = deps;
  return newRouter()
    .openapi(storyRoute, async (c) => {
      const symbol = c.req.valid('param').symbol.toUpperCase();
      const { session, universe } = c.req.valid('query');
      const scan = await findTaskResult(sql, { task: 'overnightScan', sessionDate: session, universe });
      const ingestion = await findTaskResult(sql, {
        task: 'ingestion',
        sessionDate: scan?.sessionDate ?? session,
        universe: scan?.universe ?? universe,
      });
      const run = scan ?? ingestion ?? (await requireResult(sql, 'ingestion', { session, universe }));
      const { sessionDate, universeVersion } = run;
      const [instruments, signals, outcomes, flags, quarantine] = await Promise.all([
        readInstruments(sql, [symbol]),
        scan === null
          ? []
          : readSignalPage(sql, { set: signalSetOf(scan), sort: 'rank', after: null, limit: 1, symbol }),
        ingestion === null
          ? []
          : readSymbolOutcomes(sql, { taskRunId: ingestion.taskRunId, symbols: [symbol] }),
        readSymbolFlags(sql, { symbol, session: sessionDate, universeVersion, limit: MOST }),
        readQuarantine(sql, { symbols: [symbol], throughSession: sessionDate, limit: MOST }),
      ]);
      const instrument = instruments.get(symbol);
      const [[signal], [outcome]] = [signals, outcomes];
      if (instrument === undefined && signal === undefined && outcome === undefined)
        throw new Problem('not-found', `${symbol} is not known here`);
      const absence = outcome?.details.absence;
      return c.json(
        {
          symbol,
          sessionDate,
          universe: run.universe,
          instrument:
            instrument === undefined
              ? null
              : {
                  name: instrument.name,
                  sector: instrument.sector,
                  exchange: instrument.exchange,
                  currency: instrument.currency,
                  validFrom: instrument.validFrom,
                },
          signal: signal === undefined ? null : signalOf(signal),
          ingestion:
            outcome === undefined
              ? null
              : {
                  status: outcome.status,
                  reason: outcome.reason,
                  provider: outcome.provider,
                  rowsInserted: outcome.rowsInserted,
                  rowsRevised: outcome.rowsRevised,
                  absence:
                    absence === undefined
                      ? null
                      : {
                          class: absence.class,
                          words: absence.words,
                          sessions: absence.sessions,
                          lastBar: absence.lastBar,
                        },
                },
          flags: flags.map(({ sessionDate: of, kind, severity, reason, availableSession }) => ({
            sessionDate: of,
            kind,
            severity,
            reason,
            availableSession,
          })),
          quarantine: quarantine.map(quarantinedOf),
        },
        200,
      );
    })
    .openapi(barsRoute, async (c) => {
      const symbol = c.req.valid('param').symbol.toUpperCase();
      const { limit, pageToken, format: asked, adjust, from, to, ...night } = c.req.valid('query');
      const after = keyIn(pageToken, barKey);
      const run =
        after === null
          ? await ingestedRun(deps, night)
          : await requireResultOf(sql, { task: 'ingestion', taskRunId: after[0] });
      const known = await knownBars(deps, { symbol, run, adjust });
      const list = barList(known, { taskRunId: run.taskRunId, from, to });
      const format = formatOf(c, asked);
      const name = `bars-${symbol}-${adjust}-${run.sessionDate}`;
      const itemOf = (row: number) => barOf(known, row);
      if (format !== 'json') {
        const batches = itemBatchesOf(list, after, itemOf);
        return await streamItems(c, { format, schema: barSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      const { sessionDate, universe } = run;
      const { units: shareUnits, held } = known;
      const items = rows.map(itemOf);
      return c.json({ symbol, sessionDate, universe, adjust, shareUnits, held, items, nextPageToken }, 200);
    })
    .openapi(featuresRoute, async (c) => {
      const symbol = c.req.valid('param').symbol.toUpperCase();
      const run = await requireResult(sql, 'overnightScan', c.req.valid('query'));
      const { sessionDate, universe, universeVersion } = run;
      const featureSetVersion = textIn(run, 'featureSetVersion');
      const row = await readSymbolFeatures(sql, { sessionDate, universeVersion, featureSetVersion, symbol });
      if (row === null)
        throw new Problem(
          'not-found',
          `no features of ${symbol} for ${sessionDate} (${universe}) are stored`,
        );
      const features = featuresOf(row);
      const { datasetHash, invalidReason } = row;
      return c.json(
        { symbol, sessionDate, universe, featureSetVersion, datasetHash, invalidReason, features },
        200,
      );
    })
    .openapi(predictionsRoute, async (c) => {
      const symbol = c.req.valid('param').symbol.toUpperCase();
      const { limit, pageToken, format: asked, from, to, ...night } = c.req.valid('query');
      const after = keyIn(pageToken, predictionKey);
      const universe = after?.[0] ?? (await requireResult(sql, 'overnightScan', night)).universe;
      const list: KeyedList<SymbolPrediction, [string, string]> = {
        read: (key, rows) =>
          readSymbolPredictions(sql, {
            symbol,
            universe,
            from: from ?? FIRST_DAY,
            through: to ?? LAST_DAY,
            before: key?.[1] ?? null,
            limit: rows,
          }),
        keyOf: ({ sessionDate }) => [universe, sessionDate],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const batches = itemBatchesOf(list, after, predictionOf);
        const name = `predictions-${symbol}-${universe}`;
        return await streamItems(c, { format, schema: predictionSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json({ symbol, universe, items: rows.map(predictionOf), nextPageToken }, 200);
    });
}

function barList(
  { stored, firstRow }: KnownBars,
  { taskRunId, from, to }: { taskRunId: string; from: string | undefined; to: string | undefined },
): KeyedList<number, [string, string]> {
  const { epochDays } = stored.bars;
  const first = from === undefined ? firstRow : Math.max(firstRow, lowerBound(epochDays, epochDayOf(from)));
  const end = to === undefined ? epochDays.length : lowerBound(epochDays, epochDayOf(to) + 1);
  return {
    read: (after, limit) => {
      const start = after === null ? first : Math.max(first, lowerBound(epochDays, epochDayOf(after[1]) + 1));
      const length = Math.max(0, Math.min(limit, end - start));
      return Promise.resolve(Array.from({ length }, (_, index) => start + index));
    },
    keyOf: (row) => [taskRunId, sessionDateOf(epochDays[row] ?? 0)],
  };
}

function barOf({ stored, sources, prices, held }: KnownBars, row: number): z.infer<typeof barSchema> {
  const source = sources.get(stored.sourceIds[row] ?? -1);
  return {
    sessionDate: sessionDateOf(stored.bars.epochDays[row] ?? 0),
    open: finite(prices.open[row]),
    high: finite(prices.high[row]),
    low: finite(prices.low[row]),
    close: finite(prices.close[row]),
    volume: finite(prices.volume[row]),
    state: STATES[stored.states[row] ?? 0] ?? 'provisional',
    revision: stored.revisions[row] ?? 0,
    doubtful: held !== null || stored.flagged[row] === 1,
    provider: source?.provider ?? 'unknown',
    priceBasis: source === undefined ? 'unknown' : priceBasisKey(source.basis),
  };
}

function predictionOf(row: SymbolPrediction): z.infer<typeof predictionSchema> {
  return {
    sessionDate: row.sessionDate,
    universeVersion: row.universeVersion,
    modelVersion: row.modelVersion,
    revision: row.revision,
    symbol: row.symbol,
    side: row.side,
    rank: row.rank,
    reason: row.reasonWords,
    probability: row.probability,
    baseRate: row.baseRate,
    confidence: row.confidence,
    probabilities: row.probabilities,
    metaLogit: row.metaLogit,
    labelKind: row.labelKind,
    horizonSessions: row.horizonSessions,
    simulated: row.simulated,
    outcome: outcomeOf(row),
  };
}
