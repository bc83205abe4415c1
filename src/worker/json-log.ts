import { DefaultLogger, type LogEntry, type Logger } from '@temporalio/worker';
import { TASKS } from '../contracts/wire/names.ts';

/** Workflow types of tasks carry the task's name: their lines go to the task's file. */
function taskOf(meta: Record<string, unknown>): string | undefined {
  const type = meta['task'] ?? meta['workflowType'];
  return TASKS.find((task) => task === type);
}

/** What the SDK adds to each line and nobody reads. */
const NOISE = ['sdkComponent', 'taskToken', 'isLocal', 'namespace', 'taskQueue'];

/**
 * JSON lines (UTC) on standard output: whoever started this process decides where they go. A worker on its own hands
 * each line to `onLine` too, for its files.
 */
export function createJsonLogger(onLine: (line: string) => void = () => undefined): Logger {
  return new DefaultLogger('INFO', (entry: LogEntry) => {
    const meta: Record<string, unknown> = { ...entry.meta };
    for (const name of NOISE) delete meta[name];
    // One name for it in lines of workflows, activities and model workers.
    meta['runId'] ??= meta['workflowRunId'];
    delete meta['workflowRunId'];
    const { error } = meta;
    if (error instanceof Error)
      meta['error'] = { name: error.name, message: error.message, stack: error.stack };
    const fields = {
      ts: new Date(Number(entry.timestampNanos / 1_000_000n)).toISOString(),
      level: entry.level,
      logger: 'nightshift.worker',
      msg: entry.message,
      ...meta,
      task: taskOf(meta),
    };
    const line = JSON.stringify(fields, (_key, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    process.stdout.write(`${line}\n`);
    onLine(line);
  });
}
