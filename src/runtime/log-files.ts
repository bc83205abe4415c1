import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Task } from '../contracts/wire/names.ts';
import { formatRecord, type LogRecord } from './log-record.ts';

/** The documents' limits, until a configuration says otherwise. */
const LIMITS: LogLimits = { maxBytes: 10 * 1024 * 1024, taskBackups: 5, schedulerBackups: 10 };

export type LogLimits = { maxBytes: number; taskBackups: number; schedulerBackups: number };

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

  /** Lines that come together cost one write; a new file begins between two of them. */
  writeLines(lines: readonly string[]): void {
    let bytes = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    let text = '';
    for (const line of lines) {
      const size = Buffer.byteLength(line) + 1;
      if (bytes > 0 && bytes + size > this.options.maxBytes) {
        if (text !== '') appendFileSync(this.path, text);
        this.rotate();
        [text, bytes] = ['', 0];
      }
      text += `${line}\n`;
      bytes += size;
    }
    appendFileSync(this.path, text);
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

/**
 * The log files of a folder, with one writer: the embedded runtime (what it starts only prints), or a worker on its
 * own in the folder that is its alone.
 */
export class LogFiles {
  private readonly folder: string;
  private limits: LogLimits;

  constructor(folder: string, limits: Partial<LogLimits> = {}) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.limits = { ...LIMITS, ...limits };
  }

  /** From the next line on. */
  limit(limits: LogLimits): void {
    this.limits = limits;
  }

  /** Appends records to the files of their tasks, or of their servers; everything else is the scheduler's. */
  write(...records: readonly LogRecord[]): void {
    const linesOf = new Map<string, string[]>();
    for (const record of records) {
      const other = SERVER_LOG_FILES[record.source] ?? SCHEDULER_LOG_FILE;
      const name = record.task === null ? other : TASK_LOG_FILES[record.task];
      const lines = linesOf.get(name) ?? [];
      lines.push(formatRecord(record));
      linesOf.set(name, lines);
    }
    for (const [name, lines] of linesOf) this.append(name, lines);
  }

  private append(name: string, lines: readonly string[]): void {
    const { maxBytes, taskBackups, schedulerBackups } = this.limits;
    const backups = name === SCHEDULER_LOG_FILE ? schedulerBackups : taskBackups;
    const file = new RotatingFile(join(this.folder, name), { maxBytes, backups });
    try {
      file.writeLines(lines);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      // Maintenance removes the empty folder of a worker that has been quiet for long.
      mkdirSync(this.folder, { recursive: true });
      file.writeLines(lines);
    }
  }
}
