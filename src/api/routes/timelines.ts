import { createRoute, z } from '@hono/zod-openapi';
import { attemptsOf } from '../../db/queries/attempts.ts';
import { findRunRequest, reviewsOf } from '../../db/queries/requests.ts';
import { findTaskRun, taskRunsOfNight } from '../../db/queries/task-runs.ts';
import { ENTRY_KINDS } from '../../temporal/event-words.ts';
import { isRefusedArgument } from '../../temporal/gone.ts';
import { nightChapters, requestChapters, runChapters } from '../../temporal/run-chapters.ts';
import { type Chapter, readTimeline } from '../../temporal/timeline.ts';
import type { ApiDeps } from '../deps.ts';
import { keyIn, keyText } from '../key-pages.ts';
import { pageQuery } from '../pages.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { requireNight } from '../run-acts.ts';
import { runParams } from './run-definitions.ts';
import { foundAnswers } from './schemas.ts';

/** A token carries the names of the steps that were open where its page ended. */
const MAX_TOKEN = 12_000;

const timelineSchema = z
  .object({
    runId: z.string(),
    items: z.array(
      z.object({
        at: z.string(),
        kind: z.enum(ENTRY_KINDS),
        text: z.string().openapi({ example: 'fold fit lightgbm block 3 is done' }),
        attempt: z.int().nullable(),
        eventId: z
          .int()
          .nullable()
          .openapi({ description: 'In Temporal’s history of that attempt; null: the rows tell it' }),
      }),
    ),
    note: z.string().nullable().openapi({ description: 'Why some of it is told by the rows alone' }),
    nextPageToken: z
      .string()
      .nullable()
      .openapi({ description: 'Null: that is all so far. A page may be shorter than its limit' }),
  })
  .openapi('Timeline');

export type TimelineAnswer = z.infer<typeof timelineSchema>;

function timelineRoute<Of extends 'runs' | 'nights'>(of: Of, summary: string) {
  return createRoute({
    method: 'get',
    path: `/api/v1/${of}/{runId}/timeline`,
    tags: [of === 'runs' ? 'Runs' : 'Nights'],
    summary,
    request: {
      params: runParams,
      query: pageQuery.extend({
        pageToken: z
          .string()
          .max(MAX_TOKEN)
          .optional()
          .openapi({ description: '`nextPageToken` of the page before' }),
      }),
    },
    responses: foundAnswers('A page, oldest first', timelineSchema),
  });
}

/** Run, chapter, whether the rows tell it, the server's token, what of that page was told, names of open steps. */
const placeSchema = z
  .tuple([
    z.string().max(200),
    z.int().min(0).max(10_000),
    z.int().min(0).max(1),
    z.base64().max(4_000),
    z.int().min(0).max(10_000),
  ])
  .rest(z.string().max(300));

/**
 * A page of a timeline. Its token says which run it is of; one of another run, and one that the server does not
 * know for its own, are thrown as a Problem.
 */
export async function timelinePage(
  { client, times }: Pick<ApiDeps, 'client' | 'times'>,
  input: { runId: string; chapters: readonly Chapter[]; limit: number; pageToken: string | undefined },
): Promise<TimelineAnswer> {
  const { runId, chapters, limit, pageToken } = input;
  const place = keyIn(pageToken, placeSchema);
  if (place !== null && place[0] !== runId) throw refusedToken('is of another run');
  const [, chapter = 0, rows = 0, page = '', skip = 0, ...flat] = place ?? [];
  const from = { chapter, byRows: rows === 1, page, skip, names: pairs(flat) };
  try {
    const { entries, next, note } = await readTimeline({
      client,
      chapters,
      from,
      limit,
      callMs: times.callMs,
    });
    const nextPageToken =
      next === null
        ? null
        : keyText([runId, next.chapter, next.byRows ? 1 : 0, next.page, next.skip, ...next.names.flat()]);
    return { runId, items: entries, note, nextPageToken };
  } catch (error) {
    if (place !== null && isRefusedArgument(error)) throw refusedToken('is no token of this run');
    throw error;
  }
}

function refusedToken(message: string): Problem {
  return new Problem('invalid-input', `pageToken: ${message}`, {
    errors: [{ field: 'pageToken', message }],
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    found.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return found;
}

/** What a task run's timeline is made of; throws a Problem for one that is not known. */
export async function chaptersOfRun(sql: ApiDeps['sql'], runId: string): Promise<Chapter[]> {
  const [run, attempts, reviews] = await Promise.all([
    findTaskRun(sql, runId),
    attemptsOf(sql, [runId]),
    reviewsOf(sql, runId),
  ]);
  if (run !== null) return runChapters({ run, attempts, reviews });
  const request = await findRunRequest(sql, runId);
  if (request === null) throw new Problem('not-found', `there is no run ${runId}`);
  return requestChapters(request);
}

/** What a night's timeline is made of; throws a Problem for one that is not known. */
export async function chaptersOfNight(sql: ApiDeps['sql'], runId: string): Promise<Chapter[]> {
  const night = await requireNight(sql, runId);
  const runs = await taskRunsOfNight(sql, night);
  const reviews = await Promise.all(runs.map(({ taskRunId }) => reviewsOf(sql, taskRunId)));
  return nightChapters({ night, runs, reviews: reviews.flat() });
}

/** What happened in a run or night, in plain words, read page by page. */
export function timelineRoutes(deps: ApiDeps) {
  const { sql } = deps;
  return newRouter()
    .openapi(timelineRoute('runs', 'What happened in a task run, over all its attempts'), async (c) => {
      const { runId } = c.req.valid('param');
      const { limit, pageToken } = c.req.valid('query');
      const chapters = await chaptersOfRun(sql, runId);
      return c.json(await timelinePage(deps, { runId, chapters, limit, pageToken }), 200);
    })
    .openapi(timelineRoute('nights', 'What happened in a night'), async (c) => {
      const { runId } = c.req.valid('param');
      const { limit, pageToken } = c.req.valid('query');
      const chapters = await chaptersOfNight(sql, runId);
      return c.json(await timelinePage(deps, { runId, chapters, limit, pageToken }), 200);
    });
}
