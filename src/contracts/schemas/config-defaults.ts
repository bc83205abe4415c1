import type { Task } from '../wire/names.ts';
import type { NightshiftSettings } from './nightshift-settings.ts';

/** Every default of the product lives in this file. */
export const DEFAULT_GLOBAL = {
  version: '1.0',
  timezone: 'America/New_York',
  maxConcurrentJobs: 1,
  coalesce: true,
  maxInstances: 1,
  misfireGraceTimeSeconds: 300,
} as const;

/** Also those of configurations that an earlier version stored without them. */
export const DEFAULT_DATA = {
  maxGapSessions: 20,
  splitTolerance: 0.2,
  secondSourceRatio: 1.5,
  delistedAfterSessions: 20,
};

/** Also those of configurations that an earlier version stored without them. */
export const DEFAULT_RETENTION = { loginDays: 30, alertDays: 365 };

export const DEFAULT_SETTINGS: NightshiftSettings = {
  universe: 'sample',
  waitForTaskTimes: true,
  settleDelayMinutes: 120,
  historySessions: null,
  dependencies: {
    ingestion: [],
    training: ['ingestion'],
    overnightScan: ['training'],
    backtest: ['ingestion'],
    driftMonitoring: ['training', 'backtest'],
    weeklyMaintenance: [],
  },
  taskRetry: { initialIntervalSeconds: 10, backoffCoefficient: 2, maximumIntervalSeconds: 300 },
  review: { windowMinutes: 720, perTask: {} },
  providers: { chain: ['archive'] },
  ingestion: { overlapSessions: 5, failureThreshold: 0.05, batchSymbols: 64, parallelBatches: 2 },
  data: DEFAULT_DATA,
  model: {
    labelKind: 'excess',
    horizonSessions: 1,
    blocks: 5,
    blockMonths: 3,
    minTrainSessions: 400,
    trainWindowSessions: 756,
    seed: 20_180_207,
    threads: 2,
    device: 'cpu',
    parameters: {
      lightgbm: { trees: 150, learningRate: 0.05, leaves: 31, minRowsPerLeaf: 100 },
      xgboost: { trees: 150, learningRate: 0.05, depth: 5, minRowsPerLeaf: 100 },
      catboost: { trees: 150, learningRate: 0.05, depth: 6 },
      histGradientBoosting: { trees: 150, learningRate: 0.05, leaves: 31, minRowsPerLeaf: 100 },
      randomForest: { trees: 100, depth: 8, rowsPerTree: 20_000, minRowsPerLeaf: 50 },
      extraTrees: { trees: 100, depth: 8, rowsPerTree: 20_000, minRowsPerLeaf: 50 },
      logisticRegression: { maxIterations: 200, regularizationC: 1 },
      mlp: { hiddenLayers: [32, 16], epochs: 8, learningRate: 0.001, batchRows: 256 },
    },
    meta: { ridgeC: 1 },
    bootstrapSamples: 1000,
  },
  signal: { quantile: 0.1, minEdge: 0.01 },
  backtest: { costBpsPerSide: 5, borrowBpsPerYear: 50 },
  drift: {
    windowSessions: 20,
    bins: 10,
    floor: 1e-4,
    missing: 'bin',
    minComparisonWindows: 20,
    alarmQuantile: 0.99,
    falseDiscoveryRate: 0.05,
    consecutiveNights: 2,
  },
  retention: {
    datasetNights: 7,
    foldGenerations: 2,
    temporalDays: 30,
    logZipDays: 30,
    logDeleteDays: 365,
    tempHours: 24,
    ...DEFAULT_RETENTION,
  },
  minFreeDiskGib: 2,
  logs: { maxMegabytes: 10, taskBackups: 5, schedulerBackups: 10 },
  watchdog: { cutoff: '06:00', maxSessionsBack: 3 },
  alerts: {
    channels: [{ name: 'log', type: 'log' }],
    nightLateMinutes: 360,
    nightMissedMinutes: 20,
    reviewExpiringMinutes: 60,
    coverageRatio: 0.95,
    schedulePausedHours: 24,
    queueSilentSeconds: 120,
    giveUpAfterHours: 12,
  },
};

