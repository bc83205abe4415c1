import { createRoute, z } from '@hono/zod-openapi';
import { type AuditRow, listAudit } from '../../db/queries/requests.ts';
import type { ApiDeps } from '../deps.ts';
import { countQuery, type KeyedList, keyIn, readKeyPage, rowsQuery } from '../key-pages.ts';
import { newRouter } from '../router.ts';
import { pageAnswers, pageFields } from './list-answers.ts';
import { textSchema } from './schemas.ts';

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
      pageToken: rowsQuery.shape.pageToken,
    }),
  },
  responses: pageAnswers(z.object(pageFields(entrySchema))),
});

const entryKey = z.tuple([z.int().min(1)]);

/** Human acts, which nobody can change. */
export function auditRoutes({ sql }: ApiDeps) {
  return newRouter().openapi(auditRoute, async (c) => {
    const { subject, limit, pageToken } = c.req.valid('query');
    const list: KeyedList<AuditRow, [number]> = {
      read: (key, rows) =>
        listAudit(sql, { limit: rows, before: key?.[0] ?? null, ...(subject !== undefined && { subject }) }),
      keyOf: ({ auditId }) => [auditId],
    };
    const { rows, nextPageToken } = await readKeyPage(list, { after: keyIn(pageToken, entryKey), limit });
    const items = rows.map(({ auditId, at, actor, action, subject, why, details }) => ({
      auditId,
      at,
      actor,
      action,
      subject,
      why,
      details,
    }));
    return c.json({ items, nextPageToken }, 200);
  });
}
