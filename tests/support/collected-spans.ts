import { z } from 'zod';
import type { HookReceiver } from './alert-receivers.ts';

const attribute = z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) });
const span = z.object({
  name: z.string(),
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  kind: z.number(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: z.array(attribute),
  status: z.object({ code: z.number(), message: z.string().optional() }),
});
/** What OTLP posts to /v1/traces in JSON, as far as tests look at it. */
const posted = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(attribute) }),
      scopeSpans: z.array(z.object({ spans: z.array(span) })),
    }),
  ),
});

export type CollectedSpan = Omit<z.infer<typeof span>, 'attributes'> & {
  service: unknown;
  attributes: Record<string, unknown>;
};

/** Every span that a collector was sent so far. */
export function collectedSpans(collector: HookReceiver): CollectedSpan[] {
  return collector
    .at('/v1/traces')
    .flatMap(({ body }) => posted.parse(JSON.parse(body)).resourceSpans)
    .flatMap(({ resource, scopeSpans }) =>
      scopeSpans
        .flatMap(({ spans }) => spans)
        .map((one) => ({
          ...one,
          service: plain(resource.attributes)['service.name'],
          attributes: plain(one.attributes),
        })),
    );
}

function plain(attributes: z.infer<typeof attribute>[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/** Names from a span upwards to the one that has no parent among them, whose parent's id ends the list. */
export function pathUp(spans: readonly CollectedSpan[], from: CollectedSpan | undefined): string[] {
  const names: string[] = [];
  let id: string | undefined;
  for (let at = from; at !== undefined; at = spans.find(({ spanId }) => spanId === id)) {
    names.push(at.name);
    id = at.parentSpanId;
  }
  return id === undefined ? names : [...names, id];
}
