import type { Context } from 'hono';
import { routePath } from 'hono/route';
import type { ApiEnv } from './deps.ts';

/**
 * Ids of the run a request is about or has asked for, for its line in the log. Paths call a task run's id a run id too.
 */
export function runIdsOf(c: Context<ApiEnv>): { runId?: string; taskRunId?: string; sessionDate?: string } {
  const route = routePath(c, -1);
  const runId = c.req.param('runId');
  const sessionDate = c.req.query('sessionDate');
  const asked = c.get('taskRunId');
  return {
    ...(runId !== undefined && (route.startsWith('/api/v1/runs/') ? { taskRunId: runId } : { runId })),
    ...(asked !== undefined && { taskRunId: asked }),
    ...(sessionDate !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(sessionDate) && { sessionDate }),
  };
}
