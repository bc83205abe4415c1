import logUpdate from 'log-update';
import type { RunReport } from '../contracts/schemas/report.ts';
import type { ActivityProgress } from '../temporal/progress.ts';
import { formatDuration } from './render/format.ts';

const POLL_MS = 500;
const SPINNER = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];

export type FollowOptions = {
  /** Reads the run's rows; null while the night has not written its first row. */
  readReport: () => Promise<RunReport | null>;
  /** Pending activities of a running task, with their heartbeats. */
  readProgress: (report: RunReport) => Promise<ActivityProgress[]>;
  /** True when the workflow is closed, whatever the rows say. */
  isClosed: () => Promise<boolean>;
  output: NodeJS.WriteStream;
  now: () => number;
  signal: AbortSignal;
  /** True: keep watching while a review is pending (somebody sits at the terminal). */
  waitForReview: boolean;
};

const OPEN_STATES = new Set(['pending', 'waiting', 'running']);

function isOpen(report: RunReport, waitForReview: boolean): boolean {
  return OPEN_STATES.has(report.status) || (waitForReview && report.status === 'awaiting_review');
}

/**
 * Shows a running night until it is over or waits for a person: a live block on a terminal, one plain
 * line per change elsewhere. Resolves with the last report, or null when it was aborted before any.
 */
export async function followNight(options: FollowOptions): Promise<RunReport | null> {
  const live = options.output.isTTY;
  const printer = changePrinter(options, live);
  let report: RunReport | null = null;
  for (let frame = 0; !options.signal.aborted; frame += 1) {
    report = (await options.readReport()) ?? report;
    if (report !== null) {
      const progress = isOpen(report, options.waitForReview) ? await options.readProgress(report) : [];
      printer(report, progress);
      if (live) logUpdate(liveBlock(report, progress, frame, options.now()).join('\n'));
      if (!isOpen(report, options.waitForReview)) break;
      if (await options.isClosed()) {
        report = (await options.readReport()) ?? report;
        break;
      }
    }
    await sleep(POLL_MS, options.signal);
  }
  if (live) logUpdate.clear();
  return report;
}

function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, durationMs);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

/** Prints each task's change of state and each retry once. */
function changePrinter({ output }: FollowOptions, live: boolean) {
  const seen = new Map<string, string>();
  const say = (line: string) => {
    if (live) logUpdate.clear();
    output.write(`${line}\n`);
  };
  return (report: RunReport, progress: ActivityProgress[]) => {
    for (const task of report.tasks) {
      const state = `${task.status}/${task.attempts}`;
      if (seen.get(task.task) !== state && task.status !== 'pending') {
        seen.set(task.task, state);
        const took = task.durationMs === null ? '' : ` in ${formatDuration(task.durationMs)}`;
        const attempt = task.attempts > 1 ? ` (attempt ${task.attempts})` : '';
        const reason = task.reason === null ? '' : `: ${task.reason}`;
        say(`${clock()} ${task.task} ${task.status}${took}${attempt}${reason}`);
      }
    }
    for (const activity of progress) {
      const key = `${activity.workflowId}/${activity.activityId}`;
      const retry = String(activity.attempt);
      if (activity.attempt > 1 && seen.get(key) !== retry) {
        seen.set(key, retry);
        say(
          `${clock()} retry ${activity.attempt} of ${activity.activityType}: ${activity.lastFailure ?? 'no reason given'}`,
        );
      }
    }
  };
}

function clock(): string {
  return new Date().toISOString().slice(11, 19);
}

function liveBlock(report: RunReport, progress: ActivityProgress[], frame: number, now: number): string[] {
  const spinner = SPINNER[frame % SPINNER.length] ?? '';
  const lines = report.tasks.map((task) => {
    const mark =
      { succeeded: '✓', failed: '✗', skipped: '–', running: spinner }[task.status as string] ?? '·';
    const running = task.status === 'running' && task.startedAt !== null;
    const took = running ? now - Date.parse(task.startedAt ?? '') : task.durationMs;
    return `  ${mark} ${task.task.padEnd(16)} ${task.status.padEnd(10)} ${took === null ? '' : formatDuration(took)}`;
  });
  const beating = progress.filter(({ total }) => total > 0).slice(0, 4);
  const details = beating.map(
    ({ activityType, phase, done, total }) => `      ${activityType} ${phase} ${done}/${total}`,
  );
  const others = progress.length - beating.length;
  return [...lines, ...details, ...(others > 0 ? [`      ${others} more waiting or starting`] : [])];
}
