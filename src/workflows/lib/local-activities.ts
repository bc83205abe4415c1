import {
  ActivityFailure,
  type ActivityInterfaceFor,
  ApplicationFailure,
  proxyActivities,
  proxyLocalActivities,
  TimeoutFailure,
  type UntypedActivities,
} from '@temporalio/workflow';

import { type RowsPresetName, rowsOptions } from './activity-options.ts';

/** The end of the last local activity that was asked for; module state is a workflow's own. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Local activities of a workflow, one at a time, in the order in which they were asked for. Of two in flight the
 * first to end may resolve first when they run, but the first to start when they are replayed: after a crash such
 * a run could not go on (TMPRL1100). What does not succeed at once goes on as an ordinary activity, which may take
 * as long as a database is away.
 */
export function serialLocalActivities<A = UntypedActivities>(
  name: RowsPresetName,
  taskTimeoutMs?: number,
): ActivityInterfaceFor<A> {
  const options = rowsOptions(name, taskTimeoutMs);
  const patient = proxyActivities<A>(options.patient);
  return new Proxy(proxyLocalActivities<A>(options.quick), {
    get(activities, activity) {
      const run: unknown = Reflect.get(activities, activity);
      const runPatiently: unknown = Reflect.get(patient, activity);
      if (typeof run !== 'function' || typeof runPatiently !== 'function') return run;
      return (...input: unknown[]) =>
        inTurn(async () => {
          try {
            return await run(...input);
          } catch (error) {
            if (!isWorthMoreTime(error, options.quick.retry.nonRetryableErrorTypes)) throw error;
            return await runPatiently(...input);
          }
        });
    },
  });
}

/** It ran out of time, not into something that comes again. */
function isWorthMoreTime(error: unknown, never: readonly string[]): boolean {
  // What a marker keeps of a local activity's time-out is the cause alone: a replay sees no activity's failure.
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure)
    return cause.nonRetryable !== true && !never.includes(cause.type ?? '');
  return cause instanceof TimeoutFailure;
}

function inTurn(run: () => Promise<unknown>): Promise<unknown> {
  const mine = last.then(run);
  last = mine.catch(() => undefined);
  return mine;
}
