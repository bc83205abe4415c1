import { createRoute, z } from '@hono/zod-openapi';
import { ADJUSTMENTS } from '../../domain/adjustment.ts';
import { streamQuery } from '../key-pages.ts';
import { nightQuery, outcomeSchema, symbolSchema } from '../results.ts';
import { quarantineFields } from './quarantine-schema.ts';
import { dateSchema, foundAnswers, problems } from './schemas.ts';
import { signalFields } from './signals.ts';
import { pageFields, streamAnswers } from './list-answers.ts';

const params = z.object({ symbol: symbolSchema });
const rangeQuery = {
  from: dateSchema.optional(),
  to: dateSchema.optional().openapi({ description: 'Default and at most: the session' }),
};

const storySchema = z
  .object({
    symbol: z.string(),
    sessionDate: z.string(),
    universe: z.string(),
    instrument: z
      .object({
        name: z.string(),
        sector: z.string(),
        exchange: z.string(),
        currency: z.string(),
        validFrom: z.string().nullable(),
      })
      .nullable(),
    signal: z
      .object(signalFields)
      .nullable()
      .openapi({ description: 'Null where nothing was scanned, or the symbol is no member' }),
    ingestion: z
      .object({
        status: z.enum(['ok', 'failed', 'no_data']),
        reason: z.string().nullable(),
        provider: z.string().nullable(),
        rowsInserted: z.int(),
        rowsRevised: z.int(),
        absence: z
          .object({
            class: z.string(),
            words: z.string(),
            sessions: z.int(),
            lastBar: z.string().nullable(),
          })
          .nullable()
          .openapi({ description: 'Why there is no bar of the session; null where there is one' }),
      })
      .nullable(),
    flags: z
      .array(
        z.object({
          sessionDate: z.string(),
          kind: z.string(),
          severity: z.enum(['doubtful', 'note']),
          reason: z.string(),
          availableSession: z.string().openapi({ description: 'From this session on it is known' }),
        }),
      )
      .openapi({ description: 'Known by the session, newest first, at most 200' }),
    quarantine: z
      .array(z.object(quarantineFields))
      .openapi({ description: 'Up to the session, at most 200; decisions as they stand now' }),
  })
  .openapi('SymbolStory');

export const barSchema = z
  .object({
    sessionDate: z.string(),
    open: z.number().nullable(),
    high: z.number().nullable(),
    low: z.number().nullable(),
    close: z.number().nullable(),
    volume: z.number().nullable(),
    state: z.enum(['provisional', 'final', 'revised']),
    revision: z.int(),
    doubtful: z.boolean().openapi({ description: 'Counts as missing for features, labels and fills' }),
    provider: z.string(),
    priceBasis: z.string().openapi({ example: 'split-adjusted@2018-02-07' }),
  })
  .openapi('Bar');

const probability = () => z.number().nullable();
export const predictionSchema = z
  .object({
    sessionDate: z.string(),
    universeVersion: z.string(),
    modelVersion: z.string(),
    revision: z.int(),
    symbol: z.string(),
    side: signalFields.side,
    rank: z.int().nullable(),
    reason: z.string(),
    probability: probability().openapi({ description: 'What the signal was made of' }),
    baseRate: z.number().nullable(),
    confidence: z.number().nullable(),
    probabilities: z
      .object({
        lightgbm: probability(),
        xgboost: probability(),
        catboost: probability(),
        histGradientBoosting: probability(),
        randomForest: probability(),
        extraTrees: probability(),
        logisticRegression: probability(),
        mlp: probability(),
        meanLogit: probability(),
        meta: probability(),
      })
      .openapi({ description: 'Of the eight models, the mean of their log-odds and the stack' }),
    metaLogit: z.number().nullable(),
    labelKind: z.string().nullable(),
    horizonSessions: z.int().nullable(),
    simulated: z
      .boolean()
      .nullable()
      .openapi({ description: 'Written after its entry: kept out of the live track record' }),
    outcome: outcomeSchema,
  })
  .openapi('Prediction');

const featuresSchema = z
  .object({
    symbol: z.string(),
    sessionDate: z.string(),
    universe: z.string(),
    featureSetVersion: z.string(),
    datasetHash: z.string(),
    invalidReason: z
      .string()
      .nullable()
      .openapi({ description: 'What they were made of changed since; null: it did not' }),
    features: z.array(
      z.object({
        name: z.string(),
        family: z.string(),
        definition: z.string(),
        unit: z.string(),
        lookbackSessions: z.int(),
        value: z.number().nullable(),
      }),
    ),
  })
  .openapi('SymbolFeatures');

const listResponses = <Schema extends z.ZodType>(schema: Schema) => ({
  ...streamAnswers(schema),
  ...problems(409),
});

export const storyRoute = createRoute({
  method: 'get',
  path: '/api/v1/symbols/{symbol}',
  tags: ['Results'],
  summary:
    'One symbol on one session: signal, reasons, outcome, doubts; `/bars`, `/features`, `/predictions`',
  request: { params, query: nightQuery },
  responses: foundAnswers('Its story', storySchema),
});

export const barsRoute = createRoute({
  method: 'get',
  path: '/api/v1/symbols/{symbol}/bars',
  tags: ['Results'],
  summary: 'Its bars as the night of the session knew them, oldest first',
  request: {
    params,
    query: streamQuery.extend({
      ...nightQuery.shape,
      ...rangeQuery,
      adjust: z.enum(ADJUSTMENTS).default('splits').openapi({
        description:
          'raw: as stored; splits: as features see them; total: with dividends reinvested up to the session',
      }),
    }),
  },
  responses: listResponses(
    z
      .object({
        symbol: z.string(),
        sessionDate: z.string(),
        universe: z.string(),
        adjust: z.enum(ADJUSTMENTS),
        shareUnits: z
          .string()
          .nullable()
          .openapi({ description: 'Date of the share units; null: each bar on its own price basis' }),
        held: z
          .string()
          .nullable()
          .openapi({ description: 'Why all of them count as doubtful until a person decides' }),
        ...pageFields(barSchema),
      })
      .openapi('BarPage'),
  ),
});

export const featuresRoute = createRoute({
  method: 'get',
  path: '/api/v1/symbols/{symbol}/features',
  tags: ['Results'],
  summary: 'Its features of the session with their definitions',
  request: { params, query: nightQuery },
  responses: foundAnswers('All of them', featuresSchema),
});

export const predictionsRoute = createRoute({
  method: 'get',
  path: '/api/v1/symbols/{symbol}/predictions',
  tags: ['Results'],
  summary: 'What the eight models and the stack said of it, and what happened, newest session first',
  request: {
    params,
    query: streamQuery.extend({ universe: nightQuery.shape.universe, ...rangeQuery }),
  },
  responses: listResponses(
    z
      .object({
        symbol: z.string(),
        universe: z.string(),
        ...pageFields(predictionSchema),
      })
      .openapi('PredictionPage'),
  ),
});
