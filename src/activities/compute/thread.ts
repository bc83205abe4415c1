import { parentPort } from 'node:worker_threads';
import { JOBS, type JobName } from './jobs.ts';
import type { FromThread, ToThread } from './protocol.ts';

/** Entry of a computing thread: a job, its progress, its result; then it waits for the next one. */
const port = parentPort;
if (port === null) throw new Error('this module runs in a worker thread');

/** Progress messages closer together than this tell nobody anything. */
const REPORT_EVERY_MS = 200;

function send(message: FromThread): void {
  port?.postMessage(message, []);
}

async function run(name: JobName, input: never): Promise<void> {
  let reportedAt = 0;
  try {
    const output = await JOBS[name](input, (phase, done, total) => {
      const now = performance.now();
      if (now - reportedAt < REPORT_EVERY_MS && done < total) return;
      reportedAt = now;
      send({ kind: 'progress', phase, done, total });
    });
    send({ kind: 'done', output });
  } catch (error) {
    const known = error instanceof Error ? error : new Error(String(error));
    send({ kind: 'failed', name: known.name, message: known.message, stack: known.stack ?? '' });
  }
}

port.on('message', ({ name, input }: ToThread) => void run(name as JobName, input as never));
