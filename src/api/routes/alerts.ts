import { createRoute, z } from '@hono/zod-openapi';
import { testChannels } from '../../alerts/test-channels.ts';
import { alertSettings } from '../../contracts/schemas/config.ts';
import { ALERT_KINDS, ALERT_RULES, ALERT_SEVERITIES } from '../../contracts/wire/alerts.ts';
import { readAlertPage } from '../../db/queries/alert-rows.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import { readNamedVariable } from '../../runtime/env.ts';
import { requireRole } from '../auth.ts';
import { configurationInForce } from '../configuration.ts';
import type { ApiDeps } from '../deps.ts';
import { pageEndOf, pageOf, pageQuery } from '../pages.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { BODY_PROBLEMS, problems, textSchema } from './schemas.ts';
import { pageAnswers, pageFields } from './list-answers.ts';

/** Below the limit of a request: a channel that hangs is told of, not timed out. */
const TEST_LIMIT_MS = 6_000;

const deliverySchema = z.object({
  channel: z.string(),
  kind: z.enum(ALERT_KINDS),
  state: z.enum(['pending', 'sent', 'given_up']),
  attempts: z.int(),
  nextAttemptAt: z.string().nullable().openapi({ description: 'Of a pending one' }),
  lastError: z.string().nullable(),
  sentAt: z.string().nullable(),
});

const alertSchema = z
  .object({
    alertId: z.int(),
    rule: z.string().openapi({ example: ALERT_RULES[0] }),
    key: z.string().openapi({ description: 'What it is about; one open alert per key' }),
    severity: z.enum(ALERT_SEVERITIES),
    summary: z.string(),
    details: z.record(z.string(), z.unknown()),
    openedAt: z.string(),
    lastSeenAt: z.string(),
    resolvedAt: z.string().nullable(),
    deliveries: z.array(deliverySchema),
  })
  .openapi('Alert');

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/alerts',
  tags: ['Alerts'],
  summary: 'Alerts, newest first: the open ones, or those that are over too',
  request: {
    query: pageQuery.extend({
      state: z.enum(['open', 'resolved', 'all']).default('open'),
      rule: z.enum(ALERT_RULES).optional(),
    }),
  },
  responses: pageAnswers(z.object({ ...pageFields(alertSchema) })),
});

const testSchema = z
  .object({ channel: z.string(), type: z.string(), arrived: z.boolean(), detail: z.string() })
  .openapi('AlertChannelTest');

const testRoute = createRoute({
  method: 'post',
  path: '/api/v1/alerts/test',
  tags: ['Alerts'],
  summary: 'Send a test message to the channels of the configuration at once',
  middleware: [requireRole('admin')] as const,
  request: {
    body: {
      content: {
        'application/json': {
          schema: z.object({
            channel: textSchema({ maximum: 64 }).optional().openapi({ description: 'Only this one' }),
          }),
        },
      },
      required: false,
    },
  },
  responses: {
    200: {
      description: 'Of each channel, whether the message arrived',
      content: { 'application/json': { schema: z.object({ items: z.array(testSchema) }) } },
    },
    ...problems(...BODY_PROBLEMS, 401, 403, 404, 429, 503),
  },
});

/** Alerts and their channels. */
export function alertRoutes({ sql, log }: ApiDeps) {
  return newRouter()
    .openapi(listRoute, async (c) => {
      const { limit, pageToken, state, rule } = c.req.valid('query');
      const after = pageEndOf(pageToken);
      // A token of another list: refused as one that cannot be read.
      if (after !== null && !/^\d{1,18}$/.test(after.id)) pageEndOf('');
      const rows = await readAlertPage(sql, { state, rule, after, limit: limit + 1 });
      const page = pageOf(rows, limit, ({ pageAt, alertId }) => ({ at: pageAt, id: String(alertId) }));
      const items = page.items.map(({ pageAt: _pageAt, deliveries, ...alert }) => ({
        ...alert,
        deliveries: deliveries.map(({ nextAttemptAt, sentAt, ...delivery }) => ({
          ...delivery,
          nextAttemptAt: delivery.state === 'pending' ? utc(nextAttemptAt) : null,
          sentAt: utc(sentAt),
        })),
      }));
      return c.json({ items, nextPageToken: page.nextPageToken }, 200);
    })
    .openapi(testRoute, async (c) => {
      const { channel } = c.req.valid('json');
      const { name: by } = c.get('caller');
      const { channels } = alertSettings(await configurationInForce(sql));
      const chosen = channels.filter(({ name }) => channel === undefined || name === channel);
      if (channel !== undefined && chosen.length === 0)
        throw new Problem('not-found', `no channel ${JSON.stringify(channel)} is configured`);
      const items = await testChannels(
        { channels: chosen },
        {
          by,
          limitMs: TEST_LIMIT_MS,
          house: {
            readVariable: readNamedVariable,
            log: (level, message, fields) => log(level === 'CRITICAL' ? 'ERROR' : level, message, fields),
          },
        },
      );
      const subject = chosen.map(({ name }) => name).join(', ');
      await insertAudit(sql, { actor: by, action: 'alerts.test', subject, details: { items } });
      return c.json({ items }, 200);
    });
}

/** JSON built by the database has the zone's offset at its instants; ours end with Z. */
function utc(instant: string): string;
function utc(instant: string | null): string | null;
function utc(instant: string | null): string | null {
  return instant === null ? null : new Date(instant).toISOString();
}
