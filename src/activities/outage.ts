import type { Task } from '../contracts/wire/names.ts';

/** Beats come every two seconds; shorter silences are a busy machine, not an outage. */
export const SILENCE_TOLERATED_MS = 15_000;

/** Tasks with activities on the queue `ml`. */
const ML_TASKS: readonly Task[] = ['training', 'overnightScan', 'backtest'];

/**
 * Kinds of process (`ops.liveness`) whose silence can be why a task timed out. Every task needs a `worker`; `ml`
 * counts only where fits or scores are waited for: to others its outage is no excuse for being slow.
 * Several workers of a kind are one: it is down while none of them beats.
 */
export function processesOf(task: Task): string[] {
  return ML_TASKS.includes(task) ? ['worker', 'ml'] : ['worker'];
}
