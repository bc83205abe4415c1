import { createRoute, z } from '@hono/zod-openapi';
import { rowsQuery, streamQuery } from '../key-pages.ts';
import { nightQuery } from '../results.ts';
import { dateSchema, foundAnswers, universeSchema } from './schemas.ts';
import { pageAnswers, pageFields, streamAnswers } from './list-answers.ts';

const number = () => z.number().nullable();
const statusSchema = z.enum(['stable', 'elevated', 'alarm', 'not_enough_data', 'not_monitored']);
const baselineSchema = z.enum(['rolling', 'anchored']);
const reasonSchema = z.object({ series: z.string(), baseline: baselineSchema, words: z.string() });
const rangeSchema = z.object({ first: z.string(), last: z.string() });

/** What the monitor's result says, as the report prints it. */
export const summarySchema = z.object({
  status: z.enum(['ok', 'not_enough_data', 'alarm']),
  features: z.int(),
  monitored: z.int(),
  stable: z.int(),
  elevated: z.int(),
  alarms: z.int(),
  notEnoughData: z.int(),
  notMonitored: z.int(),
  undecided: z.array(z.object({ why: z.string(), series: z.array(z.string()) })),
  largest: z
    .array(
      z.object({
        feature: z.string(),
        psi: number(),
        percentile: number(),
        status: statusSchema,
        ksStatistic: number(),
      }),
    )
    .openapi({ description: 'The largest raw PSI among watched series, at most five' }),
  retrainingFlag: z.boolean(),
  suppressedBy: z.enum(['cool_down']).nullable(),
  reasons: z.array(reasonSchema),
  windowSessions: z.int(),
  baselineSessions: z.int(),
  baseline: rangeSchema.nullable(),
  anchoredBaseline: rangeSchema.extend({ setTonight: z.boolean(), why: z.string().nullable() }).nullable(),
  issuedSessions: z.int().nullable().default(null),
});

export const rowSchema = z
  .object({
    sessionDate: z.string(),
    universe: z.string(),
    universeVersion: z.string(),
    featureSetVersion: z.string(),
    series: z.string().openapi({ description: 'A feature, or `prediction:` and a model' }),
    kind: z.enum(['feature', 'prediction']),
    baseline: baselineSchema,
    status: statusSchema,
    words: z.string(),
    psi: number(),
    psiCritical: number().openapi({ description: 'Percentile of past windows that an alarm exceeds' }),
    klCurrentGivenBaseline: number(),
    klBaselineGivenCurrent: number(),
    klCritical: number(),
    jensenShannon: number(),
    ksStatistic: number(),
    ksPValue: number(),
    ksCritical: number(),
    percentile: number().openapi({ description: 'Share of past windows not above this one' }),
    pValue: number(),
    qValue: number().openapi({ description: 'p-value after Benjamini–Hochberg' }),
    exceeded: z.boolean(),
    alarm: z.boolean(),
    baselineRows: z.int().nullable(),
    currentRows: z.int().nullable(),
    windows: z.int().nullable(),
    independentWindows: number(),
    baselineMissingShare: number(),
    currentMissingShare: number(),
    invalidReason: z.string().nullable(),
  })
  .openapi('DriftRow');

/** Of a stored row what is no column of its own; nights of older versions lack some. */
export const detailsSchema = z.object({
  kind: z.enum(['feature', 'prediction']),
  words: z.string().default(''),
  percentile: z.number().nullable().default(null),
  independentWindows: z.number().nullable().default(null),
  baselineMissingShare: z.number().nullable().default(null),
  currentMissingShare: z.number().nullable().default(null),
});

const nightSchema = summarySchema
  .extend({
    sessionDate: z.string(),
    universe: z.string(),
    universeVersion: z.string(),
    runId: z.string(),
    ...pageFields(rowSchema),
  })
  .openapi('DriftPage');

const histogramSchema = z
  .object({
    firstSession: z.string(),
    lastSession: z.string(),
    sessions: z.int().nullable(),
    rows: z.int(),
    missing: number().openapi({ description: 'Share without a value' }),
    shares: z.array(z.number()).openapi({ description: 'One more than edges: the ends are open' }),
  })
  .openapi('DriftHistogram');

const distributionSchema = z
  .object({
    sessionDate: z.string(),
    universe: z.string(),
    series: z.string(),
    baselineKind: baselineSchema,
    edges: z.array(z.number()),
    baseline: histogramSchema,
    current: histogramSchema.nullable().openapi({
      description:
        'Stored values of the newest nights up to the session, at most the window of 20; the monitor itself compares ' +
        'all sessions of the window, whether a night ran or not',
    }),
  })
  .openapi('DriftDistribution');

export const flagSchema = z
  .object({
    sessionDate: z.string(),
    universe: z.string(),
    universeVersion: z.string(),
    modelVersion: z.string(),
    raised: z.boolean().openapi({ description: 'False: it was, and is no longer due' }),
    reasons: z.array(reasonSchema),
    runId: z.string(),
    recordedAt: z.string(),
  })
  .openapi('RetrainingFlag');
export const flagReasons = z.array(reasonSchema);

const seriesParam = z.object({
  series: z
    .string()
    .regex(/^[\w:.-]{1,80}$/)
    .openapi({ example: 'volatility21', description: 'A feature, or `prediction:` and a model' }),
});

export const nightRoute = createRoute({
  method: 'get',
  path: '/api/v1/drift',
  tags: ['Results'],
  summary: 'Drift of a session: the verdict, and every series against both baselines',
  request: { query: streamQuery.extend({ ...nightQuery.shape, baseline: baselineSchema.optional() }) },
  responses: streamAnswers(nightSchema),
});

export const seriesRoute = createRoute({
  method: 'get',
  path: '/api/v1/drift/{series}',
  tags: ['Results'],
  summary: 'One series over sessions, newest first',
  request: {
    params: seriesParam,
    query: streamQuery.extend({
      universe: nightQuery.shape.universe,
      baseline: baselineSchema.default('rolling'),
      from: dateSchema.optional(),
      to: dateSchema.optional(),
    }),
  },
  responses: streamAnswers(
    z
      .object({
        universe: z.string(),
        series: z.string(),
        ...pageFields(rowSchema),
      })
      .openapi('DriftSeriesPage'),
  ),
});

export const distributionRoute = createRoute({
  method: 'get',
  path: '/api/v1/drift/{series}/distribution',
  tags: ['Results'],
  summary: 'One series now, in the bins of its baseline',
  request: {
    params: seriesParam,
    query: z.object({ ...nightQuery.shape, baseline: baselineSchema.default('rolling') }),
  },
  responses: foundAnswers('Both distributions', distributionSchema),
});

export const flagsRoute = createRoute({
  method: 'get',
  path: '/api/v1/retraining-flags',
  tags: ['Results'],
  summary: 'Retraining flags with their reasons, newest first; a flag starts nothing',
  request: { query: rowsQuery.extend({ universe: universeSchema.optional() }) },
  responses: pageAnswers(z.object({ ...pageFields(flagSchema) }).openapi('RetrainingFlagPage')),
});
