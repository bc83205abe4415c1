import { z } from '@hono/zod-openapi';
import { activityName, pendingState } from '../../temporal/progress-words.ts';
import type { LivePart } from '../../temporal/run-live.ts';

/** How something failed, in words. */
export const failureChainSchema = z.array(z.string()).openapi({
  description: 'What failed, then its cause, then the cause of that; from the rows without Temporal',
});

const pendingSchema = z.object({
  activity: z.string().openapi({ description: 'Its name in the code', example: 'fitFold' }),
  name: z.string().openapi({ example: 'fold fit lightgbm block 3' }),
  state: z.enum(['running', 'queued', 'waiting', 'paused']).openapi({
    description: 'A worker has it, it waits for one, or for its next attempt, or somebody paused it',
  }),
  attempt: z.int(),
  maxAttempts: z.int().nullable().openapi({ description: 'Null: as often as its time allows' }),
  phase: z.string().openapi({ description: 'Of its heartbeat; empty without one' }),
  done: z.number(),
  total: z.number(),
  failureChain: z.array(z.string()).openapi({ description: 'Why the attempt before failed' }),
  nextAttemptAt: z.string().nullable(),
  scheduledAt: z.string().nullable(),
  startedAt: z.string().nullable(),
});

export const liveSchema = z
  .object({
    note: z
      .string()
      .nullable()
      .openapi({ description: 'Why there is no live part; null where there is one' }),
    status: z.string().nullable().openapi({ description: 'In Temporal’s words', example: 'RUNNING' }),
    pending: z.array(pendingSchema),
    steps: z
      .array(z.object({ activity: z.string(), name: z.string(), done: z.int(), total: z.int() }))
      .openapi({ description: 'In the order in which they were first asked for' }),
    retries: z
      .array(z.object({ name: z.string(), attempt: z.int(), lastFailure: z.string().nullable() }))
      .openapi({ description: 'Steps that have ended since and needed more than one attempt' }),
  })
  .openapi('LivePart', { description: 'What only Temporal knows, at this moment' });
type LiveAnswer = z.infer<typeof liveSchema>;

/** The live part as answers say it. */
export function liveOf({ live, note }: Pick<LivePart, 'live' | 'note'>): LiveAnswer {
  if (live === null) return { note, status: null, pending: [], steps: [], retries: [] };
  return {
    note: null,
    status: live.status,
    pending: live.pending.map((activity) => ({
      activity: activity.activityType,
      name: activityName(activity.activityType, activity.subject),
      state: pendingState(activity),
      attempt: activity.attempt,
      maxAttempts: activity.maxAttempts === 0 ? null : activity.maxAttempts,
      phase: activity.phase,
      done: activity.done,
      total: activity.total,
      failureChain: activity.failureChain,
      nextAttemptAt: activity.nextAttemptAt,
      scheduledAt: activity.scheduledAt,
      startedAt: activity.startedAt,
    })),
    steps: live.steps.map(({ activityType, done, total }) => ({
      activity: activityType,
      name: activityName(activityType),
      done,
      total,
    })),
    retries: live.retries.map(({ activityType, subject, attempt, lastFailure }) => ({
      name: activityName(activityType, subject),
      attempt,
      lastFailure,
    })),
  };
}
