import type { RunReport } from '../../contracts/schemas/report.ts';
import type { Task } from '../../contracts/wire/names.ts';
import type { TaskProgress } from '../../temporal/progress.ts';
import { atWork, counted, MAX_AT_WORK } from '../../temporal/progress-words.ts';
import { formatDuration } from './format.ts';

/** What is running, in words: for the live block of a terminal and the plain lines of a pipe. */

/** Progress of the running tasks, by task. */
export type NightProgress = ReadonlyMap<Task, TaskProgress>;

const SPINNER = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];

/** The block at the foot of a terminal: each task with its state and time, what is worked on, how far. */
export function liveBlock(
  report: RunReport,
  view: { progress: NightProgress; frame: number; nowMs: number; columns: number },
): string[] {
  const spinner = SPINNER[view.frame % SPINNER.length] ?? '';
  const marks: Record<string, string> = {
    succeeded: '✓',
    failed: '✗',
    skipped: '–',
    disabled: '–',
    cancelled: '✗',
    awaiting_review: '?',
    running: spinner,
  };
  const lines = report.tasks.flatMap((task) => {
    const isRunning = task.status === 'running' && task.startedAt !== null;
    const took = isRunning ? view.nowMs - Date.parse(task.startedAt ?? '') : task.durationMs;
    const attempt = task.attempts > 1 ? `attempt ${task.attempts}` : '';
    const notes = [took === null ? '' : formatDuration(took), attempt, task.reason ?? ''];
    const head = `  ${marks[task.status] ?? '·'} ${task.task.padEnd(16)} ${task.status.padEnd(10)} `;
    const own = view.progress.get(task.task);
    return [
      head + notes.filter((note) => note !== '').join('  '),
      ...(own === undefined ? [] : detailLines(own)),
    ];
  });
  return lines.map((line) => cut(line.trimEnd(), view.columns));
}

function detailLines({ steps, pending }: TaskProgress): string[] {
  const counts = counted(steps);
  const busy = pending.filter(({ started }) => started);
  const waiting = pending.length - busy.length;
  return [
    ...(counts === '' ? [] : [`      ${counts}`]),
    ...busy.slice(0, MAX_AT_WORK).map((activity) => {
      const attempt = activity.attempt > 1 ? `, attempt ${activity.attempt}` : '';
      return `      → ${atWork(activity)}${attempt}`;
    }),
    ...(waiting > 0 && busy.length === 0 ? [`      ${waiting} waiting for a worker`] : []),
  ];
}

/** A line that never wraps: a block redrawn in place must keep its height. */
function cut(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}
