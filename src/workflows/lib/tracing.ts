import {
  ContinueAsNew,
  defaultPayloadConverter,
  type Headers,
  proxySinks,
  workflowInfo,
  type WorkflowInboundCallsInterceptor,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

import { MANUAL_RUN, REQUEST_SLOT } from '../../contracts/wire/messages.ts';
import { type RunContext, runContextOf } from '../../contracts/wire/run-context.ts';
import {
  type Carrier,
  parseTraceparent,
  spanAttributes,
  TRACE_HEADER,
  TRACED_GLOBAL,
  type TracingSinks,
  WAITING_TRACES_HEADER,
} from '../../contracts/wire/tracing.ts';
import { currentRunContext } from './run-context.ts';

/** A span that has begun; without a carrier nobody asked for one. */
type Span = { carrier: Carrier | null; end: (error?: unknown) => void };

const QUEUE = 'jobQueue';
/** Signals to the queue after which it acts for whoever sent them. */
const ACTED_FOR = [MANUAL_RUN, REQUEST_SLOT];
/** Wishes that were withdrawn are never acted for. */
const MOST_WAITING = 500;

/**
 * Spans of a workflow, in a bundle whose worker takes them; in others nothing happens here. Nothing waits, ids come from
 * run and place, and a replay compares no headers: tracing may be switched on and off between two workflow tasks. Why
 * not Temporal's own interceptors: docs/tracing.md.
 */
export function interceptors(): WorkflowInterceptors {
  if (Reflect.get(globalThis, TRACED_GLOBAL) !== true) return {};
  const tracer = new WorkflowTracer();
  return { inbound: [inboundOf(tracer)], outbound: [outboundOf(tracer)] };
}

class WorkflowTracer {
  /** What calls of this workflow belong to. The queue works for everybody, so it has no span of its own. */
  run: Span = { carrier: null, end: () => undefined };
  /** Of the queue: carriers of signals that it will act for, by their task run. */
  waiting: Record<string, Carrier> = {};
  signals = 0;
  readonly isQueue = workflowInfo().workflowType === QUEUE;
  readonly #sinks = proxySinks<TracingSinks>();

  /** The span every other one of this run stands under; of nobody's trace, it begins one. */
  beginRun(parent: Carrier | null): void {
    const { workflowType, runId } = workflowInfo();
    const name = `RunWorkflow:${workflowType}`;
    const traceId = runId.replaceAll('-', '');
    this.run =
      parent === null
        ? this.#span({ name, key: 'run', traceId, parentSpanId: null })
        : this.begin({ name, key: 'run', parent });
  }

  /** `key`: the span's place in this run. Below a caller that is not traced, the call stays untraced too. */
  begin(options: { name: string; key: string; parent: Carrier | null; context?: RunContext }): Span {
    const { parent, ...rest } = options;
    const above = parent === null ? null : parseTraceparent(parent.traceparent);
    if (parent === null || above?.isSampled !== true) return { carrier: parent, end: () => undefined };
    const { traceId, spanId: parentSpanId } = above;
    return this.#span({ ...rest, traceId, parentSpanId, beside: parent });
  }

  #span(options: {
    name: string;
    key: string;
    traceId: string;
    parentSpanId: string | null;
    context?: RunContext;
    beside?: Carrier;
  }): Span {
    const { name, key, traceId, parentSpanId, context } = options;
    const { workflowId, runId } = workflowInfo();
    const spanId = spanIdOf(`${runId}/${key}`);
    const startMs = Date.now();
    return {
      carrier: { ...options.beside, traceparent: `00-${traceId}-${spanId}-01` },
      end: (error) =>
        this.#sinks.tracing.export({
          name,
          traceId,
          spanId,
          parentSpanId,
          startMs,
          endMs: Date.now(),
          error: error === undefined ? null : wordsOf(error),
          // Names as Temporal's interceptors have them; what it runs for may be known only now.
          attributes: {
            temporalWorkflowId: workflowId,
            run_id: runId,
            ...spanAttributes({ ...currentRunContext(), ...context }),
          },
        }),
    };
  }

  /** The queue notes first and acts later: its act belongs to whoever asked for it. */
  keep(signalName: string, { taskRunId }: RunContext, { carrier }: Span): void {
    if (!this.isQueue || carrier === null || taskRunId === undefined || !ACTED_FOR.includes(signalName))
      return;
    const kept = Object.entries({ ...this.waiting, [taskRunId]: carrier });
    this.waiting = Object.fromEntries(kept.slice(-MOST_WAITING));
  }

  /** What a call to another workflow belongs to. */
  parentFor({ taskRunId }: RunContext): Carrier | null {
    if (!this.isQueue || taskRunId === undefined) return this.run.carrier;
    const { [taskRunId]: carrier = null, ...others } = this.waiting;
    this.waiting = others;
    return carrier;
  }
}

