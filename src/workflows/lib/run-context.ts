import {
  type ActivityInput,
  defaultPayloadConverter,
  type LocalActivityInput,
  type WorkflowInboundCallsInterceptor,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

import { RUN_CONTEXT_HEADER, type RunContext, runContextOf } from '../../contracts/wire/run-context.ts';

/** Module state is a workflow's own. */
let context: RunContext = {};

/** Session and task run of this workflow, as far as it knows them. */
export function currentRunContext(): RunContext {
  return context;
}

/**
 * Each workflow's lines and activities carry session and task run. A replay does not compare headers; and nothing here
 * waits, so that branches go on in the order they had without it.
 */
export function interceptors(): WorkflowInterceptors {
  const learn = (value: unknown): void => {
    // What it began with counts; a plan tells what a run was not told, such as its session.
    context = { ...runContextOf(value), ...context };
  };
  const withHeader = <Input extends ActivityInput | LocalActivityInput>(input: Input): Input => {
    if (Object.keys(context).length === 0) return input;
    const header = defaultPayloadConverter.toPayload(context);
    return header === undefined
      ? input
      : { ...input, headers: { ...input.headers, [RUN_CONTEXT_HEADER]: header } };
  };
  /** Planning is the one that knows: a local activity, or an ordinary one where that took too long. */
  // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
  const learning = (activityType: string, result: Promise<unknown>): Promise<unknown> => {
    if (activityType.startsWith('plan')) result.then(learn, () => undefined);
    return result;
  };
  const inbound: WorkflowInboundCallsInterceptor = {
    execute: (input, next) => {
      learn(input.args[0]);
      return next(input);
    },
  };
  const outbound: WorkflowOutboundCallsInterceptor = {
    getLogAttributes: (attributes, next) => next({ ...attributes, ...context }),
    // oxlint-disable-next-line typescript/promise-function-async -- see above
    scheduleActivity: (input, next) => learning(input.activityType, next(withHeader(input))),
    // oxlint-disable-next-line typescript/promise-function-async -- see above
    scheduleLocalActivity: (input, next) => learning(input.activityType, next(withHeader(input))),
  };
  return { inbound: [inbound], outbound: [outbound] };
}
