import type { ActivityInterceptorsFactory, WorkerOptions } from '@temporalio/worker';
import { spanAttributes, TRACED_GLOBAL } from '../contracts/wire/tracing.ts';
import type { Tracing } from '../tracing/start.ts';
import { logActivities, runContextOfActivity } from './activity-log.ts';

/** What the options of a worker have from tracing and logs. */
export function observed(tracing: Tracing | null, bundleCode: string) {
  const activity: ActivityInterceptorsFactory[] = [logActivities];
  if (tracing === null) return { workflowBundle: { code: bundleCode }, interceptors: { activity } };
  return {
    workflowBundle: { code: tracedCode(bundleCode) },
    interceptors: { activity: [tracing.activity, annotate(tracing), ...activity] },
    sinks: tracing.sinks,
  } satisfies Partial<WorkerOptions>;
}

/** A bundle whose workflows hand out spans. On the first line, so that the places of the source map stay. */
export function tracedCode(code: string): string {
  return `globalThis.${TRACED_GLOBAL} = true;${code}`;
}

function annotate(tracing: Tracing): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      execute: (input, next) => {
        const { attempt } = info;
        tracing.annotate({
          ...spanAttributes(runContextOfActivity(input)),
          'nightshift.attempt': `${attempt}`,
        });
        return next(input);
      },
    },
  });
}
