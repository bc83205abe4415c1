import { userInfo } from 'node:os';
import { TASKS, type Task } from '../contracts/wire/names.ts';
import { UsageError } from './exit-codes.ts';

/** Throws UsageError unless the value is a date like 2018-02-07 that exists. */
export function requireDate(name: string, date: string): string {
  const instant = new Date(`${date}T00:00:00Z`);
  const exists = !Number.isNaN(instant.getTime()) && instant.toISOString().startsWith(date);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date) || !exists) {
    throw new UsageError(`${name}: ${date} is not a date like 2018-02-07`);
  }
  return date;
}

/** A task by its name or by the documents' number 1 to 6. */
export function requireTask(value: string): Task {
  const task = TASKS.find((name, index) => name === value || String(index + 1) === value);
  if (task === undefined)
    throw new UsageError(`task: ${value} is none of ${TASKS.join(', ')}, 1 to ${TASKS.length}`);
  return task;
}

/** Who acts, for the audit: the given name, else the login name. */
export function actor(by: string | undefined): string {
  return by ?? userInfo().username;
}

/** A count from 1. */
export function requireCount(name: string): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1)
      throw new UsageError(`${name}: ${text} is not a whole number from 1`);
    return count;
  };
}
