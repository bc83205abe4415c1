import type { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor, ActivityInterceptors } from '@temporalio/worker';

/** Logs start, end, error and every retry of an activity with its ids; business code logs only what it knows. */
export function logActivities(context: Context): ActivityInterceptors {
  const { info, log } = context;
  const inbound: ActivityInboundCallsInterceptor = {
    execute: async (input, next) => {
      const startedAt = performance.now();
      const meta = { activity: info.activityType, attempt: info.attempt };
      if (info.attempt > 1) log.warn(`${info.activityType} is tried again, attempt ${info.attempt}`, meta);
      else log.info(`${info.activityType} started`, meta);
      try {
        const result: unknown = await next(input);
        log.info(`${info.activityType} finished in ${Math.round(performance.now() - startedAt)} ms`, meta);
        return result;
      } catch (error) {
        const word = error instanceof CancelledFailure ? 'was cancelled' : 'failed';
        const text = error instanceof Error ? error.message : String(error);
        log[word === 'failed' ? 'error' : 'warn'](`${info.activityType} ${word}: ${text}`, meta);
        throw error;
      }
    },
  };
  return { inbound };
}
