import type { Context } from '@temporalio/activity';
import { CancelledFailure, defaultPayloadConverter } from '@temporalio/common';
import type {
  ActivityExecuteInput,
  ActivityInboundCallsInterceptor,
  ActivityInterceptors,
  ActivityOutboundCallsInterceptor,
} from '@temporalio/worker';
import { RUN_CONTEXT_HEADER, type RunContext, runContextOf } from '../contracts/wire/run-context.ts';

/**
 * Logs start, end, error and every retry of an activity; business code logs only what it knows. All its lines carry
 * session and task run.
 */
export function logActivities(context: Context): ActivityInterceptors {
  const { info, log } = context;
  let run: RunContext = {};
  const outbound: ActivityOutboundCallsInterceptor = {
    getLogAttributes: (attributes, next) => next({ ...attributes, ...run }),
  };
  const inbound: ActivityInboundCallsInterceptor = {
    execute: async (input, next) => {
      run = runContextOfActivity(input);
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
  return { inbound, outbound };
}

/** Session and task run of an activity, by its input and its workflow's header. */
export function runContextOfActivity({ args, headers }: ActivityExecuteInput): RunContext {
  const payload = headers[RUN_CONTEXT_HEADER];
  const told = payload === undefined ? {} : runContextOf(defaultPayloadConverter.fromPayload(payload));
  return { ...runContextOf(args[0]), ...told };
}
