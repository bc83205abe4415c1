import { createRoute, z } from '@hono/zod-openapi';
import { TASK_QUEUES } from '../../contracts/wire/names.ts';
import { type LastBeat, readProcessBeats } from '../../db/queries/liveness.ts';
import { queueService, readPollers } from '../../temporal/pollers.ts';
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
    const beats = knownBeats(deps);
    const checks = await Promise.all([
      check('postgres', checkMs, () => checkPostgres(deps)),
      check('temporal', checkMs, () => checkTemporal(deps)),
      ...Object.values(TASK_QUEUES).map((queue) =>
        check(`workers on ${queue}`, checkMs, async () => checkWorkers(deps, { queue, beats: await beats })),
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

/** Beats of the workers; none where Postgres does not say: then the server alone knows who asks for work. */
async function knownBeats({ sql, times }: ApiDeps): Promise<LastBeat[]> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<LastBeat[]>((resolve) => {
    timer = setTimeout(() => resolve([]), times.checkMs / 2);
  });
  try {
    return await Promise.race([readProcessBeats(sql).catch((): LastBeat[] => []), limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function checkWorkers(
  { client, times }: ApiDeps,
  { queue, beats }: { queue: string; beats: readonly LastBeat[] },
): Promise<string> {
  const pollers = await readPollers(client, queue, times.checkMs);
  const { workers, heardMs } = queueService(queue, { pollers, beats, nowMs: Date.now() });
  if (workers.length > 0) return workers.join(', ');
  const since = heardMs === null ? '' : ` since ${new Date(heardMs).toISOString()}`;
  throw new Error(`no worker asks for work${since}`);
}