/** A part of the settings, at any depth. */
export type PartialSettings = { [key: string]: unknown };

/** What a universe changes by itself; a file's `nightshift` block and its `universes.<name>` come after it. */
export const UNIVERSE_PRESETS: Record<string, PartialSettings> = {
  /** For tests: the same code path and libraries in seconds. */
  tiny: {
    historySessions: 300,
    ingestion: { batchSymbols: 4 },
    model: {
      blocks: 2,
      minTrainSessions: 120,
      bootstrapSamples: 200,
      parameters: {
        lightgbm: { trees: 10, leaves: 7, minRowsPerLeaf: 20 },
        xgboost: { trees: 10, depth: 3, minRowsPerLeaf: 20 },
        catboost: { trees: 10, depth: 3 },
        histGradientBoosting: { trees: 10, leaves: 7, minRowsPerLeaf: 20 },
        randomForest: { trees: 10, depth: 4, minRowsPerLeaf: 20 },
        extraTrees: { trees: 10, depth: 4, minRowsPerLeaf: 20 },
        logisticRegression: { maxIterations: 50 },
        mlp: { hiddenLayers: [8], epochs: 2 },
      },
    },
  },
  /** Thirty symbols: half the trees, at least 200 rows a leaf. */
  sample: {
    ingestion: { batchSymbols: 16 },
    model: {
      parameters: {
        lightgbm: { trees: 75, minRowsPerLeaf: 200 },
        xgboost: { trees: 75, minRowsPerLeaf: 200 },
        catboost: { trees: 75 },
        histGradientBoosting: { trees: 75, minRowsPerLeaf: 200 },
        randomForest: { trees: 50, minRowsPerLeaf: 200 },
        extraTrees: { trees: 50, minRowsPerLeaf: 200 },
      },
    },
  },
  /** Larger batches: a fifth of the time of the network's fit at 380,000 rows. */
  sp500: { model: { parameters: { mlp: { batchRows: 1024 } } } },
};

export type DocumentTaskDefaults = {
  name: string;
  functionName: string;
  hour: number;
  minute: number;
  dayOfWeek: string;
  timeoutMinutes: number;
  maxRetries: number;
};

/** The documents' six tasks: names, endpoints' function names, times, limits. */
export const DOCUMENT_TASKS: Record<Task, DocumentTaskDefaults> = {
  ingestion: {
    name: 'Master Market Data Ingestion',
    functionName: 'run_ingestion',
    hour: 22,
    minute: 45,
    dayOfWeek: 'mon-sun',
    timeoutMinutes: 30,
    maxRetries: 3,
  },
  training: {
    name: 'TurboMode Training Orchestrator',
    functionName: 'run_orchestrator',
    hour: 23,
    minute: 0,
    dayOfWeek: 'mon-sun',
    timeoutMinutes: 120,
    maxRetries: 0,
  },
  overnightScan: {
    name: 'Overnight Scanner',
    functionName: 'run_overnight_scanner',
    hour: 23,
    minute: 30,
    dayOfWeek: 'mon-sun',
    timeoutMinutes: 60,
    maxRetries: 2,
  },
  backtest: {
    name: 'Backtest Data Generator',
    functionName: 'run_backtest_generator',
    hour: 0,
    minute: 0,
    dayOfWeek: 'mon-sun',
    timeoutMinutes: 90,
    maxRetries: 0,
  },
  driftMonitoring: {
    name: 'Drift Monitoring System',
    functionName: 'run_drift_monitor',
    hour: 0,
    minute: 30,
    dayOfWeek: 'mon-sun',
    timeoutMinutes: 45,
    maxRetries: 2,
  },
  weeklyMaintenance: {
    name: 'Weekly Maintenance',
    functionName: 'run_weekly_maintenance',
    hour: 2,
    minute: 0,
    dayOfWeek: 'sun',
    timeoutMinutes: 30,
    maxRetries: 0,
  },
};
