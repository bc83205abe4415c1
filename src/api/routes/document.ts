import { createRoute, z } from '@hono/zod-openapi';
import type { ApiDocument } from '../openapi.ts';
import { newRouter } from '../router.ts';
import { problems } from './schemas.ts';

const documentRoute = createRoute({
  method: 'get',
  path: '/openapi.json',
  tags: ['API'],
  summary: 'This document: OpenAPI 3.1',
  responses: {
    200: {
      description: 'The document',
      content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } },
    },
    ...problems(401, 429, 503),
  },
});

/** `/openapi.json`, which describes itself too. */
export function documentRoutes(document: () => ApiDocument) {
  return newRouter().openapi(documentRoute, (c) => c.json(document(), 200));
}
