/** Header of workflows, signals, updates and activities that holds a carrier: the one Temporal's interceptors use. */
export const TRACE_HEADER = '_tracer-data';

/** Header of a queue that continues as new: carriers of runs that it has not started yet, by their task run. */
export const WAITING_TRACES_HEADER = 'nightshift-traces';

/** W3C trace context as its headers have it. */
export type Carrier = { traceparent: string; tracestate?: string };

export type TraceParent = { traceId: string; spanId: string; isSampled: boolean };

/** The parts of a `traceparent`; null for what is none, or of a version that we do not know. */
export function parseTraceparent(text: string): TraceParent | null {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Global variable of a workflow bundle whose worker takes spans. */
export const TRACED_GLOBAL = 'nightshiftTraced';

/** A span that ended inside a workflow, as it is handed out to the worker. */
export type WorkflowSpan = {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  startMs: number;
  endMs: number;
  error: string | null;
  attributes: Record<string, string>;
};

/** How spans leave a workflow. */
export type TracingSinks = { tracing: { export(span: WorkflowSpan): void } };

/** Name of a span's attribute that tells which session or task run it belongs to. */
export const SPAN_ATTRIBUTES = {
  sessionDate: 'nightshift.session_date',
  taskRunId: 'nightshift.task_run_id',
  runId: 'nightshift.run_id',
  requestId: 'nightshift.request_id',
} as const;

/** Ids as attributes of a span; those that are not known are left out. */
export function spanAttributes(
  ids: Partial<Record<keyof typeof SPAN_ATTRIBUTES, string>>,
): Record<string, string> {
  const names = Object.keys(SPAN_ATTRIBUTES) as (keyof typeof SPAN_ATTRIBUTES)[];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = ids[name];
      return value === undefined ? [] : [[SPAN_ATTRIBUTES[name], value]];
    }),
  );
}
