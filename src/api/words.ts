import type { TaskState } from '../contracts/wire/names.ts';

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

/** A result with the documents' way of writing names: `totalSymbols` is `total_symbols`, at every depth. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [snakeName(name), snakeCased(one)]));
}

/** Names only: keys that are data (symbols, dates, models with dots) have no lower-to-upper step to change. */
function snakeName(name: string): string {
  return /^[a-z][A-Za-z0-9]*$/.test(name)
    ? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name;
}
