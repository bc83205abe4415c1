import { createRoute, z } from '@hono/zod-openapi';
import { readSignalPage, type SignalWithOutcome } from '../../db/queries/result-signals.ts';
import { readingOf } from '../../db/queries/report.ts';
import type { SignalSet } from '../../db/queries/task-results.ts';
import type { ApiDeps } from '../deps.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage, streamQuery } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { keyPart, nightQuery, outcomeOf, outcomeSchema, requireResult, signalSetOf } from '../results.ts';
import { newRouter } from '../router.ts';
import { sharedAnswers, sharedReads } from '../shared-reads.ts';
import { formatOf, streamContent, streamItems } from '../streams.ts';
import { problems } from './schemas.ts';
import { pageFields } from './list-answers.ts';

/** Why a symbol got its probability: a part of the stack's log-odds before calibration. */
const reasonSchema = z
  .object({
    feature: z.string(),
    value: z.number().nullable(),
    contribution: z.number().openapi({ description: 'SHAP, in log-odds' }),
  })
  .openapi('Reason');
const reasonsSchema = z.array(reasonSchema);

/** What of a signal holds for one symbol alone, here and in its story. */
export const signalFields = {
  symbol: z.string(),
  rank: z.int().nullable().openapi({ description: '1 is the highest probability; null: not scored' }),
  side: z.enum(['buy', 'sell', 'hold', 'not_scored']),
  reading: z.string().openapi({ description: 'What the signal claims: outperform, underperform, hold, …' }),
  probability: z.number().nullable(),
  baseRate: z.number().nullable(),
  confidence: z.number().nullable(),
  reasonCode: z.string(),
  reason: z.string().openapi({ description: 'Why it is held, or not scored, in words' }),
  reasons: reasonsSchema.openapi({ description: 'Contributions of features, for issued signals only' }),
  modelVersion: z.string(),
  revision: z.int(),
  featureSetVersion: z.string(),
  dataCutoff: z.string().openapi({ description: 'Nothing later is in it' }),
  outcome: outcomeSchema,
};
const signalSchema = z.object(signalFields).openapi('Signal');

const setSchema = z.object({
  sessionDate: z.string(),
  universe: z.string(),
  universeVersion: z.string(),
  modelVersion: z.string(),
  revision: z.int(),
});
const pageSchema = setSchema.extend({ ...pageFields(signalSchema) }).openapi('SignalPage');
type SignalPage = z.infer<typeof pageSchema>;

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/signals',
  tags: ['Results'],
  summary: 'Signals of a session, ranked, each with its reasons and what became of it',
  request: {
    query: streamQuery.extend({ ...nightQuery.shape, sort: z.enum(['rank', 'symbol']).default('rank') }),
  },
  responses: {
    200: {
      description: 'A page; its token stays with the signals it began with, whatever is scanned meanwhile',
      content: {
        'application/json': {
          schema: pageSchema,
        },
        ...streamContent,
      },
    },
    ...problems(400, 401, 404, 429, 503),
  },
});

/** Where a page ended: the set it is of, then position and symbol. */
const keySchema = z.tuple([
  keyPart.date,
  keyPart.hash,
  keyPart.hash,
  keyPart.hash,
  z.int().min(1).max(32_767),
  z.int().min(0).max(2_147_483_647),
  keyPart.symbol,
]);
type SignalKey = z.infer<typeof keySchema>;

/** The ranked list of a session. */
export function signalRoutes({ sql, log }: ApiDeps) {
  const pages = sharedAnswers<SignalPage>();
  const sets = sharedReads<SignalSet>();
  return newRouter().openapi(listRoute, async (c) => {
    const { sort, limit, pageToken, format: asked, ...night } = c.req.valid('query');
    const after = keyIn(pageToken, keySchema);
    const newestSet = async () => signalSetOf(await requireResult(sql, 'overnightScan', night));
    const readSet = async (): Promise<SignalSet> =>
      after === null ? await sets(JSON.stringify(night), newestSet) : setOfKey(after);
    const format = formatOf(c, asked);
    if (format === 'json') {
      const key = JSON.stringify({ night, sort, limit, after });
      return await pages(
        c,
        key,
        async () => await readPage(sql, { set: await readSet(), sort, limit, after }),
      );
    }
    const set = await readSet();
    return await streamItems(c, {
      format,
      schema: signalSchema,
      name: `signals-${set.universe}-${set.sessionDate}`,
      batches: itemBatchesOf(listOf(sql, { set, sort }), after, signalOf),
      log,
    });
  });
}

type Sorted = { set: SignalSet; sort: 'rank' | 'symbol' };

function listOf(sql: ApiDeps['sql'], { set, sort }: Sorted): KeyedList<SignalWithOutcome, SignalKey> {
  return {
    read: (key, rows) => {
      const place = key === null ? null : { position: key[5], symbol: key[6] };
      return readSignalPage(sql, { set, sort, after: place, limit: rows });
    },
    keyOf: ({ position, symbol }) => {
      const { sessionDate, universe, universeVersion, modelVersion, revision } = set;
      return [sessionDate, universe, universeVersion, modelVersion, revision, position, symbol];
    },
  };
}

async function readPage(
  sql: ApiDeps['sql'],
  { set, sort, limit, after }: Sorted & { limit: number; after: SignalKey | null },
): Promise<SignalPage> {
  const { rows, nextPageToken } = await readKeyPage(listOf(sql, { set, sort }), { after, limit });
  if (after === null && rows.length === 0)
    throw new Problem('not-found', `the signals of ${set.sessionDate} (${set.universe}) are no longer kept`);
  return { ...set, items: rows.map(signalOf), nextPageToken };
}

function setOfKey([sessionDate, universe, universeVersion, modelVersion, revision]: SignalKey): SignalSet {
  return { sessionDate, universe, universeVersion, modelVersion, revision };
}

/** A stored signal as the report says it. */
export function signalOf(row: SignalWithOutcome): z.infer<typeof signalSchema> {
  const { symbol, rank, side, probability, baseRate, confidence, reasonCode, reasonWords } = row;
  return {
    symbol,
    rank,
    side,
    reading: readingOf(row),
    probability,
    baseRate,
    confidence,
    reasonCode,
    reason: reasonWords,
    reasons: reasonsSchema.parse(row.reasons),
    modelVersion: row.modelVersion,
    revision: row.revision,
    featureSetVersion: row.featureSetVersion,
    dataCutoff: row.dataCutoff,
    outcome: outcomeOf(row),
  };
}
