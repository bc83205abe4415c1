import type { RunReport } from '../contracts/schemas/report.ts';
import { formatDuration } from './render/format.ts';
import { progressLine, retryLine } from '../temporal/progress-words.ts';
import type { NightProgress } from './render/progress.ts';

/** In a pipe a running task says how far it is at most this often, and after this long even without news. */
const PROGRESS_EVERY_MS = 20_000;
const SIGN_OF_LIFE_MS = 60_000;

export type NarratorOptions = {
  now: () => number;
  /** Lines about progress inside a task; a terminal has a live block for that. */
  withProgress: boolean;
};

/**
 * Turns looks at a running night into plain lines, each said once: changes of state, retries, and how far the
 * running tasks are.
 */
export function createNarrator(options: NarratorOptions) {
  const said = new Map<string, string>();
  const lastLine = new Map<string, { atMs: number; text: string }>();
  const isNews = (key: string, text: string): boolean => {
    if (said.get(key) === text) return false;
    said.set(key, text);
    return true;
  };
  return (report: RunReport, progress: NightProgress): string[] => {
    const nowMs = options.now();
    const clock = new Date(nowMs).toISOString().slice(11, 19);
    const lines: string[] = [];
    for (const task of report.tasks) {
      const reason = task.reason === null ? '' : `: ${task.reason}`;
      // A reason that changes while a task waits is news; those of a running one are the retries below.
      const state = `${task.status}/${task.attempts}${task.status === 'waiting' ? reason : ''}`;
      if (task.status !== 'pending' && isNews(task.task, state)) {
        const took = task.durationMs === null ? '' : ` in ${formatDuration(task.durationMs)}`;
        const attempt = task.attempts > 1 ? ` (attempt ${task.attempts})` : '';
        lines.push(`${clock} ${task.task} ${task.status}${took}${attempt}${reason}`);
        lastLine.set(task.task, { atMs: nowMs, text: '' });
      }
    }
    for (const [task, own] of progress) {
      const retries = [...own.retries, ...own.pending.filter(({ attempt }) => attempt > 1)];
      for (const retry of retries) {
        const key = `${own.workflowId}/${own.runId}/${retry.activityId}/${retry.attempt}`;
        if (isNews(key, 'retry')) lines.push(`${clock} ${task} ${retryLine(retry)}`);
      }
      if (!options.withProgress) continue;
      const last = lastLine.get(task) ?? { atMs: nowMs, text: '' };
      lastLine.set(task, last);
      const text = progressLine(own);
      const quietMs = nowMs - last.atMs;
      const due = quietMs >= (text === last.text ? SIGN_OF_LIFE_MS : PROGRESS_EVERY_MS);
      if (text === '' || !due) continue;
      lines.push(`${clock} ${task} ${since(report, { task, nowMs })}${text}`);
      lastLine.set(task, { atMs: nowMs, text });
    }
    return lines;
  };
}

/** `2 min 03 s: ` since the task started. */
function since(report: RunReport, at: { task: string; nowMs: number }): string {
  const started = report.tasks.find(({ task }) => task === at.task)?.startedAt ?? null;
  return started === null ? '' : `${formatDuration(at.nowMs - Date.parse(started))}: `;
}
