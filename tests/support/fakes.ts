import { ApplicationFailure } from '@temporalio/common';

import type {
  BacktestActivities,
  DatasetRef,
  DriftActivities,
  Fence,
  FitPlan,
  FoldFit,
  IngestionActivities,
  MaintenanceActivities,
  MlActivities,
  NightPlan,
  PlanNightInput,
  RunActivities,
  ScanActivities,
  TaskInput,
  TaskPlan,
  TaskTransition,
  TrainingActivities,
} from '../../src/contracts/activities.ts';
import type { DecisionActivities } from '../../src/contracts/decisions.ts';
import type { ReviewInput } from '../../src/contracts/wire/messages.ts';
import {
  type Model,
  MODELS,
  NIGHT_TASKS,
  type NightState,
  type Task,
} from '../../src/contracts/wire/names.ts';

export type AllActivities = RunActivities &
  IngestionActivities &
  TrainingActivities &
  ScanActivities &
  BacktestActivities &
  DriftActivities &
  MaintenanceActivities &
  DecisionActivities &
  MlActivities;

export const SESSION = '2018-02-07';
export const UNIVERSE = 'tiny';
const HASH = 'a'.repeat(64);

const NEEDS: Record<Task, Task[]> = {
  ingestion: [],
  training: ['ingestion'],
  overnightScan: ['training'],
  backtest: ['ingestion'],
  driftMonitoring: ['training', 'backtest'],
  weeklyMaintenance: [],
};

/** A task as the plan of a test night has it: short, and retried without a pause. */
export function taskPlan(task: Task, change: Partial<TaskPlan> = {}): TaskPlan {
  return {
    task,
    taskRunId: `${task}-run`,
    enabled: true,
    disabledReason: null,
    dependsOn: NEEDS[task],
    notBefore: null,
    notBeforeLocal: null,
    timeoutMs: 60_000,
    maxAttempts: 1,
    retry: { initialIntervalMs: 10, backoffCoefficient: 1, maximumIntervalMs: 10 },
    reviewWindowMs: null,
    ...change,
  };
}

export function nightPlan(
  input: PlanNightInput,
  tasks: Partial<Record<Task, Partial<TaskPlan>>> = {},
  change: Partial<NightPlan> = {},
): NightPlan {
  return {
    outcome: 'run',
    reason: null,
    sessionDate: input.sessionDate ?? SESSION,
    universe: input.universe ?? UNIVERSE,
    universeVersion: HASH,
    configHash: HASH,
    limits: { maxConcurrentJobs: 1, maxInstances: 1 },
    nextStart: null,
    tasks: NIGHT_TASKS.map((task) => taskPlan(task, tasks[task])),
    ...change,
  };
}

export function taskInput(plan: TaskPlan, change: Partial<TaskInput> = {}): TaskInput {
  return {
    taskRunId: plan.taskRunId,
    task: plan.task,
    sessionDate: SESSION,
    universe: UNIVERSE,
    universeVersion: HASH,
    configHash: HASH,
    trigger: 'manual',
    forced: false,
    timeoutMs: plan.timeoutMs,
    turn: 0,
    ...change,
  };
}

export type AttemptRecord = { fence: Fence; end: string; type: string | null; message: string | null };

/** What the book-keeping fakes were told, in order. */
export type Book = {
  calls: string[];
  transitions: TaskTransition[];
  attempts: AttemptRecord[];
  reviews: ReviewInput[];
  nights: { state: NightState; reason: string | null }[];
};

/** States a task run went through, attempts included. */
export function statesOf(book: Book, task: Task): string[] {
  return book.transitions.filter((entry) => entry.taskRunId === `${task}-run`).map((entry) => entry.state);
}

const dataset: DatasetRef = {
  datasetHash: HASH,
  reused: false,
  rows: 1000,
  features: 40,
  blocks: [0, 1],
  symbols: 8,
  sessions: 300,
};

/** Two models make a night of many activities short enough; a test of training itself takes all eight. */
export function fitPlan(models: readonly Model[] = MODELS.slice(0, 2)): FitPlan {
  const job = { datasetHash: HASH, parameters: {}, seed: 1, threads: 2, device: 'cpu' as const };
  return {
    dataset,
    folds: models.flatMap((model) => dataset.blocks.map((blockIndex) => ({ ...job, model, blockIndex }))),
    finals: models.map((model) => ({ ...job, model })),
    meta: { seed: 1, threads: 2, parameters: { ridgeC: 1 } },
  };
}

const foldFit: FoldFit = {
  foldKey: HASH,
  modelHash: HASH,
  predictionsHash: HASH,
  fitReused: false,
  predictionsReused: false,
  trainRows: 800,
  testRows: 100,
  trees: 10,
  fitSeconds: 0,
  cpuSeconds: 0,
};

