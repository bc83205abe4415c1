import type { RunReport } from '../../contracts/schemas/report.ts';
import type { Task } from '../../contracts/wire/names.ts';
import type { ActivityProgress, EndedRetry, StepProgress, TaskProgress } from '../../temporal/progress.ts';
import { formatCount, formatDuration } from './format.ts';

/** What is running, in words: for the live block of a terminal and the plain lines of a pipe. */

/** Progress of the running tasks, by task. */
export type NightProgress = ReadonlyMap<Task, TaskProgress>;

const SPINNER = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];
/** Activities shown at work at the same time; more do not fit beside each other. */
const MAX_AT_WORK = 3;

/** One and many; anything not named here is shown by its own name. */
const WORDS: Record<string, readonly [string, string]> = {
  planIngestion: ['plan of what is missing', 'plans of what is missing'],
  ingestBatch: ['batch', 'batches of symbols'],
  finishIngestion: ['checks across symbols', 'checks across symbols'],
  planFits: ['dataset', 'datasets'],
  mlInfo: ['library versions', 'library versions'],
  fitFold: ['fold fit', 'fold fits'],
  fitFinal: ['final fit', 'final fits'],
  fitMeta: ['meta-learner', 'meta-learners'],
  explainModel: ['SHAP', 'SHAP explanations'],
  registerTraining: ['metrics and gate', 'metrics and gate'],
  planScan: ['dataset', 'datasets'],
  score: ['predictions', 'predictions'],
  selectSignals: ['ranking', 'rankings'],
  explainSignals: ['reasons', 'reasons'],
  writeSignals: ['storing signals', 'storing signals'],
  maturePredictions: ['outcomes of earlier predictions', 'outcomes of earlier predictions'],
  runBacktest: ['walk-forward', 'walk-forwards'],
  runDrift: ['drift statistics', 'drift statistics'],
  vacuumDatabase: ['vacuum', 'vacuums'],
  cleanArtifacts: ['clearing artifacts', 'clearing artifacts'],
  archiveLogs: ['archiving logs', 'archiving logs'],
  applyRetention: ['retention', 'retention'],
};

function nameOf({ activityType, subject }: { activityType: string; subject: string }): string {
  const name = WORDS[activityType]?.[0] ?? activityType;
  return subject === '' ? name : `${name} ${subject}`;
}

/** `fold fits 12 of 40, final fits 0 of 8` for what a task does more than once. */
function counted(steps: readonly StepProgress[]): string {
  return steps
    .filter(({ total }) => total > 1)
    .map(({ activityType, done, total }) => `${WORDS[activityType]?.[1] ?? activityType} ${done} of ${total}`)
    .join(', ');
}

/** `fold fit lightgbm block 3 (fit 40 of 150)`. */
function atWork(activity: ActivityProgress): string {
  const { phase, done, total } = activity;
  const far = total > 1 ? ` ${formatCount(done)} of ${formatCount(total)}` : '';
  return phase === '' || (phase === 'start' && far === '')
    ? nameOf(activity)
    : `${nameOf(activity)} (${phase}${far})`;
}

/** How far a task is, in one line: counts, then what is worked on now. */
export function progressLine({ steps, pending }: TaskProgress): string {
  const busy = pending.filter(({ started }) => started).map(atWork);
  const shown = busy.slice(0, MAX_AT_WORK).join(', ');
  const now = shown === '' ? (pending.length > 0 ? 'waiting for a worker' : '') : `now ${shown}`;
  return [counted(steps), now].filter((part) => part !== '').join('; ');
}

/** `retry 2 of fold fit catboost block 1: activity Heartbeat timeout`. */
export function retryLine(retry: EndedRetry): string {
  return `retry ${retry.attempt} of ${nameOf(retry)}: ${retry.lastFailure ?? 'no reason given'}`;
}

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
