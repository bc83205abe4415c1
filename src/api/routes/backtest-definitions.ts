import { createRoute, z } from '@hono/zod-openapi';
import {
  reportExposureSchema,
  reportHoldoutSchema,
  reportOverfittingSchema,
} from '../../contracts/schemas/report.ts';
import { rowsQuery, streamQuery } from '../key-pages.ts';
import { estimateSchema, nightQuery } from '../results.ts';
import { dateSchema, foundAnswers } from './schemas.ts';
import { pageAnswers, pageFields, streamAnswers } from './list-answers.ts';

const number = () => z.number().nullable();
/** Nights of older versions lack what came later. */
const later = () => z.number().nullable().default(null);
const holdoutQuarters = {
  opened: reportHoldoutSchema.shape.opened.element.strip(),
  closed: reportHoldoutSchema.shape.closed.element.strip(),
};

/** What the backtest's result says, as the report prints it. */
export const summarySchema = z.object({
  models: z.array(
    z.object({
      model: z.string(),
      verdict: z.enum(['edge', 'no_edge']).nullable().default(null),
      grossReturn: number(),
      netReturn: number(),
      netReturnWithFlagged: later(),
      netReturnClosedLate: later(),
      sharpe: number(),
      sharpeLow: number(),
      sharpeHigh: number(),
      deflatedSharpe: number(),
      turnover: later(),
      grossExposure: later(),
      maxDrawdown: number(),
      breakEvenCostBps: later(),
      sessions: z.int(),
      notFilled: later(),
      closedLate: later(),
      topDecileExposure: reportExposureSchema.nullable().default(null),
    }),
  ),
  benchmarks: z.array(
    z.object({ name: z.string(), words: z.string(), holdsOvernight: z.boolean(), totalReturn: number() }),
  ),
  matured: z.int(),
  pending: z.int(),
  trackSessions: z
    .record(z.string(), z.int())
    .default({})
    .openapi({ description: 'Sessions of the track record, simulated and live' }),
  sessions: z.int(),
  firstSession: z.string().nullable(),
  lastSession: z.string().nullable(),
  horizonSessions: z.int(),
  quantile: z.number(),
  costBpsPerSide: z.number(),
  borrowBpsPerYear: z.number(),
  trials: z.int().openapi({ description: 'Variants tried times scores: what the deflated Sharpe counts' }),
  overfitting: reportOverfittingSchema.strip().nullable().default(null),
  holdout: z
    .object({ opened: z.array(holdoutQuarters.opened), closed: z.array(holdoutQuarters.closed) })
    .nullable()
    .default(null),
  notes: z.array(z.string()),
  leftOutDoubtful: z
    .array(
      z.object({
        block: z.int(),
        rows: z.int(),
        sessions: z.int(),
        firstSession: z.string(),
        lastSession: z.string(),
      }),
    )
    .default([]),
});

const headFields = {
  backtestId: z.string(),
  sessionDate: z.string(),
  universe: z.string(),
};
const originFields = {
  runId: z.string(),
  universeVersion: z.string(),
  featureSetVersion: z.string(),
  datasetHash: z.string(),
  survivorship: z.enum(['biased', 'unbiased', 'unknown']),
  recordedAt: z.string(),
  invalidReason: z
    .string()
    .nullable()
    .openapi({ description: 'What it was made of changed since; null: it did not' }),
};
export const originSchema = z.object({ ...headFields, ...originFields });
const backtestSchema = summarySchema.extend(originSchema.shape).openapi('Backtest');
const listedSchema = originSchema
  .extend({
    shown: z
      .boolean()
      .openapi({ description: 'It is what `/api/v1/backtests/{session}` of its universe shows' }),
  })
  .openapi('ListedBacktest');

export const metricSchema = z
  .object({
    model: z
      .string()
      .openapi({ description: 'A model, `meta`, `meanLogit`, a baseline, a benchmark or `all`' }),
    dimension: z.string().openapi({ example: 'month' }),
    bucket: z.string().openapi({ example: '2018-01' }),
    metric: z.string().openapi({ example: 'ic' }),
    ...estimateSchema.shape,
    n: z.int().nullable(),
  })
  .openapi('BacktestMetric');

export const equitySchema = z
  .object({
    series: z.string().openapi({ description: 'A model, `meta`, `meanLogit` or a benchmark' }),
    sessionDate: z.string(),
    grossReturn: number(),
    netReturn: number(),
    equityGross: number(),
    equityNet: number(),
    turnover: number(),
    exposure: number(),
    drawdown: number(),
  })
  .openapi('EquityPoint');

const params = z.object({ session: dateSchema });
const universe = nightQuery.shape.universe;
const nameQuery = z
  .string()
  .regex(/^[ -~]{1,64}$/)
  .optional();

export const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/backtests',
  tags: ['Results'],
  summary: 'The backtests that are kept, newest session first',
  request: { query: rowsQuery.extend({ universe }) },
  responses: pageAnswers(z.object({ ...pageFields(listedSchema) }).openapi('BacktestPage')),
});

export const backtestRoute = createRoute({
  method: 'get',
  path: '/api/v1/backtests/{session}',
  tags: ['Results'],
  summary: 'The walk-forward of a session’s night: models, benchmarks, overfitting, holdouts, notes',
  request: { params, query: z.object({ universe }) },
  responses: foundAnswers('The backtest', backtestSchema),
});

const pageOf = <Item extends z.ZodType>(item: Item, name: string) =>
  streamAnswers(z.object({ ...headFields, ...pageFields(item) }).openapi(name));

export const metricsRoute = createRoute({
  method: 'get',
  path: '/api/v1/backtests/{session}/metrics',
  tags: ['Results'],
  summary: 'Its metrics with intervals per model, month, sector, decile, portfolio and benchmark',
  request: {
    params,
    query: streamQuery.extend({ universe, model: nameQuery, dimension: nameQuery, bucket: nameQuery }),
  },
  responses: pageOf(metricSchema, 'BacktestMetricPage'),
});

export const equityRoute = createRoute({
  method: 'get',
  path: '/api/v1/backtests/{session}/equity',
  tags: ['Results'],
  summary: 'Its equity curves, models and benchmarks, session by session',
  request: { params, query: streamQuery.extend({ universe, series: nameQuery }) },
  responses: pageOf(equitySchema, 'EquityPage'),
});
