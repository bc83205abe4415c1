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

/** One attempt of a task; `timed_out` also for one whose runtime went away. */
export const reportAttemptSchema = z.strictObject({
  attempt: z.int().min(1),
  status: z.enum(['running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'superseded']),
  startedAt: instantSchema,
  completedAt: instantSchema.nullable(),
  reason: z.string().nullable(),
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
  history: z
    .array(reportAttemptSchema)
    .optional()
    .describe('The attempts one by one, oldest first; `attempts` is their number.'),
});

export const reportModelSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  verdict: z.string(),
  verdictInWords: z.string(),
  metrics: jsonObjectSchema,
  baselines: jsonObjectSchema,
  explainedRows: z
    .int()
    .min(0)
    .nullable()
    .optional()
    .describe(
      'Rows of the newest test block that its explanation was made on: 100, or all where the block has fewer yet; ' +
        'null for the stack, which is explained by signal.',
    ),
  topFeatures: z
    .array(z.looseObject({ feature: z.string(), share: z.number() }))
    .optional()
    .describe('Features by their share of the mean |SHAP| of this model, largest first.'),
});

const bytesSchema = z.int().min(0).nullable();
/** Bytes on disk when the report was made; null for what lies elsewhere and cannot be measured from here. */
export const reportSizesSchema = z.strictObject({
  databaseBytes: bytesSchema.describe('Postgres: its folder, or the size of an external database'),
  artifactBytes: bytesSchema.describe('artifact store; null for an object store'),
  temporalBytes: bytesSchema.describe("the embedded Temporal server's database"),
  logBytes: bytesSchema,
  totalBytes: z.int().min(0).describe('sum of what is known'),
  freeBytes: bytesSchema.describe('free on the disk of the data folder'),
});
export type ReportSizes = z.infer<typeof reportSizesSchema>;

export const reportSignalSchema = z.looseObject({
  symbol: z.string(),
  rank: z.int().min(1).nullable(),
  signal: z
    .enum(['buy', 'sell', 'hold', 'not_scored'])
    .describe('Side of the book: buy is the top, sell the bottom of the session, whatever the label.'),
  reading: z
    .enum(['outperform', 'underperform', 'buy', 'sell', 'hold', 'not_scored'])
    .optional()
    .describe(
      'What the signal claims: outperform or underperform the median of the universe under the label `excess`, ' +
        'buy or sell under `direction`. Reports written by older versions lack it.',
    ),
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

const intervalSchema = z.strictObject({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});

export const reportOverfittingSchema = z.looseObject({
  probability: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .describe('Share of splits in which the best score of one half is at or below the median of the other.'),
  reason: z.string().nullable().describe('Why there is no probability; null where there is one.'),
  words: z.string(),
  series: z.int().min(0).describe('Different return series compared.'),
  earlierTrials: z.int().min(0).describe('Earlier trials that some of them are of.'),
  earlierTrialsLeftOut: z.int().min(0),
  duplicates: z.int().min(0),
  leftOut: z.array(z.strictObject({ name: z.string(), why: z.string() })),
  firstSession: dateSchema.nullable(),
  lastSession: dateSchema.nullable(),
  sessions: z.int().min(0),
  subBlocks: z.int().nullable(),
  combinations: z.int().nullable(),
  medianLogit: z.number().nullable(),
  probabilityOfLoss: z.number().nullable(),
  sharpeWhereChosen: z.number().nullable(),
  sharpeElsewhere: z.number().nullable(),
});

export const reportHoldoutSchema = z.looseObject({
  opened: z
    .array(
      z.looseObject({
        quarter: z.string().regex(/^\d{4}-Q[1-4]$/),
        openedSession: dateSchema,
        openedTonight: z.boolean(),
        sessions: z.int().min(1),
        calendarSessions: z.int().min(1),
        predictions: z.int().min(1),
        withoutOutcome: z.int().min(0),
        ic: intervalSchema,
        logLoss: z.number().nullable(),
        baseRateLogLoss: z.number().nullable(),
        logLossGain: intervalSchema,
        verdict: z.enum(['edge', 'no_edge']),
        trials: z.int().min(1),
        words: z.string(),
      }),
    )
    .describe('Quarters of predictions issued before their outcome, each opened once.'),
  closed: z
    .array(
      z.looseObject({
        quarter: z.string(),
        sessions: z.int().min(1),
        predictions: z.int().min(1),
        why: z.string(),
      }),
    )
    .describe('Quarters that nobody has looked at yet, and why not.'),
});

const shareSchema = z.number().min(0).max(1);

/** What the top decile of a model's probabilities holds that all scored symbols do not, averages over sessions. */
export const reportExposureSchema = z.strictObject({
  beta: z
    .strictObject({ top: z.number().nullable(), universe: z.number().nullable(), difference: intervalSchema })
    .describe('Mean beta to the equal-weight universe over the 126 sessions before; null where unknown.'),
  sizeRank: z
    .strictObject({ top: z.number().nullable(), difference: intervalSchema })
    .describe(
      'Mean rank within the session by dollar volume of 21 sessions, 0 smallest to 1 largest; the universe is 0.5.',
    ),
  sectors: z
    .array(z.strictObject({ sector: z.string(), top: shareSchema, universe: shareSchema }))
    .describe('Share of each sector in the top decile and in all scored rows.'),
});
export type ReportExposure = z.infer<typeof reportExposureSchema>;

/** What the backtest says; older nights lack what came later. */
export const reportBacktestSchema = z.looseObject({
  models: z
    .array(
      z.looseObject({
        model: z.string(),
        topDecileExposure: reportExposureSchema
          .nullable()
          .optional()
          .describe('Null for a model without predictions out of sample.'),
      }),
    )
    .optional()
    .describe('The base models, the stack (`meta`) and its baseline (`meanLogit`).'),
  overfitting: reportOverfittingSchema.optional(),
  holdout: reportHoldoutSchema.optional(),
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
  survivorship: z
    .enum(['biased', 'unbiased'])
    .describe(
      'biased: the universe is a later membership list, or of unknown origin; every number is too good.',
    ),
  tasks: z.array(reportTaskSchema),
  coverage: jsonObjectSchema.nullable(),
  models: z.array(reportModelSchema),
  signals: z.array(reportSignalSchema),
  backtest: reportBacktestSchema
    .nullable()
    .optional()
    .describe(
      'Result of the backtest: models, benchmarks, overfitting, holdouts, matured predictions, notes.',
    ),
  drift: jsonObjectSchema.nullable(),
  sizes: reportSizesSchema.optional(),
  urls: z
    .record(z.string(), z.string())
    .describe(
      'Temporal Web UI of this run (`night`, `allRuns`, one per task that ran) and `shap`, the explanations.',
    ),
});
export type RunReport = z.infer<typeof runReportSchema>;
