import { z } from '@hono/zod-openapi';
import type { Task } from '../contracts/wire/names.ts';
import type { Queryable } from '../db/client.ts';
import {
  findTaskResult,
  findTaskResultById,
  type OutcomeColumns,
  type SignalSet,
  type TaskResultRun,
} from '../db/queries/task-results.ts';
import { Problem } from './problems.ts';
import { dateSchema, universeSchema } from './routes/schemas.ts';

/** The days that `dateSchema` allows. */
export const FIRST_DAY = '1900-01-01';
export const LAST_DAY = '2099-12-31';

/** Which night's results are meant. */
export const nightQuery = z.object({
  session: dateSchema.optional().openapi({ description: 'Default: the newest session that has any' }),
  universe: universeSchema.optional().openapi({ description: 'Default: that of the newest night that ran' }),
});
export type AskedNight = z.infer<typeof nightQuery>;

/** Ticker as people write it; upper case inside. */
export const symbolSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,15}$/)
  .openapi({ example: 'AAPL' });

/** Parts of page tokens: what cannot be in a row is refused before it reaches the database. */
export const keyPart = {
  date: dateSchema,
  name: z.string().regex(/^\P{C}{1,100}$/u),
  symbol: z.string().regex(/^[\w.^/=-]{1,32}$/),
  hash: z.string().regex(/^[\w.-]{0,100}$/),
  run: z.string().regex(/^\P{C}{1,300}$/u),
} as const;

export const estimateSchema = z
  .object({
    value: z.number().nullable(),
    low: z.number().nullable().openapi({ description: '95 % interval; null where there is none' }),
    high: z.number().nullable(),
  })
  .openapi('Estimate');

/** What became of a prediction. */
export const outcomeSchema = z
  .object({
    entrySession: z.string(),
    exitSession: z.string(),
    entryPrice: z.number().nullable(),
    exitPrice: z.number().nullable(),
    forwardReturn: z.number().nullable().openapi({ description: 'Open of the entry to close of the exit' }),
    excessReturn: z.number().nullable().openapi({ description: 'Less the median of the members' }),
    targetDirection: z.number().nullable(),
    targetExcess: z.number().nullable(),
    missingReason: z.string().nullable().openapi({ description: 'Why there is no return' }),
  })
  .nullable()
  .openapi({ description: 'Null until it is known' });

/** An outcome as read beside a row; null where none is known. */
export function outcomeOf(row: OutcomeColumns): z.infer<typeof outcomeSchema> {
  const { isKnown, entrySession, exitSession, entryPrice, exitPrice } = row;
  if (isKnown !== true || entrySession === null || exitSession === null) return null;
  const { forwardReturn, excessReturn, targetDirection, targetExcess, missingReason } = row;
  return {
    entrySession,
    exitSession,
    entryPrice,
    exitPrice,
    forwardReturn,
    excessReturn,
    targetDirection,
    targetExcess,
    missingReason,
  };
}

/** The successful run of a task whose results are meant. Throws a Problem in words where there is none. */
export async function requireResult(
  sql: Queryable,
  task: Task,
  { session, universe }: AskedNight,
): Promise<TaskResultRun> {
  const run = await findTaskResult(sql, { task, sessionDate: session, universe });
  if (run !== null) return run;
  const what = [
    session === undefined ? '' : ` for ${session}`,
    universe === undefined ? '' : ` of ${universe}`,
  ];
  throw new Problem('not-found', `no run of ${task}${what.join('')} has succeeded`);
}

/** The run that a list began with, by its id in a page token. Throws a Problem for one that is not kept any more. */
export async function requireResultOf(
  sql: Queryable,
  run: { task: Task; taskRunId: string },
): Promise<TaskResultRun> {
  const found = await findTaskResultById(sql, run);
  if (found !== null) return found;
  throw new Problem('not-found', `the run of ${run.task} that this list began with is no longer kept`);
}

/** The signals that a scan's run names; null for a run that names none. */
export function signalSetIn(run: TaskResultRun): SignalSet | null {
  const { sessionDate, universe, universeVersion, result } = run;
  const { modelVersion, revision } = result ?? {};
  return typeof modelVersion === 'string' && typeof revision === 'number'
    ? { sessionDate, universe, universeVersion, modelVersion, revision }
    : null;
}

/** The same; throws a Problem for a run that names none. */
export function signalSetOf(run: TaskResultRun): SignalSet {
  const set = signalSetIn(run);
  if (set !== null) return set;
  throw new Problem('not-found', `the scan of ${run.sessionDate} (${run.universe}) left no signals`);
}

/** A text in the result of a run; empty where it has none of that name. */
export function textIn({ result }: TaskResultRun, name: string): string {
  const value = result?.[name];
  return typeof value === 'string' ? value : '';
}
