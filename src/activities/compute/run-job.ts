import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ApplicationFailure } from '@temporalio/common';
import type { Progress } from '../progress.ts';
import { JOBS, type JobInput, type JobName, type JobOutput } from './jobs.ts';
import type { FromThread, Report, ToThread } from './protocol.ts';

/** Beside the bundle of whoever imports this: `dist/worker/main.js` → `dist/compute/main.js`. */
const ENTRY = fileURLToPath(new URL('../compute/main.js', import.meta.url));

/**
 * Runs one computation away from the event loop, in a thread that ends with it: workflow tasks and heartbeats of
 * this process go on, cancelling the activity stops the thread at once. Without the built entry (unit tests run
 * from source) the job runs here. Errors keep their name as the failure's type.
 */
export async function runJob<N extends JobName>(
  name: N,
  input: JobInput<N>,
  options: { progress: Progress; entry?: string },
): Promise<JobOutput<N>> {
  const { progress, entry = ENTRY } = options;
  if (!existsSync(entry)) {
    const job: (input: JobInput<N>, report: Report) => Promise<JobOutput<N>> = JOBS[name];
    return await job(input, (phase, done, total) => progress.report(phase, done, total));
  }
  return (await runInThread({ name, input }, { entry, progress })) as JobOutput<N>;
}

async function runInThread(
  message: ToThread,
  options: { entry: string; progress: Progress },
): Promise<unknown> {
  const { entry, progress } = options;
  const thread = new Worker(entry, { name: `nightshift ${message.name}`, execArgv: [], workerData: message });
  const ended = new Promise<unknown>((resolve, reject) => {
    thread.on('message', (answer: FromThread) => {
      if (answer.kind === 'progress') progress.report(answer.phase, answer.done, answer.total);
      else if (answer.kind === 'done') resolve(answer.output);
      else reject(failureOf(answer));
    });
    thread.on('error', reject);
    thread.on('exit', (code) => reject(new Error(`computing thread ${message.name} ended with ${code}`)));
    progress.cancelled.catch(reject);
  });
  try {
    return await progress.during(message.name, ended);
  } finally {
    await thread.terminate();
  }
}

function failureOf(answer: Extract<FromThread, { kind: 'failed' }>): ApplicationFailure {
  const error = ApplicationFailure.create({ message: answer.message, type: answer.name });
  error.stack = answer.stack;
  return error;
}
