import { OpenAPIHono } from '@hono/zod-openapi';

type Described = Pick<OpenAPIHono, 'openAPIRegistry' | 'getOpenAPI31Document'>;
export type ApiDocument = Record<string, unknown>;

/**
 * The OpenAPI 3.1 document of all routes of an API. Throws an Error that names the route which cannot be described:
 * an API without its document does not start.
 */
export function describeApi(api: Described): ApiDocument {
  try {
    return documentOf(api);
  } catch (cause) {
    throw new Error(`OpenAPI: ${culpritOf(api)} cannot be described: ${wordsOf(cause)}`, { cause });
  }
}

function documentOf(api: Described): ApiDocument {
  const document = api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'Nightshift', version: '1', description: "A quant desk's night: see it and steer it." },
    security: [{ token: [] }],
  });
  return { ...document };
}

/** The first route that cannot be described by itself either. */
function culpritOf({ openAPIRegistry: { definitions } }: Described): string {
  for (const definition of definitions) {
    if (definition.type !== 'route') continue;
    const alone = new OpenAPIHono();
    alone.openAPIRegistry.registerPath(definition.route);
    try {
      documentOf(alone);
    } catch {
      return `${definition.route.method.toUpperCase()} ${definition.route.path}`;
    }
  }
  return 'what the routes have in common';
}

/** Errors of the generator are no `Error`s, and have no text of their own. */
function wordsOf(cause: unknown): string {
  return typeof cause === 'object' && cause !== null && 'message' in cause
    ? String(cause.message)
    : String(cause);
}
