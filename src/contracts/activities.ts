import type { SlotLimits } from './slots.ts';
import type { Model, NightState, Task, TaskState, Trigger } from './wire/names.ts';

/**
 * Inputs and outputs of every activity. Types only, so that workflows can import them;
 * payloads carry ids, hashes and counts, never rows.
 */

/**
 * Identifies the attempt that writes: every final write checks in its transaction that it is still current.
 * `attempt` rises over the whole task run (`turn` x 1000 + the execution's own attempt), so that a late
 * attempt never takes the place of a newer one, not even after a review started the task anew.
 */
export type Fence = { taskRunId: string; workflowId: string; runId: string; attempt: number };

/** What every task workflow gets. `configHash` names the frozen configuration in `ops.configs`. */
export type TaskInput = {
  taskRunId: string;
  task: Task;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  configHash: string;
  trigger: Trigger;
  forced: boolean;
  /** Bound of one attempt; also the total bound of each of its activities. */
  timeoutMs: number;
  /** 0 for the starter's first execution of the task, one more for each it starts anew. */
  turn: number;
};

/** Input of an activity inside a task workflow. */
export type TaskStep = TaskInput & { fence: Fence };

/** A task's result: small and JSON-able, shown in report, memo and API. */
export type TaskResult = Record<string, unknown>;
/** What a task's workflow ends with: the result and the attempt (from 1) of this execution that gave it. */
export type TaskEnd = TaskResult & { attempt: number };

export type TaskPlan = {
  task: Task;
  taskRunId: string;
  enabled: boolean;
  /** Why it does not run in this night; null for an enabled task. */
  disabledReason: string | null;
  dependsOn: Task[];
  /** Absolute UTC instant before which the task does not start; null: as soon as its needs are done. */
  notBefore: string | null;
  /** The same as people read it, e.g. `23:00`; null without one. */
  notBeforeLocal: string | null;
  timeoutMs: number;
  maxAttempts: number;
  retry: { initialIntervalMs: number; backoffCoefficient: number; maximumIntervalMs: number };
  /** A failure waits for a person (tasks without retries), at most this long; null: no review. */
  reviewWindowMs: number | null;
};

export type NightInput = {
  trigger: Trigger;
  /** Explicit session; absent: from the nominal instant (schedule) or the newest closed session. */
  sessionDate?: string;
  universe?: string;
  requestedBy?: string;
  /** Hash of a configuration already stored; absent: the current one. */
  configHash?: string;
};

export type NightPlan = {
  /** `refused`: a condition of the house is not met (disk full, nothing configured). */
  outcome: 'run' | 'no_session' | 'already_running' | 'refused';
  reason: string | null;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  configHash: string;
  limits: SlotLimits;
  /** Next nominal start of the nightly schedule: no review may reach so far that it would be late. */
  nextStart: string | null;
  tasks: TaskPlan[];
};

/** What a night's workflow returns; rows in Postgres say the same in more detail. */
export type NightResult = {
  sessionDate: string;
  universe: string;
  state: NightState;
  reason: string | null;
  tasks: { task: Task; taskRunId: string; state: TaskState; reason: string | null }[];
};

export type PlanNightInput = NightInput & {
  workflowId: string;
  runId: string;
  nominalInstant: string | null;
};

export type TaskTransition = {
  taskRunId: string;
  state: TaskState;
  reason?: string | null;
  reviewDeadline?: string | null;
  result?: TaskResult | null;
  /** Rises with each transition of a task run: one that comes late, after a newer one, changes nothing. */
  order?: number;
};

export type ReviewDecision = 'retry' | 'skip' | 'abort';

/** A failure as rows and reports show it: class, first sentence, where. */
export type FailureInfo = {
  type: string;
  message: string;
  activity: string | null;
  attempt: number | null;
  nonRetryable: boolean;
};

/** Cause of the end of one attempt; `timed_out` attempts write nothing themselves. */
export type AttemptEnd = 'succeeded' | 'failed' | 'cancelled';

export type ManualPlan =
  | {
      outcome: 'run';
      input: TaskInput;
      plan: TaskPlan;
      limits: SlotLimits;
      /** See NightPlan: a manual run waits for a person no longer than a night's task would. */
      nextStart: string | null;
    }
  | { outcome: 'refused'; reason: string };

