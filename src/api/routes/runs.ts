import { taskIdOf } from '../../contracts/wire/names.ts';
import { type AttemptRow, attemptsOf } from '../../db/queries/attempts.ts';
import { findRunRequest, type ReviewRow, reviewsOf } from '../../db/queries/requests.ts';
import { readRunPage, type TaskRunSummary } from '../../db/queries/run-pages.ts';
import { findTaskRun, type TaskRunRow } from '../../db/queries/task-runs.ts';
import { storedChain } from '../../temporal/failure-words.ts';
import { createLiveReader, NOT_BEGUN } from '../../temporal/run-live.ts';
import { webLinks } from '../../temporal/web-links.ts';
import type { ApiDeps } from '../deps.ts';
import { pageEndOf, pageOf } from '../pages.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { decideRun, endSingleRun, retryRun } from '../run-acts.ts';
import { sharedAnswers, sharedReads } from '../shared-reads.ts';
import { liveOf } from './live-schema.ts';
import {
  endRoute,
  listRoute,
  retryRoute,
  reviewRoute,
  type RunPage,
  type RunSummary,
  runRoute,
} from './run-definitions.ts';

/** Task runs: lists, one with everything, what people do about one. */
export function runRoutes(deps: ApiDeps) {
  const { sql, client, times, workflowsUrl } = deps;
  const readLive = createLiveReader({ client, callMs: times.callMs, freshMs: times.freshMs });
  const webUrlOf = webLinks(workflowsUrl);
  const pages = sharedAnswers<RunPage>();
  const runs = sharedReads<[TaskRunRow | null, AttemptRow[], ReviewRow[]]>();
  const summaryOrThrow = async (runId: string, row: TaskRunRow | null): Promise<RunSummary> => {
    const summary = row === null ? await requestedOf(sql, runId) : summaryOf(row);
    if (summary === null) throw new Problem('not-found', `there is no run ${runId}`);
    return summary;
  };
  return newRouter()
    .openapi(listRoute, async (c) => {
      const { limit, pageToken, ...filter } = c.req.valid('query');
      const asked = { filter, after: pageEndOf(pageToken), limit: limit + 1 };
      return await pages(c, JSON.stringify(asked), async () => {
        const rows = await readRunPage(sql, asked);
        const page = pageOf(rows, limit, ({ pageAt, taskRunId }) => ({ at: pageAt, id: taskRunId }));
        return { items: page.items.map(summaryOf), nextPageToken: page.nextPageToken };
      });
    })
    .openapi(runRoute, async (c) => {
      const { runId } = c.req.valid('param');
      const [row, attempts, reviews] = await runs(runId, () =>
        Promise.all([findTaskRun(sql, runId), attemptsOf(sql, [runId]), reviewsOf(sql, runId)]),
      );
      const summary = await summaryOrThrow(runId, row);
      const { result = null, failure = null, nightRunId = null } = row ?? {};
      const newest = attempts.at(-1);
      const begun = newest ?? starterOf(row);
      const part = newest === undefined ? NOT_BEGUN : await readLive(newest, newest.failure?.activity);
      const stored = failure === null ? [] : storedChain(failure);
      return c.json(
        {
          ...summary,
          nightRunId,
          webUrl: begun === null ? null : webUrlOf(begun),
          result,
          failure,
          failureChain: part.failureChain?.length ? part.failureChain : stored,
          attempts: attempts.map((attempt) => ({ ...attemptOf(attempt), webUrl: webUrlOf(attempt) })),
          reviews: reviews.map(decisionOf),
          live: liveOf(part),
        },
        200,
      );
    })
    .openapi(reviewRoute, async (c) => {
      const { runId } = c.req.valid('param');
      const { decision, why } = c.req.valid('json');
      const { name: by } = c.get('caller');
      const row = await findTaskRun(sql, runId);
      if (row === null) throw new Problem('not-found', `there is no run ${runId}`);
      await decideRun(deps, { runId, decision, by, why, row });
      return c.json({ runId, decision, decidedBy: by, why }, 200);
    })
    .openapi(retryRoute, async (c) => {
      const { task, runId } = await retryRun(deps, {
        runId: c.req.valid('param').runId,
        why: c.req.valid('json').why,
        force: c.req.valid('query').force ?? false,
        key: c.req.valid('header')['idempotency-key'],
        caller: c.get('caller'),
        httpRequestId: c.get('requestId'),
      });
      c.set('taskRunId', runId);
      const statusUrl = `/api/v1/runs/${encodeURIComponent(runId)}`;
      const answer = {
        success: true,
        task_id: taskIdOf(task),
        run_id: runId,
        status_url: statusUrl,
      } as const;
      return c.json(answer, 202, { location: statusUrl });
    })
    .openapi(endRoute('cancel', 'Ask an open run of no night to stop cleanly'), async (c) => {
      const { runId } = c.req.valid('param');
      const { name: by } = c.get('caller');
      await endSingleRun(deps, { runId, how: 'cancel', by, why: c.req.valid('json').why });
      return c.json(await summaryOrThrow(runId, await findTaskRun(sql, runId)), 202);
    })
    .openapi(
      endRoute('terminate', 'End an open run of no night at once, without its clean-up'),
      async (c) => {
        const { runId } = c.req.valid('param');
        const { name: by } = c.get('caller');
        await endSingleRun(deps, { runId, how: 'terminate', by, why: c.req.valid('json').why });
        return c.json(await summaryOrThrow(runId, await findTaskRun(sql, runId)), 202);
      },
    );
}

/** The workflow that waits for slot and time, while no attempt has begun. */
function starterOf(row: TaskRunRow | null): { workflowId: string; runId: string } | null {
  return row === null ? null : { workflowId: row.starterWorkflowId, runId: row.starterRunId };
}

/** What lists say of a task run. */
export function summaryOf(row: TaskRunSummary): RunSummary {
  return {
    runId: row.taskRunId,
    task: row.task,
    taskId: taskIdOf(row.task),
    sessionDate: row.sessionDate,
    universe: row.universe,
    state: row.state,
    reason: row.reason,
    trigger: row.trigger,
    forced: row.forced,
    requestedBy: row.requestedBy,
    attemptsBegun: row.attempts,
    maxAttempts: row.maxAttempts,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    reviewDeadline: row.reviewDeadline,
  };
}

/** A manual run that the queue has not begun yet, or has refused. */
async function requestedOf(sql: ApiDeps['sql'], runId: string): Promise<RunSummary | null> {
  const request = await findRunRequest(sql, runId);
  if (request === null) return null;
  return {
    runId,
    task: request.task,
    taskId: taskIdOf(request.task),
    sessionDate: request.sessionDate,
    universe: request.universe,
    state: request.refusedReason === null ? 'pending' : 'failed',
    reason: request.refusedReason,
    trigger: request.trigger,
    forced: request.force,
    requestedBy: request.requestedBy,
    attemptsBegun: 0,
    maxAttempts: null,
    createdAt: request.requestedAt,
    startedAt: null,
    completedAt: null,
    reviewDeadline: null,
  };
}

function attemptOf({ attempt, state, startedAt, completedAt, failure }: AttemptRow) {
  return { attempt, state, startedAt, completedAt, failure };
}

function decisionOf({ decision, decidedBy, why, decidedAt }: ReviewRow) {
  return { decision, decidedBy, why, decidedAt };
}
