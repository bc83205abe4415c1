import type { Queryable } from '../client.ts';
import { jsonb } from '../client.ts';

export type NewEvent = {
  /** e.g. `bar.revised`. */
  kind: string;
  subject: string;
  sessionDate: string | null;
  details: unknown;
  taskRunId: string | null;
};
export type EventRow = NewEvent & {
  eventId: number;
  recordedAt: string;
  handledAt: string | null;
  handledBy: string | null;
};

/** Leaves facts for another role to act on. */
export async function insertEvents(sql: Queryable, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await sql`
    insert into ops.events (kind, subject, session_date, details, task_run_id)
    select e.kind, e.subject, e.session_date, e.details, e.task_run_id
    from jsonb_to_recordset(${sql.json(jsonb(events.map(toSnake)))}::jsonb)
      as e(kind text, subject text, session_date date, details jsonb, task_run_id text)`;
}

function toSnake(event: NewEvent): Record<string, unknown> {
  const { kind, subject, details } = event;
  return { kind, subject, details, session_date: event.sessionDate, task_run_id: event.taskRunId };
}

/** Events nobody has acted on, oldest first. */
export async function openEvents(sql: Queryable, kind: string, limit = 1000): Promise<EventRow[]> {
  return await sql<EventRow[]>`
    select * from ops.events where kind = ${kind} and handled_at is null order by event_id limit ${limit}`;
}

/** Marks events as acted upon; those that were already stay as they are. */
export async function markEventsHandled(
  sql: Queryable,
  input: { eventIds: readonly number[]; handledBy: string },
): Promise<void> {
  await sql`
    update ops.events set handled_at = now(), handled_by = ${input.handledBy}
    where event_id = any(${[...input.eventIds]}::bigint[]) and handled_at is null`;
}
