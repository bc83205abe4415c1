import { z } from 'zod';

import { MODELS, PROVIDERS, TASKS } from '../wire/names.ts';
import { alertSettingsSchema } from './alert-settings.ts';
import { DEFAULT_DATA, DEFAULT_RETENTION } from './config-defaults.ts';

/** The `nightshift` block of the configuration, complete. A file gives parts; defaults fill the rest. */
const count = z.number().int().positive();
const wholeNumber = z.number().int().nonnegative();
const share = z.number().min(0).max(1);
const positive = z.number().positive();
const task = z.enum(TASKS);
const model = z.enum(MODELS);

/** Parameters of one model: names are ours, the model's own file translates them to its library. */
const modelParameters = z.record(
  z.string(),
  z.union([z.number(), z.string(), z.boolean(), z.array(z.number())]),
);

export const settingsSchema = z.strictObject({
  universe: z.string().min(1),
  /** False: a task starts as soon as its needs are done, whatever its own time. */
  waitForTaskTimes: z.boolean(),
  /** Minutes after an exchange close from which its bars count as knowable. */
  settleDelayMinutes: wholeNumber,
  /** Sessions of history a night uses; null: all there is. */
  historySessions: count.nullable(),
  dependencies: z.record(task, z.array(task)),
  /** Pause between the attempts of a task. */
  taskRetry: z
    .strictObject({
      initialIntervalSeconds: positive,
      backoffCoefficient: z.number().min(1),
      maximumIntervalSeconds: positive,
    })
    .refine((retry) => retry.maximumIntervalSeconds >= retry.initialIntervalSeconds, {
      path: ['maximumIntervalSeconds'],
      message: 'must not be smaller than initialIntervalSeconds',
    }),
  review: z.strictObject({
    windowMinutes: count,
    perTask: z.partialRecord(task, count),
  }),
  /** Order in which providers are asked; the first that has the bars wins. */
  providers: z.strictObject({
    chain: z
      .array(
        z.enum(PROVIDERS, {
          error: ({ input }) => `${JSON.stringify(input)} is no provider; known: ${PROVIDERS.join(', ')}`,
        }),
      )
      .min(1)
      .refine((chain) => new Set(chain).size === chain.length, { error: 'each provider once' }),
  }),
  ingestion: z.strictObject({
    /** Known sessions that are fetched again, to see revisions. */
    overlapSessions: wholeNumber,
    /** Share of symbols that may fail before the step does. */
    failureThreshold: share,
    /** Of a batch, and batches at a time; a plan makes at most 500 batches, 64 at a time, whatever these say. */
    batchSymbols: count,
    parallelBatches: count,
  }),
  /** What stored bars and splits must look like to be believed. */
  data: z
    .strictObject({
      /** Sessions without a bar after which a person says whether the ticker still means the same company. */
      maxGapSessions: count,
      /** How far the price may stray from what a split says, as a share. */
      splitTolerance: z.number().gt(0).max(1),
      /** Splits of a larger ratio (or a smaller inverse) need a second source, where the chain has one. */
      secondSourceRatio: z.number().min(1),
      /** Sessions without a bar after which a symbol is called delisted, if two sources agree. */
      delistedAfterSessions: count.default(DEFAULT_DATA.delistedAfterSessions),
    })
    .default(DEFAULT_DATA),
  model: z.strictObject({
    labelKind: z.enum(['excess', 'direction']),
    horizonSessions: z.number().int().min(1).max(20),
    blocks: count,
    blockMonths: z.union([
      z.literal(1),
      z.literal(2),
      z.literal(3),
      z.literal(4),
      z.literal(6),
      z.literal(12),
    ]),
    minTrainSessions: count,
    trainWindowSessions: count,
    seed: z.number().int().nonnegative().max(2_147_483_647),
    threads: count,
    device: z.enum(['cpu', 'cuda']),
    parameters: z.record(model, modelParameters),
    meta: z.strictObject({ ridgeC: positive }),
    bootstrapSamples: count,
  }),
  signal: z.strictObject({
    quantile: z.number().gt(0).max(0.5),
    minEdge: z.number().min(0).max(0.5),
  }),
  backtest: z.strictObject({
    costBpsPerSide: z.number().nonnegative(),
    borrowBpsPerYear: z.number().nonnegative(),
  }),
  drift: z.strictObject({
    windowSessions: count,
    bins: z.number().int().min(2),
    floor: positive,
    missing: z.enum(['drop', 'bin']),
    /** Fewer past windows than this: `not_enough_data`. */
    minComparisonWindows: count,
    alarmQuantile: z.number().gt(0).lt(1),
    falseDiscoveryRate: z.number().gt(0).lt(1),
    consecutiveNights: count,
  }),
  retention: z.strictObject({
    datasetNights: count,
    foldGenerations: count,
    temporalDays: count,
    logZipDays: count,
    logDeleteDays: count,
    tempHours: count,
    loginDays: count.default(DEFAULT_RETENTION.loginDays),
    alertDays: count.default(DEFAULT_RETENTION.alertDays),
  }),
  /** Free space under which no night starts. */
  minFreeDiskGib: z.number().nonnegative(),
  logs: z.strictObject({ maxMegabytes: positive, taskBackups: count, schedulerBackups: count }),
  watchdog: z.strictObject({
    /** Local time until which a missed night is still started, `HH:MM`. */
    cutoff: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time like 06:00'),
    maxSessionsBack: count,
  }),
  /** Who is told what; no part of a run's own configuration. */
  alerts: alertSettingsSchema,
});
export type NightshiftSettings = z.infer<typeof settingsSchema>;
