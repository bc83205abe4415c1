import { z } from 'zod';
import { TASKS } from '../wire/names.ts';

/** The run report: what `--json FILE` writes, what CLI and API show. Published as `contract/run-report.schema.json`. */

const instantSchema = z.iso.datetime();
const dateSchema = z.string().regex(/^\d{4}-\d{2}-\d{2}$/);
const jsonObjectSchema = z.record(z.string(), z.json());

/** Words of `run-semantics.md`; a night may also be `partial` or `no_session`. */
export const taskStateSchema = z.enum([
  'pending',
  'waiting',
  'running',
  'succeeded',
  'failed',
  'skipped',
  'awaiting_review',
  'cancelled',
  'disabled',
]);
export const nightStateSchema = z.enum([...taskStateSchema.options, 'partial', 'no_session']);

/** A number with its interval, null where it could not be computed. */
export const estimateSchema = z.looseObject({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});

export const reportTaskSchema = z.strictObject({
  task: z.enum(TASKS),
  status: taskStateSchema,
  attempts: z.int().min(0),
  startedAt: instantSchema.nullable(),
  completedAt: instantSchema.nullable(),
  durationMs: z.int().min(0).nullable(),
  reason: z.string().nullable(),
  result: jsonObjectSchema.nullable(),
});

export const reportModelSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  verdict: z.string(),
  verdictInWords: z.string(),
  metrics: jsonObjectSchema,
  baselines: jsonObjectSchema,
});

export const reportSignalSchema = z.looseObject({
  symbol: z.string(),
  rank: z.int().min(1).nullable(),
  signal: z.enum(['buy', 'sell', 'hold', 'not_scored']),
  probability: z.number().min(0).max(1).nullable(),
  confidence: z.number().min(0).max(1).nullable(),
  reason: z.string().nullable(),
  reasons: z.array(
    z.looseObject({ feature: z.string(), value: z.number().nullable(), contribution: z.number() }),
  ),
  modelVersion: z.string(),
  featureSetVersion: z.string(),
  dataCutoff: z.string(),
});

export const runReportSchema = z.strictObject({
  schemaVersion: z.literal(1),
  sessionDate: dateSchema,
  universe: z.string(),
  universeVersion: z.string().nullable(),
  status: nightStateSchema,
  reason: z.string().nullable(),
  workflowId: z.string(),
  runId: z.string(),
  startedAt: instantSchema.nullable(),
  completedAt: instantSchema.nullable(),
  durationMs: z.int().min(0).nullable(),
  /** The universe is today's membership list: every number of this report is biased upwards. */
  survivorship: z.literal('biased'),
  tasks: z.array(reportTaskSchema),
  coverage: jsonObjectSchema.nullable(),
  models: z.array(reportModelSchema),
  signals: z.array(reportSignalSchema),
  drift: jsonObjectSchema.nullable(),
  urls: z.record(z.string(), z.string()),
});
export type RunReport = z.infer<typeof runReportSchema>;
