/** Entry of the workflow bundle: every export is a workflow type. */
export { jobQueue } from './job-queue.ts';
export { maintenanceRun, manualRun } from './manual-run.ts';
export { nightBackfill } from './night-backfill.ts';
export { nightlyPipeline } from './nightly-pipeline.ts';
export { quarantineDecision } from './quarantine-decision.ts';
export { sessionOverride } from './session-override.ts';
export { backtest } from './tasks/backtest.ts';
export { driftMonitoring } from './tasks/drift-monitoring.ts';
export { ingestion } from './tasks/ingestion.ts';
export { overnightScan } from './tasks/overnight-scan.ts';
export { training } from './tasks/training.ts';
export { weeklyMaintenance } from './tasks/weekly-maintenance.ts';
