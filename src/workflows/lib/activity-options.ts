import { NON_RETRYABLE_TYPES } from '../../contracts/wire/failures.ts';
import { TASK_QUEUES } from '../../contracts/wire/names.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Errors of the code itself, TypeScript's and Python's: the next attempt would meet them again. */
const DEFECTS = [
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'AssertionError',
  'ZodError',
  'ConfigError',
  'CalendarRangeError',
  'ValueError',
  'KeyError',
  'IndexError',
  'AttributeError',
  'NotImplementedError',
  'ImportError',
  'ModuleNotFoundError',
  'ZeroDivisionError',
];
const NON_RETRYABLE: string[] = [...NON_RETRYABLE_TYPES, ...DEFECTS];

type RetryLimits = { initialIntervalMs: number; maximumIntervalMs: number; maximumAttempts: number | null };

/** Bounds of one kind of activity. `'task'` stands for the task's own timeout. */
export type Preset = {
  kind: 'activity' | 'local';
  taskQueue: string | null;
  /** One attempt, from its start. */
  perAttemptMs: number | 'task';
  /** All attempts and the wait in the queue. */
  totalMs: number | 'task';
  /** A dead worker is noticed after this; null only where an attempt takes under a minute. */
  heartbeatMs: number | null;
  retry: RetryLimits;
};

/** 1, 2, 4 … 30 s: 90 s in all, enough for a database or worker that is being started again. */
const TRANSIENT: RetryLimits = {
  initialIntervalMs: SECOND,
  maximumIntervalMs: 30 * SECOND,
  maximumAttempts: 8,
};

export const PRESETS = {
  // Rows of a night: without the database nothing else can go on either, so it waits for its return.
  bookkeeping: {
    kind: 'local',
    taskQueue: null,
    perAttemptMs: 20 * SECOND,
    totalMs: 12 * HOUR,
    heartbeatMs: null,
    retry: { initialIntervalMs: 200, maximumIntervalMs: 30 * SECOND, maximumAttempts: null },
  },
  // Attempt rows: a task cannot outlive its own timeout, nor can the wait for its rows.
  attemptRows: {
    kind: 'local',
    taskQueue: null,
    perAttemptMs: 20 * SECOND,
    totalMs: 'task',
    heartbeatMs: null,
    retry: { initialIntervalMs: 200, maximumIntervalMs: 30 * SECOND, maximumAttempts: null },
  },
  // A signal to the queue: said again by whoever wanted to say it, so it need not try for long.
  slots: {
    kind: 'local',
    taskQueue: null,
    perAttemptMs: 10 * SECOND,
    totalMs: MINUTE,
    heartbeatMs: null,
    retry: { initialIntervalMs: 200, maximumIntervalMs: 10 * SECOND, maximumAttempts: null },
  },
  // The queue's look at its holders: comes again each minute.
  queueCare: {
    kind: 'local',
    taskQueue: null,
    perAttemptMs: 20 * SECOND,
    totalMs: 50 * SECOND,
    heartbeatMs: null,
    retry: { initialIntervalMs: 500, maximumIntervalMs: 10 * SECOND, maximumAttempts: 3 },
  },
  // Short reads and writes of the pipeline: seconds at 505 symbols.
  pipelineShort: {
    kind: 'activity',
    taskQueue: TASK_QUEUES.pipeline,
    perAttemptMs: 50 * SECOND,
    totalMs: 'task',
    heartbeatMs: null,
    retry: TRANSIENT,
  },
  // Datasets, metrics, walk-forward, drift, vacuum: from seconds to many minutes, so with a heartbeat.
  pipelineLong: {
    kind: 'activity',
    taskQueue: TASK_QUEUES.pipeline,
    perAttemptMs: 'task',
    totalMs: 'task',
    heartbeatMs: 30 * SECOND,
    retry: TRANSIENT,
  },
  // The outside world: batches of symbols behind a rate limit.
  marketData: {
    kind: 'activity',
    taskQueue: TASK_QUEUES.marketData,
    perAttemptMs: 'task',
    totalMs: 'task',
    heartbeatMs: 30 * SECOND,
    retry: TRANSIENT,
  },
  // A person's decision about a row or a date: one short transaction, and the person waits for it.
  marketDataShort: {
    kind: 'activity',
    taskQueue: TASK_QUEUES.marketData,
    perAttemptMs: 30 * SECOND,
    totalMs: 10 * MINUTE,
    heartbeatMs: null,
    retry: TRANSIENT,
  },
  // Fits: forty of them wait behind one slot, so the total is the task's timeout, not the fit's.
  ml: {
    kind: 'activity',
    taskQueue: TASK_QUEUES.ml,
    perAttemptMs: 'task',
    totalMs: 'task',
    heartbeatMs: 20 * SECOND,
    retry: TRANSIENT,
  },
} as const satisfies Record<string, Preset>;
export type PresetName = keyof typeof PRESETS;

