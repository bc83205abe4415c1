import { createRoute, z } from '@hono/zod-openapi';
import { listAudit } from '../../db/queries/requests.ts';
import type { ApiDeps } from '../deps.ts';
import { countQuery } from '../key-pages.ts';
import { newRouter } from '../router.ts';
import { problems, textSchema } from './schemas.ts';

const entrySchema = z
  .object({
    auditId: z.int(),
    at: z.string(),
    actor: z.string(),
    action: z.string().openapi({ example: 'review.retry' }),
    subject: z.string(),
    why: z.string().nullable(),
    details: z.unknown(),
  })
  .openapi('AuditEntry');

const auditRoute = createRoute({
  method: 'get',
  path: '/api/v1/audit',
  tags: ['Audit'],
  summary: 'What people did, newest first',
  request: {
    query: z.object({
      subject: textSchema({ maximum: 300 }).optional(),
      limit: countQuery({ maximum: 500, usual: 100 }),
    }),
  },
  responses: {
    200: {
      description: 'Entries',
      content: { 'application/json': { schema: z.object({ items: z.array(entrySchema) }) } },
    },
    ...problems(400, 401, 429, 503),
  },
});

/** Human acts, which nobody can change. */
export function auditRoutes({ sql }: ApiDeps) {
  return newRouter().openapi(auditRoute, async (c) => {
    const { subject, limit } = c.req.valid('query');
    const rows = await listAudit(sql, { limit, ...(subject !== undefined && { subject }) });
    const items = rows.map(({ auditId, at, actor, action, subject, why, details }) => ({
      auditId,
      at,
      actor,
      action,
      subject,
      why,
      details,
    }));
    return c.json({ items }, 200);
  });
}
