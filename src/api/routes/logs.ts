import { createRoute, z } from '@hono/zod-openapi';
import {
  findLogFolders,
  LOG_NAMES,
  type LogEntry,
  type LogPosition,
  readLogTail,
} from '../../runtime/log-tail.ts';
import type { ApiDeps } from '../deps.ts';
import { countQuery, keyIn, keyText } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { newRouter } from '../router.ts';
import { foundAnswers, textSchema } from './schemas.ts';

const MOST_LINES = 1_000;

const entrySchema = z
  .object({
    timestamp: z.string().openapi({ description: 'UTC; the files are in New York time' }),
    logger: z.string(),
    level: z.string().openapi({ example: 'WARNING' }),
    message: z.string(),
    workflowId: z.string().nullable(),
    runId: z.string().nullable().openapi({ description: 'Of the workflow execution' }),
    taskRunId: z.string().nullable(),
    activity: z.string().nullable(),
    attempt: z.string().nullable(),
    fields: z
      .record(z.string(), z.string())
      .openapi({ description: 'What else the line has; other values than texts as JSON' }),
  })
  .openapi('LogEntry');

const logRoute = createRoute({
  method: 'get',
  path: '/api/v1/logs/{task}',
  tags: ['Logs'],
  summary: 'The tail of a task’s log, or of scheduler.log, oldest line first; read backwards with `before`',
  request: {
    params: z.object({ task: z.enum(LOG_NAMES) }),
    query: z.object({
      lines: countQuery({ maximum: MOST_LINES, usual: 200, words: 'Records of a page' }),
      before: z.string().max(400).optional().openapi({ description: '`before` of the page before' }),
      taskRunId: textSchema({ minimum: 0, maximum: 200 }).optional().openapi({
        description: 'Only lines about this run, of those that the page would have: go on with `before`',
      }),
      folder: textSchema({ minimum: 0, maximum: 255 })
        .optional()
        .openapi({ description: 'One of `folders`: that of a worker on its own; default: the newest' }),
    }),
  },
  responses: foundAnswers(
    'Records; fewer than asked for where they are very long',
    z
      .object({
        task: z.enum(LOG_NAMES),
        folder: z.string(),
        folders: z.array(z.string()).openapi({ description: 'Where there is such a log' }),
        items: z.array(entrySchema),
        before: z.string().nullable().openapi({ description: 'For older ones; null: there are none' }),
      })
      .openapi('LogPage'),
  ),
});

const positionSchema = z.tuple([z.string().max(255), z.string().regex(/^\d{1,20}$/), z.int().min(0)]);

/** Log files, as far as this process can see them. */
export function logRoutes({ logDir }: ApiDeps) {
  return newRouter().openapi(logRoute, async (c) => {
    const { task } = c.req.valid('param');
    const { lines, before: token, folder: asked, taskRunId } = c.req.valid('query');
    const position = keyIn(token, positionSchema, 'before');
    const root = logDir ?? null;
    if (root === null)
      throw new Problem(
        'not-found',
        'this API sees no log folder: NIGHTSHIFT_LOG_DIR names one; workers on other machines have their own',
      );
    const folders = await findLogFolders(root, task);
    const wanted = position?.[0] ?? asked ?? folders[0];
    // Never a path from outside: only what the listing found.
    const folder = folders.find((one) => one === wanted);
    if (folder === undefined)
      throw new Problem(
        'not-found',
        wanted === undefined || folders.length === 0
          ? `there is no log of ${task} in the log folder: it has written nothing yet, or maintenance archived it`
          : `there is no log of ${task} in a folder of that name; there is one in: ${folders.map((one) => one || '(the log folder itself)').join(', ')}`,
      );
    const at: LogPosition | null = position === null ? null : { inode: position[1], offset: position[2] };
    const { entries, before } = await readLogTail({ root, folder, name: task, lines, before: at });
    return c.json(
      {
        task,
        folder,
        folders,
        items: entries
          .map(entryOf)
          .filter((entry) => taskRunId === undefined || entry.taskRunId === taskRunId),
        before: before === null ? null : keyText([folder, before.inode, before.offset]),
      },
      200,
    );
  });
}

function entryOf({ timestamp, logger, level, message, fields }: LogEntry): z.infer<typeof entrySchema> {
  const { workflowId, runId, taskRunId, activity, activityType, attempt, ...rest } = fields;
  return {
    timestamp,
    logger,
    level,
    message,
    workflowId: workflowId ?? null,
    runId: runId ?? null,
    taskRunId: taskRunId ?? null,
    activity: activity ?? activityType ?? null,
    attempt: attempt ?? null,
    fields: rest,
  };
}