function inboundOf(tracer: WorkflowTracer): WorkflowInboundCallsInterceptor {
  return {
    execute: (input, next) => {
      if (tracer.isQueue) tracer.waiting = waitingIn(input.headers);
      else tracer.beginRun(carrierIn(input.headers));
      return ending(tracer.run, next(input));
    },
    // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
    handleSignal: (input, next) => {
      tracer.signals += 1;
      const context = runContextOf(input.args[0]);
      const span = tracer.begin({
        name: `HandleSignal:${input.signalName}`,
        key: `signal ${tracer.signals}`,
        parent: carrierIn(input.headers),
        context,
      });
      tracer.keep(input.signalName, context, span);
      return ending(span, next(input));
    },
    handleUpdate: (input, next) => {
      const span = tracer.begin({
        name: `HandleUpdate:${input.name}`,
        key: `update ${input.updateId}`,
        parent: carrierIn(input.headers),
        context: runContextOf(input.args[0]),
      });
      return ending(span, next(input));
    },
  };
}

function outboundOf(tracer: WorkflowTracer): WorkflowOutboundCallsInterceptor {
  // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
  const within = <Input extends { headers: Headers; seq: number }, Result>(
    input: Input,
    span: Span,
    next: (input: Input) => Promise<Result>,
  ): Promise<Result> => ending(span, next({ ...input, headers: withCarrier(input.headers, span) }));
  const activity = (type: string, seq: number): Span =>
    tracer.begin({ name: `StartActivity:${type}`, key: `activity ${seq}`, parent: tracer.run.carrier });
  return {
    getLogAttributes: (attributes, next) => {
      const { carrier } = tracer.run;
      const at = carrier === null ? null : parseTraceparent(carrier.traceparent);
      return next(
        at?.isSampled === true ? { ...attributes, trace_id: at.traceId, span_id: at.spanId } : attributes,
      );
    },
    // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
    scheduleActivity: (input, next) => within(input, activity(input.activityType, input.seq), next),
    // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
    scheduleLocalActivity: (input, next) => within(input, activity(input.activityType, input.seq), next),
    // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
    startChildWorkflowExecution: (input, next) => {
      const context = runContextOf(input.options.args[0]);
      const name = `StartChildWorkflow:${input.workflowType}`;
      const span = tracer.begin({
        name,
        key: `child ${input.seq}`,
        parent: tracer.parentFor(context),
        context,
      });
      return within(input, span, next);
    },
    // oxlint-disable-next-line typescript/promise-function-async -- nothing waits
    signalWorkflow: (input, next) => {
      const context = runContextOf(input.args[0]);
      const name = `SignalWorkflow:${input.signalName}`;
      const span = tracer.begin({
        name,
        key: `call ${input.seq}`,
        parent: tracer.parentFor(context),
        context,
      });
      return within(input, span, next);
    },
    continueAsNew: (input, next) => {
      const headers = tracer.isQueue
        ? { ...input.headers, ...header(WAITING_TRACES_HEADER, tracer.waiting) }
        : withCarrier(input.headers, tracer.run);
      return next({ ...input, headers });
    },
  };
}

/** Ends the span with the promise, which stays what it is. */
// oxlint-disable-next-line typescript/promise-function-async -- nothing waits
function ending<Result>(span: Span, promise: Promise<Result>): Promise<Result> {
  promise.then(
    () => span.end(),
    (error: unknown) => span.end(error instanceof ContinueAsNew ? undefined : error),
  );
  return promise;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A caller outside any span sends an empty carrier. */
function carrierIn(headers: Headers): Carrier | null {
  const payload = headers[TRACE_HEADER];
  const carrier =
    payload === undefined ? null : defaultPayloadConverter.fromPayload<Partial<Carrier>>(payload);
  const { traceparent, tracestate } = carrier ?? {};
  if (typeof traceparent !== 'string') return null;
  return { traceparent, ...(tracestate !== undefined && { tracestate }) };
}

function waitingIn(headers: Headers): Record<string, Carrier> {
  const payload = headers[WAITING_TRACES_HEADER];
  return payload === undefined ? {} : defaultPayloadConverter.fromPayload(payload);
}

function header(name: string, value: unknown): Headers {
  const payload = defaultPayloadConverter.toPayload(value);
  return payload === undefined ? {} : { [name]: payload };
}

function withCarrier(headers: Headers, { carrier }: Span): Headers {
  return carrier === null ? headers : { ...headers, ...header(TRACE_HEADER, carrier) };
}

/** FNV-1a of 64 bits: the same place of the same run is the same span, also after a replay elsewhere. */
function spanIdOf(place: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const char of place) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(char.codePointAt(0) ?? 0)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, '0');
}