/** Book-keeping of runs; short idempotent upserts, called as local activities. */
export type RunActivities = {
  /** Resolves session, universe, task instants and deadlines, claims (session, universe), inserts pending rows. */
  planNight(input: PlanNightInput): Promise<NightPlan>;
  /** Plans one manual run from its request row and marks it taken; checks dependencies again. */
  planManualRun(input: { taskRunId: string; workflowId: string; runId: string }): Promise<ManualPlan>;
  /** Plans weekly maintenance from its schedule's nominal instant. */
  planMaintenance(input: {
    workflowId: string;
    runId: string;
    nominalInstant: string | null;
  }): Promise<ManualPlan>;
  recordTasks(input: { transitions: TaskTransition[] }): Promise<void>;
  /** One decision of one named person: review row and audit row. */
  recordReview(input: {
    taskRunId: string;
    decision: ReviewDecision;
    by: string;
    why: string;
  }): Promise<void>;
  /** Opens an attempt row, closes older open ones of the same task run, makes `fence` the current one. */
  beginAttempt(input: { fence: Fence; task: Task }): Promise<void>;
  /** Closes the attempt and gives the fence up; a success also closes the task run. */
  finishAttempt(input: {
    fence: Fence;
    end: AttemptEnd;
    failure: FailureInfo | null;
    result: TaskResult | null;
  }): Promise<void>;
  /**
   * How many timed-out attempts of the execution begun at `from` overlap time in which our own runtime was
   * down (liveness rows); `lastTimedOut` counts an end that no attempt row tells of.
   * `stored` is the result of a run whose rows say it succeeded: its own end came too late.
   */
  countLostAttempts(input: {
    taskRunId: string;
    from: string;
    to: string;
    timeoutMs: number;
    lastTimedOut: boolean;
  }): Promise<{ lost: number; downSeconds: number; stored?: TaskResult | null }>;
  finishNight(input: {
    workflowId: string;
    runId: string;
    state: NightState;
    reason: string | null;
  }): Promise<void>;
};

export type IngestionPlan = {
  batches: { index: number; symbols: string[] }[];
  symbols: number;
  /** Batches in flight at a time. */
  parallelBatches: number;
};
export type IngestionActivities = {
  /** Symbols of the universe as of S, the range each one misses plus the overlap, and the batches. */
  planIngestion(step: TaskStep): Promise<IngestionPlan>;
  /** Fetches, validates, stores raw bars with provenance; one outcome row per symbol; heartbeats. */
  ingestBatch(step: TaskStep & { batch: { index: number; symbols: string[] } }): Promise<{
    symbols: number;
    failedSymbols: number;
    rowsFetched: number;
    rowsChanged: number;
  }>;
  /** Checks across symbols (identical series, wrong-price sessions), coverage, threshold; the task's result. */
  finishIngestion(step: TaskStep): Promise<TaskResult>;
};

export type FitJob = {
  datasetHash: string;
  model: Model;
  parameters: Record<string, number | string | boolean | number[]>;
  seed: number;
  threads: number;
  device: 'cpu' | 'cuda';
};
export type FoldFit = {
  foldKey: string;
  modelHash: string;
  predictionsHash: string;
  fitReused: boolean;
  predictionsReused: boolean;
  trainRows: number;
  testRows: number;
  trees: number | null;
  fitSeconds: number;
  cpuSeconds: number;
};
export type FinalFit = {
  fitKey: string;
  modelHash: string;
  fitReused: boolean;
  trainRows: number;
  trees: number | null;
  /** Whether it predicts finite values on its newest training rows and on session S. */
  finite: boolean;
  fitSeconds: number;
  cpuSeconds: number;
};
export type MetaFit = {
  metaHash: string;
  oofHash: string;
  slope: number;
  usable: boolean;
  baseRate: number;
  rows: number;
  blocksWithMeta: number;
};
export type ModelRef = { model: Model; modelHash: string };
export type Explanation = {
  shapHash: string;
  additivityMaxError: number;
  additive: boolean;
  space: 'logOdds' | 'probability';
  seconds: number;
};

