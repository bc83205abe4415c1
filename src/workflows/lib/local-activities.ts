import {
  type ActivityInterfaceFor,
  type LocalActivityOptions,
  proxyLocalActivities,
  type UntypedActivities,
} from '@temporalio/workflow';

/** The end of the last local activity that was asked for; module state is a workflow's own. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Local activities of a workflow, one at a time, in the order in which they were asked for. Of two in flight the
 * first to end may resolve first when they run, but the first to start when they are replayed: after a crash such
 * a run could not go on (TMPRL1100).
 */
export function serialLocalActivities<A = UntypedActivities>(
  options: LocalActivityOptions,
): ActivityInterfaceFor<A> {
  return new Proxy(proxyLocalActivities<A>(options), {
    get(activities, name) {
      const run: unknown = Reflect.get(activities, name);
      return typeof run === 'function' ? (...input: unknown[]) => inTurn(() => run(...input)) : run;
    },
  });
}

function inTurn(run: () => Promise<unknown>): Promise<unknown> {
  const mine = last.then(run);
  last = mine.catch(() => undefined);
  return mine;
}
