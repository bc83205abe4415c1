import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ApplicationFailure } from '@temporalio/common';
import type { Progress } from '../progress.ts';
import { JOBS, type JobInput, type JobName, type JobOutput } from './jobs.ts';
import type { FromThread, Report, ToThread } from './protocol.ts';

/** Beside the bundle of whoever imports this: `dist/worker/main.js` → `dist/compute/main.js`. */
const ENTRY = fileURLToPath(new URL('../compute/main.js', import.meta.url));
/** The tasks of a night follow each other: a thread that is up and compiled is half of a small computation. */
const IDLE_MS = 30_000;

/** Threads without work, by entry; at most one each. */
const idle = new Map<string, { thread: Worker; forget: () => void; timer: NodeJS.Timeout }>();

/**
 * Runs one computation away from the event loop, in a thread of its own: workflow tasks and heartbeats of this
 * process go on, cancelling the activity stops the thread at once. Without the built entry (unit tests run from
 * source) the job runs here. Errors keep their name as the failure's type.
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
  const thread = takeThread(entry);
  let detach = (): unknown => undefined;
  const ended = new Promise<unknown>((resolve, reject) => {
    const onMessage = (answer: FromThread): void => {
      if (answer.kind === 'progress') progress.report(answer.phase, answer.done, answer.total);
      else if (answer.kind === 'done') resolve(answer.output);
      else reject(failureOf(answer));
    };
    const onExit = (code: number): void =>
      reject(new Error(`computing thread ${message.name} ended with ${code}`));
    thread.on('message', onMessage).on('error', reject).on('exit', onExit);
    detach = () => thread.off('message', onMessage).off('error', reject).off('exit', onExit);
    progress.cancelled.catch(reject);
  });
  let isDone = false;
  try {
    thread.postMessage(message, []);
    const output = await progress.during(message.name, ended);
    isDone = true;
    return output;
  } finally {
    detach();
    if (isDone) keepThread(entry, thread);
    else await stop(thread);
  }
}

function takeThread(entry: string): Worker {
  const kept = idle.get(entry);
  if (kept === undefined) return new Worker(entry, { name: 'nightshift compute', execArgv: [] });
  idle.delete(entry);
  clearTimeout(kept.timer);
  kept.thread.off('error', kept.forget).off('exit', kept.forget).ref();
  return kept.thread;
}

/** For the next computation, if it comes soon; a process may end while it waits. */
function keepThread(entry: string, thread: Worker): void {
  const isGone = thread.threadId === -1;
  if (isGone || idle.has(entry)) {
    void stop(thread);
    return;
  }
  const forget = (): void => {
    if (idle.get(entry)?.thread === thread) idle.delete(entry);
    void stop(thread);
  };
  // Somebody has to listen to one that waits: its error would end the process.
  thread.on('error', forget).on('exit', forget).unref();
  idle.set(entry, { thread, forget, timer: setTimeout(forget, IDLE_MS).unref() });
}

/** Ends a thread; an error that was on its way is nobody's any more, but without a listener it would end the process. */
async function stop(thread: Worker): Promise<void> {
  thread.on('error', () => undefined);
  await thread.terminate();
}

function failureOf(answer: Extract<FromThread, { kind: 'failed' }>): ApplicationFailure {
  const error = ApplicationFailure.create({ message: answer.message, type: answer.name });
  error.stack = answer.stack;
  return error;
}
