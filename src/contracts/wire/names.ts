/** Names that appear on the wire. No I/O, no zod: workflows import this file as values. */

/** Tasks of a night in their documents' order; the index + 1 is the documents' `task_id`. */
export const TASKS = [
  'ingestion',
  'training',
  'overnightScan',
  'backtest',
  'driftMonitoring',
  'weeklyMaintenance',
] as const;
export type Task = (typeof TASKS)[number];

/** The five tasks of a night; weekly maintenance has its own schedule. */
export const NIGHT_TASKS = ['ingestion', 'training', 'overnightScan', 'backtest', 'driftMonitoring'] as const;
export type NightTask = (typeof NIGHT_TASKS)[number];

/** The documents' number of a task, 1 to 6. */
export function taskIdOf(task: Task): number {
  return TASKS.indexOf(task) + 1;
}

export const MODELS = [
  'lightgbm',
  'xgboost',
  'catboost',
  'histGradientBoosting',
  'randomForest',
  'extraTrees',
  'logisticRegression',
  'mlp',
] as const;
export type Model = (typeof MODELS)[number];

export const TASK_QUEUES = { pipeline: 'pipeline', ml: 'ml', marketData: 'market-data' } as const;

export const RUN_STATES = [
  'pending',
  'waiting',
  'running',
  'succeeded',
  'failed',
  'skipped',
  'awaiting_review',
  'cancelled',
  'disabled',
] as const;
export type TaskState = (typeof RUN_STATES)[number];
export type NightState = TaskState | 'partial' | 'no_session';

/** Sources of market data a configuration may name. */
export const PROVIDERS = ['archive'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export const TRIGGERS = ['schedule', 'manual', 'cli', 'watchdog', 'backfill'] as const;
export type Trigger = (typeof TRIGGERS)[number];

export const SCHEDULE_IDS = { nightly: 'nightly', weekly: 'weekly-maintenance' } as const;
export type ScheduleId = (typeof SCHEDULE_IDS)[keyof typeof SCHEDULE_IDS];
export const JOB_QUEUE_WORKFLOW_ID = 'jobQueue';
/** One id for all: two backfills at once would run two nights at once. */
export const BACKFILL_WORKFLOW_ID = 'backfill';

/** Workflow id of a night that was started by hand; scheduled ones get the server's `nightly-<instant>`. */
export function nightWorkflowId(sessionDate: string, universe: string): string {
  return `nightly/${sessionDate}/${universe}`;
}

/** Workflow id of one task's child, the same for night and manual run. */
export function taskWorkflowId(task: Task, sessionDate: string, universe: string): string {
  return `${task}/${sessionDate}/${universe}`;
}

/** Workflow id of a decision about a quarantined row: the same decision asked for twice at once runs once. */
export function quarantineWorkflowId(key: {
  symbol: string;
  sessionDate: string;
  subject?: string;
  provider: string;
  decision: string;
}): string {
  const what = key.subject === undefined || key.subject === 'bar' ? '' : `${key.subject}/`;
  return `quarantine/${key.symbol}/${key.sessionDate}/${what}${key.provider}/${key.decision}`;
}

/** Workflow id of a change of the calendar. */
export function sessionOverrideWorkflowId(key: { sessionDate: string; change: string }): string {
  return `calendar/${key.sessionDate}/${key.change}`;
}

/** Workflow id of the starter of one manual task run. */
export function manualRunWorkflowId(taskRunId: string): string {
  return `manual/${taskRunId}`;
}