const ms = (bound: number | 'task', taskTimeoutMs: number): number =>
  bound === 'task' ? taskTimeoutMs : Math.min(bound, taskTimeoutMs);

function retryPolicy(limits: RetryLimits) {
  return {
    initialInterval: limits.initialIntervalMs,
    backoffCoefficient: 2,
    maximumInterval: limits.maximumIntervalMs,
    nonRetryableErrorTypes: NON_RETRYABLE,
    ...(limits.maximumAttempts === null ? {} : { maximumAttempts: limits.maximumAttempts }),
  };
}

/** Options of an activity on a worker's queue, for a task that may take `taskTimeoutMs`; without one its own bound. */
export function activityOptions(name: PresetName, taskTimeoutMs = Number.MAX_SAFE_INTEGER) {
  const preset: Preset = PRESETS[name];
  return {
    startToCloseTimeout: ms(preset.perAttemptMs, taskTimeoutMs),
    scheduleToCloseTimeout: ms(preset.totalMs, taskTimeoutMs),
    retry: retryPolicy(preset.retry),
    ...(preset.heartbeatMs === null ? {} : { heartbeatTimeout: preset.heartbeatMs }),
    ...(preset.taskQueue === null ? {} : { taskQueue: preset.taskQueue }),
  };
}

/** A database that is away has its own class; what Postgres itself refuses, it refuses again. */
const REFUSED_BY_DATABASE = 'PostgresError';

/**
 * All the time a local activity has. One that outlasts its workflow task makes the worker ask for another, and a
 * signal that comes in between may then not replay (TMPRL1100). Two in a row stay under those 8 s.
 */
const LOCAL_LIMIT_MS = 3 * SECOND;
/** 0.2, 0.4 and 0.8 s apart: the limit above ends an attempt, but not the wait for the next one (ran). */
const LOCAL_ATTEMPTS = 4;
const LOCAL_INTERVAL_MS = 200;

export type RowsPresetName = {
  [Name in PresetName]: (typeof PRESETS)[Name]['kind'] extends 'local' ? Name : never;
}[PresetName];

/** Options of short work: the quick way as a local activity, and the patient one for when that is not enough. */
export function rowsOptions(name: RowsPresetName, taskTimeoutMs = Number.MAX_SAFE_INTEGER) {
  const preset: Preset = PRESETS[name];
  const nonRetryableErrorTypes = [...NON_RETRYABLE, REFUSED_BY_DATABASE];
  const retry = { ...retryPolicy(preset.retry), nonRetryableErrorTypes };
  const limitMs = Math.min(LOCAL_LIMIT_MS, taskTimeoutMs);
  return {
    quick: {
      // No bound for one attempt: at its end another one would begin, beyond the limit for all.
      scheduleToCloseTimeout: limitMs,
      retry: { ...retry, initialInterval: LOCAL_INTERVAL_MS, maximumAttempts: LOCAL_ATTEMPTS },
    },
    patient: {
      startToCloseTimeout: ms(preset.perAttemptMs, taskTimeoutMs),
      scheduleToCloseTimeout: ms(preset.totalMs, taskTimeoutMs),
      retry,
    },
  };
}
