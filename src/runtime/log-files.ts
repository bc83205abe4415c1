import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Task } from '../contracts/wire/names.ts';
import { formatRecord, type LogRecord } from './log-record.ts';

const MAX_BYTES = 10 * 1024 * 1024;
const TASK_BACKUPS = 5;
const SCHEDULER_BACKUPS = 10;

/** The documents' files. */
export const TASK_LOG_FILES: Record<Task, string> = {
  ingestion: 'task_1_master_market_data_ingestion.log',
  training: 'task_2_training_orchestrator.log',
  overnightScan: 'task_3_overnight_scanner.log',
  backtest: 'task_4_backtest_data_generator.log',
  driftMonitoring: 'task_5_drift_monitoring.log',
  weeklyMaintenance: 'task_6_weekly_maintenance.log',
};
export const SCHEDULER_LOG_FILE = 'scheduler.log';
/** The servers' own lines would bury the scheduler's. */
const SERVER_LOG_FILES: Record<string, string> = { postgres: 'postgres.log', temporal: 'temporal.log' };

export type RotationOptions = { maxBytes: number; backups: number };

/**
 * A file that starts anew at `maxBytes`: `x.log` becomes `x.log.1`, that `x.log.2`, and so on. No handle is
 * kept open, so that a file which maintenance archived and removed is simply begun again.
 */
export class RotatingFile {
  private readonly path: string;
  private readonly options: RotationOptions;

  constructor(path: string, options: RotationOptions) {
    this.path = path;
    this.options = options;
  }

  writeLine(line: string): void {
    const data = Buffer.from(`${line}\n`);
    const bytes = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > 0 && bytes + data.length > this.options.maxBytes) this.rotate();
    appendFileSync(this.path, data);
  }

  private rotate(): void {
    rmSync(`${this.path}.${this.options.backups}`, { force: true });
    for (let number = this.options.backups - 1; number >= 1; number -= 1) {
      if (existsSync(`${this.path}.${number}`))
        renameSync(`${this.path}.${number}`, `${this.path}.${number + 1}`);
    }
    renameSync(this.path, `${this.path}.1`);
  }
}

/** The log files of a folder. The runtime is their only writer: processes only print. */
export class LogFiles {
  private readonly folder: string;
  private readonly maxBytes: number;

  constructor(folder: string, options: { maxBytes?: number } = {}) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.maxBytes = options.maxBytes ?? MAX_BYTES;
  }

  /** Appends a record to the file of its task, or of its server; everything else is the scheduler's. */
  write(record: LogRecord): void {
    const other = SERVER_LOG_FILES[record.source] ?? SCHEDULER_LOG_FILE;
    const name = record.task === null ? other : TASK_LOG_FILES[record.task];
    const backups = name === SCHEDULER_LOG_FILE ? SCHEDULER_BACKUPS : TASK_BACKUPS;
    const file = new RotatingFile(join(this.folder, name), { maxBytes: this.maxBytes, backups });
    file.writeLine(formatRecord(record));
  }
}
