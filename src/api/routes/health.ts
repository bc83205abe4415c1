import { createRoute, z } from '@hono/zod-openapi';
import { TASK_QUEUES } from '../../contracts/wire/names.ts';
import { readPollers } from '../../temporal/pollers.ts';
import type { ApiDeps } from '../deps.ts';
import { newRouter } from '../router.ts';
import { PROBLEM, problems } from './schemas.ts';

const healthSchema = z.object({ status: z.literal('ok') }).openapi('Health');
const checkSchema = z.object({ part: z.string(), ok: z.boolean(), detail: z.string() });
const readySchema = z.object({ ready: z.boolean(), checks: z.array(checkSchema) }).openapi('Readiness');
type Check = z.infer<typeof checkSchema>;

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['Health'],
  summary: 'The process answers; needs no token',
  security: [],
  responses: {
    200: { description: 'It does', content: { 'application/json': { schema: healthSchema } } },
    ...problems(429),
  },
});

const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['Health'],
  summary: 'Postgres, Temporal and workers on each queue are there',
  responses: {
    200: { description: 'All are', content: { 'application/json': { schema: readySchema } } },
    503: {
      description: 'Some are not; a problem where not even the token can be looked up',
      content: { 'application/json': { schema: readySchema }, ...PROBLEM },
    },
    ...problems(401, 429),
  },
});

/** `/healthz`, which anybody may ask. */
export function healthRoutes() {
  return newRouter().openapi(healthRoute, (c) => c.json({ status: 'ok' as const }, 200));
}

/** `/readyz`: what is missing, part by part. */
export function readinessRoutes(deps: ApiDeps) {
  const { checkMs } = deps.times;
  return newRouter().openapi(readyRoute, async (c) => {
    const checks = await Promise.all([
      check('postgres', checkMs, () => checkPostgres(deps)),
      check('temporal', checkMs, () => checkTemporal(deps)),
      ...Object.values(TASK_QUEUES).map((queue) =>
        check(`workers on ${queue}`, checkMs, () => checkWorkers(deps, queue)),
      ),
    ]);
    const ready = checks.every(({ ok }) => ok);
    return ready ? c.json({ ready, checks }, 200) : c.json({ ready, checks }, 503);
  });
}

async function check(part: string, limitMs: number, look: () => Promise<string>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return { part, ok: true, detail: await Promise.race([look(), limit]) };
  } catch (error) {
    return { part, ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function checkPostgres({ sql }: ApiDeps): Promise<string> {
  const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`;
  return `Postgres ${row?.version ?? ''}`;
}

async function checkTemporal({ client, times }: ApiDeps): Promise<string> {
  const { serverVersion } = await client.withDeadline(Date.now() + times.checkMs, () =>
    client.workflowService.getSystemInfo({}),
  );
  return `Temporal ${serverVersion}`;
}

async function checkWorkers({ client, times }: ApiDeps, queue: string): Promise<string> {
  const identities = await readPollers(client, queue, times.checkMs);
  if (identities.length === 0) throw new Error('no worker asks for work');
  return identities.join(', ');
}
