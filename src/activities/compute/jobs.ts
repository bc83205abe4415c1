import { walkForward } from '../backtest/walk-forward.ts';
import { measureDrift } from '../drift/measure.ts';
import { buildDataset } from './build-dataset.ts';
import { evaluateTraining } from './evaluate-training.ts';
import type { Report } from './protocol.ts';

const jobs = { buildDataset, evaluateTraining, measureDrift, walkForward } as const;

type Io = {
  [N in keyof typeof jobs]: {
    input: Parameters<(typeof jobs)[N]>[0];
    output: Awaited<ReturnType<(typeof jobs)[N]>>;
  };
};
export type JobName = keyof Io;
export type JobInput<N extends JobName> = Io[N]['input'];
export type JobOutput<N extends JobName> = Io[N]['output'];

/** Computations that may run in a thread: plain data in, plain data out, no I/O. */
export const JOBS: {
  readonly [N in JobName]: (input: Io[N]['input'], report: Report) => Promise<Io[N]['output']>;
} = jobs;
