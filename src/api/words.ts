import type { TaskResult } from '../contracts/activities.ts';
import type { Task, TaskState } from '../contracts/wire/names.ts';

/** The source documents' words for our states; nothing else in the product uses them. */
const DOCUMENT_WORDS: Readonly<Record<TaskState, string>> = {
  pending: 'pending',
  waiting: 'pending',
  running: 'running',
  succeeded: 'success',
  failed: 'error',
  skipped: 'skipped',
  awaiting_review: 'error',
  cancelled: 'cancelled',
  disabled: 'disabled',
};

/** A state as the documents' endpoints say it. */
export function documentWord(state: TaskState): string {
  return DOCUMENT_WORDS[state];
}

/** What the documents' status calls numbers of a task's result that have other names here. */
const STATUS_FIELDS: Partial<Record<Task, Readonly<Record<string, string>>>> = {
  ingestion: { symbols_processed: 'successful', candles_ingested: 'totalCandles' },
};

/** The last result of a task as the documents' status shows it: with their names, and ours in their way of writing. */
export function lastResult(task: Task, result: TaskResult | null): Record<string, unknown> {
  const theirs = Object.entries(STATUS_FIELDS[task] ?? {}).flatMap(([name, ours]) => {
    const value = result?.[ours];
    return value === undefined ? [] : [[name, value] as const];
  });
  const fields = snakeCased(result ?? {});
  return { ...(typeof fields === 'object' ? fields : {}), ...Object.fromEntries(theirs) };
}

/** A result with the documents' way of writing names: `totalSymbols` is `total_symbols`, at every depth. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [snakeName(name), snakeCased(one)]));
}

/** Names come again with each answer; keys that are data are not kept for ever. */
const MOST_NAMES = 2_000;
const snakeNames = new Map<string, string>();

/** Names only: keys that are data (symbols, dates, models with dots) have no lower-to-upper step to change. */
function snakeName(name: string): string {
  const known = snakeNames.get(name);
  if (known !== undefined) return known;
  const snake = /^[a-z][A-Za-z0-9]*$/.test(name)
    ? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name;
  if (snakeNames.size >= MOST_NAMES) snakeNames.clear();
  snakeNames.set(name, snake);
  return snake;
}
