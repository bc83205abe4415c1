import { walkForward } from '../backtest/walk-forward.ts';
import { measureDrift } from '../drift/measure.ts';
import { buildDataset } from './build-dataset.ts';
import { evaluateTraining } from './evaluate-training.ts';
import type { Report } from './protocol.ts';

/** Computations that may run in a thread: plain data in, plain data out, no I/O. */
export const JOBS = {
  buildDataset,
  evaluateTraining,
  measureDrift,
  walkForward,
} as const satisfies Record<string, (input: never, report: Report) => Promise<unknown>>;

export type JobName = keyof typeof JOBS;
export type JobInput<N extends JobName> = Parameters<(typeof JOBS)[N]>[0];
export type JobOutput<N extends JobName> = Awaited<ReturnType<(typeof JOBS)[N]>>;