/** Activities that do nothing but remember; each can be replaced. */
export function createFakes(overrides: Partial<AllActivities> = {}): {
  activities: AllActivities;
  book: Book;
} {
  const book: Book = { calls: [], transitions: [], attempts: [], reviews: [], nights: [] };
  const activities: AllActivities = {
    planNight: async (input) => nightPlan(input),
    planManualRun: async () => ({ outcome: 'refused', reason: 'no plan in this test' }),
    planMaintenance: async () => ({
      outcome: 'run',
      plan: taskPlan('weeklyMaintenance'),
      input: taskInput(taskPlan('weeklyMaintenance'), { universe: 'all', trigger: 'schedule' }),
      limits: { maxConcurrentJobs: 1, maxInstances: 1 },
      nextStart: null,
    }),
    recordTasks: async ({ transitions }) => {
      book.transitions.push(...transitions);
    },
    recordReview: async (review) => {
      book.reviews.push(review);
    },
    beginAttempt: async ({ fence }) => {
      book.attempts.push({ fence, end: 'running', type: null, message: null });
    },
    finishAttempt: async ({ fence, end, failure }) => {
      const open = book.attempts.find((attempt) => attempt.fence.runId === fence.runId);
      if (open === undefined) throw ApplicationFailure.nonRetryable('no such attempt', 'SupersededAttempt');
      Object.assign(open, { end, type: failure?.type ?? null, message: failure?.message ?? null });
    },
    countLostAttempts: async () => ({ lost: 0, downSeconds: 0 }),
    finishNight: async ({ state, reason }) => {
      book.nights.push({ state, reason });
    },
    planIngestion: async () => ({
      batches: [
        { index: 0, symbols: ['A', 'B'] },
        { index: 1, symbols: ['C'] },
      ],
      symbols: 3,
      parallelBatches: 2,
    }),
    ingestBatch: async ({ batch }) => ({
      symbols: batch.symbols.length,
      failedSymbols: 0,
      rowsFetched: 10,
      rowsChanged: 10,
    }),
    finishIngestion: async () => ({ symbols: 3 }),
    planFits: async () => fitPlan(),
    registerTraining: async () => ({ version: 'v1' }),
    planScan: async () => ({
      dataset,
      modelVersion: 'v1',
      models: MODELS.map((model) => ({ model, modelHash: HASH })),
      metaHash: HASH,
      seed: 1,
    }),
    selectSignals: async () => ({ symbolIndexes: [0, 1] }),
    writeSignals: async ({ reasonsHash }) => ({ signals: reasonsHash === null ? 0 : 2 }),
    maturePredictions: async () => ({ matured: 1, pending: 0 }),
    runBacktest: async () => ({ sessions: 100 }),
    runDrift: async () => ({ alarms: 0 }),
    vacuumDatabase: async () => ({ tables: 1 }),
    cleanArtifacts: async () => ({ removed: 0 }),
    archiveLogs: async () => ({ zipped: 0 }),
    applyRetention: async () => ({ deleted: 0 }),
    decideQuarantine: async ({ symbol, sessionDate, provider, decision, by, why }) => ({
      symbol,
      sessionDate,
      provider,
      status: decision === 'release' ? 'released' : 'rejected',
      decidedBy: by,
      decidedAt: '2018-02-08T05:00:00.000Z',
      why,
    }),
    overrideSession: async ({ sessionDate, change, by, why }) => ({
      sessionDate,
      state: change === 'remove' ? 'removed' : change,
      openAt: null,
      closeAt: null,
      decidedBy: by,
      decidedAt: '2018-02-08T05:00:00.000Z',
      why,
    }),
    mlInfo: async () => ({
      libraryVersions: {},
      codeHash: HASH,
      lockHash: HASH,
      platform: 'test',
      threads: 2,
      cudaAvailable: false,
    }),
    fitFold: async () => foldFit,
    fitFinal: async () => ({
      fitKey: HASH,
      modelHash: HASH,
      fitReused: false,
      trainRows: 900,
      trees: 10,
      finite: true,
      fitSeconds: 0,
      cpuSeconds: 0,
    }),
    fitMeta: async () => ({
      metaHash: HASH,
      oofHash: HASH,
      slope: 1,
      usable: true,
      baseRate: 0.5,
      rows: 200,
      blocksWithMeta: 0,
    }),
    explainModel: async () => ({
      shapHash: HASH,
      additivityMaxError: 0,
      additive: true,
      space: 'logOdds',
      seconds: 0,
    }),
    score: async () => ({ predictionsHash: HASH, rows: 8 }),
    explainSignals: async () => ({ reasonsHash: HASH, rows: 2, seconds: 0 }),
    ...overrides,
  };
  return { activities: counted(activities, book), book };
}

/** Notes each call's name in order, for assertions about what ran at all. */
function counted(activities: AllActivities, book: Book): AllActivities {
  const wrapped = Object.entries(activities).map(([name, activity]) => [
    name,
    (input: never) => {
      book.calls.push(name);
      return activity(input);
    },
  ]);
  return Object.fromEntries(wrapped) as AllActivities;
}