/** Activities of the Python worker on the `ml` queue. */
export type MlActivities = {
  mlInfo(input: Record<string, never>): Promise<{
    libraryVersions: Record<string, string>;
    codeHash: string;
    lockHash: string;
    platform: string;
    threads: number;
    cudaAvailable: boolean;
  }>;
  fitFold(input: FitJob & { blockIndex: number }): Promise<FoldFit>;
  fitFinal(input: FitJob): Promise<FinalFit>;
  fitMeta(input: {
    datasetHash: string;
    folds: { model: Model; blockIndex: number; predictionsHash: string }[];
    seed: number;
    threads: number;
    parameters: Record<string, number>;
  }): Promise<MetaFit>;
  explainModel(input: {
    datasetHash: string;
    model: Model;
    modelHash: string;
    blockIndex: number;
    seed: number;
    threads: number;
    device: 'cpu' | 'cuda';
  }): Promise<Explanation>;
  score(input: { datasetHash: string; models: ModelRef[]; metaHash: string }): Promise<{
    predictionsHash: string;
    rows: number;
  }>;
  explainSignals(input: {
    datasetHash: string;
    models: ModelRef[];
    metaHash: string;
    symbolIndexes: number[];
    seed: number;
  }): Promise<{ reasonsHash: string; rows: number; seconds: number }>;
};

export type DatasetRef = {
  datasetHash: string;
  reused: boolean;
  rows: number;
  features: number;
  blocks: number[];
  symbols: number;
  sessions: number;
};

/** What training and backtest need to run the shared fits. */
export type FitPlan = {
  dataset: DatasetRef;
  folds: (FitJob & { blockIndex: number })[];
  finals: FitJob[];
  meta: { seed: number; threads: number; parameters: Record<string, number> };
};

export type FoldResult = { model: Model; blockIndex: number; fit: FoldFit };

export type TrainingActivities = {
  /** Builds (or finds) the dataset of S as known at S, and lists the fits. */
  planFits(step: TaskStep): Promise<FitPlan>;
  /** Metrics with intervals, verdicts, gate; writes the model version, metrics, SHAP run; the task's result. */
  registerTraining(
    step: TaskStep & {
      dataset: DatasetRef;
      folds: FoldResult[];
      finals: { model: Model; fit: FinalFit }[];
      meta: MetaFit;
      explanations: { model: Model; explanation: Explanation }[];
      ml: Awaited<ReturnType<MlActivities['mlInfo']>>;
    },
  ): Promise<TaskResult>;
};

export type ScanPlan = {
  dataset: DatasetRef;
  modelVersion: string;
  models: ModelRef[];
  metaHash: string;
  seed: number;
};
export type ScanActivities = {
  /** Newest accepted version trained through <= S, and the dataset of S. */
  planScan(step: TaskStep): Promise<ScanPlan>;
  /** Ranks the predictions; which symbols get a signal and so need reasons. */
  selectSignals(
    step: TaskStep & { plan: ScanPlan; predictionsHash: string },
  ): Promise<{ symbolIndexes: number[] }>;
  /** Writes predictions and signals in one transaction, never overwriting; the task's result. */
  writeSignals(
    step: TaskStep & { plan: ScanPlan; predictionsHash: string; reasonsHash: string | null },
  ): Promise<TaskResult>;
};

export type BacktestActivities = {
  /** Matures stored predictions with outcomes known at S. */
  maturePredictions(step: TaskStep): Promise<{ matured: number; pending: number }>;
  /** Walk-forward on out-of-fold predictions with costs; metrics, equity curves; the task's result. */
  runBacktest(
    step: TaskStep & {
      dataset: DatasetRef;
      meta: MetaFit;
      folds: FoldResult[];
      matured: { matured: number; pending: number };
    },
  ): Promise<TaskResult>;
};

export type DriftActivities = {
  /** Baselines, raw PSI/KL/KS per feature and for the predictions, calibrated alarms, retraining flag. */
  runDrift(step: TaskStep): Promise<TaskResult>;
};

export type MaintenanceActivities = {
  vacuumDatabase(step: TaskStep): Promise<TaskResult>;
  cleanArtifacts(step: TaskStep): Promise<TaskResult>;
  archiveLogs(step: TaskStep): Promise<TaskResult>;
  applyRetention(step: TaskStep): Promise<TaskResult>;
};
