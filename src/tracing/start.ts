import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes, SpanContext } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { TracingSinks, WorkflowSpan } from '../contracts/wire/tracing.ts';

/** Of one batch, with what is tried again; the next ones wait in a queue that drops what is too much. */
const EXPORT_MS = 3_000;
/** What the end of a process waits for its last spans. */
const CLOSE_MS = 3_000;

/** How a request was answered, which is known at its end. */
export type Served = { route: string; status: number; attributes: Record<string, string> };

/** What processes use of OpenTelemetry. */
export type Tracing = {
  /** Calls that change something carry the trace on. Looks (describe, query) leave no spans: they come in a row. */
  client: WorkflowClientInterceptor;
  activity: ActivityInterceptorsFactory;
  /** Takes the spans that workflows hand out. */
  sinks: InjectedSinks<TracingSinks>;
  /** Runs `work` as the span of an HTTP request, below the caller's trace if it names one. */
  serve(
    request: { method: string; header: (name: string) => string | undefined },
    work: () => Promise<Served>,
  ): Promise<void>;
  /** Adds to the span that runs. */
  annotate(attributes: Record<string, string>): void;
  /** The span that runs, for lines of logs; nothing where none is taken. */
  ids(): { trace_id?: string; span_id?: string };
  /** Sends what is left, three seconds at most, and lets go of the process's context. */
  close(): Promise<void>;
};

export type TracingOptions = {
  /** Where spans are posted as OTLP in JSON; null: no traces, and nothing of OpenTelemetry is loaded. */
  url: string | null;
  /** `service.name`, unless the environment says another (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES). */
  service: string;
  /** Hears once that spans cannot be delivered, and again after they could be. */
  onProblem: (text: string) => void;
};

/** Starts tracing for this process. Whether the collector answers decides nothing: spans are then lost. */
export async function startTracing({ url, service, onProblem }: TracingOptions): Promise<Tracing | null> {
  if (url === null) return null;
  const { api, core, hooks, otlp, resources, sdk, temporal } = await loadPackages();
  const resource = new resources.Resource({
    'service.name': service,
    'service.instance.id': `${process.pid}@${hostname()}`,
  }).merge(resources.detectResourcesSync({ detectors: [resources.envDetectorSync] }));
  const exporter = sayingOnce(new otlp.OTLPTraceExporter({ url, timeoutMillis: EXPORT_MS }), onProblem);
  const processor: SpanProcessor = new sdk.BatchSpanProcessor(exporter);
  const provider = new sdk.BasicTracerProvider({
    resource,
    spanProcessors: [processor],
    sampler: new sdk.ParentBasedSampler({
      // Requests and workflows begin traces; what a process does for itself would be traces of one span.
      root: {
        shouldSample: (_context, _traceId, _name, kind) => ({
          decision:
            kind === api.SpanKind.SERVER
              ? sdk.SamplingDecision.RECORD_AND_SAMPLED
              : sdk.SamplingDecision.NOT_RECORD,
        }),
      },
    }),
  });
  provider.register({
    contextManager: new hooks.AsyncLocalStorageContextManager().enable(),
    // Trace context alone: baggage of callers would be stored in histories.
    propagator: new core.W3CTraceContextPropagator(),
  });
  const tracer = provider.getTracer('nightshift');
  class ActsOnly extends temporal.OpenTelemetryWorkflowClientInterceptor {
    override describe: NonNullable<WorkflowClientInterceptor['describe']> = (input, next) => next(input);
    override query: NonNullable<WorkflowClientInterceptor['query']> = (input, next) => next(input);
  }
  const toReadable = (span: WorkflowSpan): ReadableSpan => {
    const spanContext: SpanContext = {
      traceId: span.traceId,
      spanId: span.spanId,
      traceFlags: api.TraceFlags.SAMPLED,
    };
    const { name, error, parentSpanId, startMs, endMs } = span;
    return {
      name,
      spanContext: () => spanContext,
      ...(parentSpanId !== null && { parentSpanId }),
      kind: api.SpanKind.INTERNAL,
      startTime: core.millisToHrTime(startMs),
      endTime: core.millisToHrTime(endMs),
      duration: core.millisToHrTime(endMs - startMs),
      status:
        error === null ? { code: api.SpanStatusCode.OK } : { code: api.SpanStatusCode.ERROR, message: error },
      attributes: span.attributes,
      resource,
      instrumentationLibrary: { name: 'nightshift-workflow' },
      links: [],
      events: [],
      ended: true,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  };
  const ids: Tracing['ids'] = () => {
    const span = api.trace.getActiveSpan();
    if (span?.isRecording() !== true) return {};
    const { traceId, spanId } = span.spanContext();
    return { trace_id: traceId, span_id: spanId };
  };
  return {
    client: new ActsOnly(),
    activity: (context) => ({
      inbound: new temporal.OpenTelemetryActivityInboundInterceptor(context),
      outbound: { getLogAttributes: (attributes, next) => next({ ...attributes, ...ids() }) },
    }),
    sinks: { tracing: { export: { fn: (_info, span) => processor.onEnd(toReadable(span)) } } },
    serve: async ({ method, header }, work) => {
      const caller = api.propagation.extract(api.ROOT_CONTEXT, header, {
        get: (read, key) => read(key),
        keys: () => ['traceparent', 'tracestate'],
      });
      const options = { kind: api.SpanKind.SERVER, attributes: { 'http.request.method': method } };
      await tracer.startActiveSpan(method, options, caller, async (span) => {
        try {
          const { route, status, attributes } = await work();
          span.updateName(`${method} ${route}`);
          span.setAttributes({ ...attributes, 'http.route': route, 'http.response.status_code': status });
          if (status >= 500) span.setStatus({ code: api.SpanStatusCode.ERROR });
        } finally {
          span.end();
        }
      });
    },
    annotate: (attributes: Attributes) => void api.trace.getActiveSpan()?.setAttributes(attributes),
    ids,
    close: async () => {
      const stopWaiting = new AbortController();
      const limit = sleep(CLOSE_MS, undefined, { signal: stopWaiting.signal }).catch(() => undefined);
      await Promise.race([provider.shutdown().catch(() => undefined), limit]);
      stopWaiting.abort();
      for (const registered of [api.trace, api.context, api.propagation]) registered.disable();
    },
  };
}

/** Here and not above: without a collector none of them is loaded. */
async function loadPackages() {
  const [api, core, hooks, otlp, resources, sdk, temporal] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
    import('@temporalio/interceptors-opentelemetry'),
  ]);
  return { api, core, hooks, otlp, resources, sdk, temporal };
}

/** Tells of the first batch that was lost, and of the first one after a batch that was not. */
function sayingOnce(exporter: SpanExporter, onProblem: (text: string) => void): SpanExporter {
  let failing = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const { error } = result;
        if (error !== undefined && !failing) onProblem(wordsOf(error));
        failing = error !== undefined;
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** Node tells of a name with several addresses in a code alone. */
function wordsOf(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}
