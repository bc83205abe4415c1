import { createRoute, z } from '@hono/zod-openapi';
import { rowsQuery } from '../key-pages.ts';
import { estimateSchema } from '../results.ts';
import { foundAnswers, universeSchema } from './schemas.ts';
import { pageAnswers, pageFields } from './list-answers.ts';

const promotionSchema = z
  .object({
    fromSession: z.string().openapi({ description: 'First session whose night uses it' }),
    kind: z.enum(['gate', 'promote', 'rollback']),
    by: z.string(),
    why: z.string(),
    recordedAt: z.string(),
  })
  .openapi('Promotion');

const versionFields = {
  version: z.string(),
  sessionDate: z.string().openapi({ description: 'The night that trained it' }),
  universe: z.string(),
  state: z.enum(['candidate', 'accepted', 'rejected']),
  accepted: z.boolean(),
  gateReason: z.string().nullable(),
  verdict: z.enum(['edge', 'no_edge']).nullable().openapi({ description: 'Of the stack' }),
  labelKind: z.string(),
  horizonSessions: z.int(),
  featureSetVersion: z.string(),
  survivorship: z.enum(['biased', 'unbiased']),
  recordedAt: z.string(),
  inUse: promotionSchema.nullable().openapi({
    description: 'Since when and by whom it is what the next night begins with; null: another is',
  }),
};
const versionSchema = z.object(versionFields).openapi('ModelVersion');

const numbers = z.record(z.string(), z.number().nullable());
export const metricSchema = estimateSchema
  .extend({
    n: z.int().nullable().openapi({ description: 'Rows it was taken from' }),
    baselines: numbers.openapi({ description: 'The same figure of each baseline on the same rows' }),
  })
  .openapi('Metric');

const calibrationSchema = z
  .object({
    decile: z.int().openapi({ description: '1 is the tenth of each session with the lowest probabilities' }),
    meanProbability: z.number().nullable(),
    realisedRate: estimateSchema,
    rows: z.int().nullable(),
  })
  .openapi('CalibrationBin');

export const modelSchema = z
  .object({
    name: z.string().openapi({ example: 'lightgbm', description: 'A model, `meta`, or a baseline' }),
    kind: z.enum(['model', 'stack', 'baseline']),
    modelHash: z.string().nullable(),
    verdict: z.enum(['edge', 'no_edge']).nullable().openapi({ description: 'Null for a baseline' }),
    verdictInWords: z.string().nullable(),
    leakSuspected: z.boolean().nullable(),
    adjustedPValue: z.number().nullable(),
    smallestDetectableIc: z.number().nullable(),
    metrics: z.record(z.string(), metricSchema).openapi({ description: 'By name: auc, ic, logLoss, …' }),
    metricsWithFlagged: z
      .record(z.string(), metricSchema)
      .openapi({ description: 'The same with outcomes of doubtful bars' }),
    calibration: z
      .array(calibrationSchema)
      .nullable()
      .openapi({ description: 'Null where no backtest of the same predictions is kept' }),
  })
  .openapi('ModelOfVersion');

const detailSchema = z
  .object({
    ...versionFields,
    universeVersion: z.string(),
    datasetHash: z.string(),
    codeHash: z.string(),
    lockHash: z.string(),
    metaHash: z.string(),
    oofHash: z.string(),
    seed: z.int(),
    threads: z.int(),
    platform: z.string(),
    libraryVersions: z.record(z.string(), z.string()),
    promotions: z
      .array(promotionSchema)
      .openapi({ description: 'Each time it became current, oldest first' }),
    models: z.array(modelSchema).openapi({ description: 'The eight, the stack, the baselines' }),
  })
  .openapi('ModelVersionDetail');

const shapSchema = z
  .object({
    version: z.string(),
    runId: z.string().nullable().openapi({ description: 'The training that made them' }),
    models: z.array(
      z.object({
        model: z.string(),
        space: z.string().openapi({ example: 'logOdds', description: 'logOdds or probability' }),
        additive: z.boolean(),
        additivityMaxError: z.number(),
        shapHash: z.string().openapi({ description: 'Artifact with the values themselves' }),
        top10: z.array(z.object({ feature: z.string(), meanShap: z.number(), meanAbsShap: z.number() })),
        top20: z.array(
          z.object({
            rank: z.int(),
            feature: z.string(),
            meanAbsShap: z.number(),
            share: z.number().openapi({ description: 'Of the mean |SHAP| of all features' }),
          }),
        ),
      }),
    ),
  })
  .openapi('ShapSummary');
export const shapLists = shapSchema.shape.models.element.pick({ top10: true, top20: true });

const versionParam = z.object({ version: z.string().regex(/^[\w.-]{1,100}$/) });

export const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/models',
  tags: ['Results'],
  summary: 'Model versions, newest first, and which are in use',
  request: { query: rowsQuery.extend({ universe: universeSchema.optional() }) },
  responses: pageAnswers(z.object({ ...pageFields(versionSchema) }).openapi('ModelVersionPage')),
});

export const versionRoute = createRoute({
  method: 'get',
  path: '/api/v1/models/{version}',
  tags: ['Results'],
  summary: 'One version: metrics with intervals beside baselines, verdicts, calibration, decisions',
  request: { params: versionParam },
  responses: foundAnswers('The version', detailSchema),
});

export const shapRoute = createRoute({
  method: 'get',
  path: '/api/v1/models/{version}/shap',
  tags: ['Results'],
  summary: 'What each of the eight models looks at, out of sample',
  request: { params: versionParam },
  responses: foundAnswers('By model', shapSchema),
});
