import type { Queryable, Sql } from '../client.ts';
import { insertEvents, markEventsHandled } from './events.ts';
import { insertAudit } from './requests.ts';

/** Kind of the events about sessions that nobody has run; their subject is the universe. */
export const MISSED_EVENT = 'session.missed';

export type MissedSession = { universe: string; sessionDate: string };

/** Missed sessions that a person has decided to leave. */
export async function leftSessions(sql: Queryable): Promise<MissedSession[]> {
  return await sql<MissedSession[]>`
    select subject as universe, session_date from ops.events
    where kind = ${MISSED_EVENT} and handled_at is not null and (details ->> 'left')::boolean`;
}

/** Leaves a missed session for good because a person said so: no watchdog and no alert speaks of it any more. */
export async function leaveSession(
  sql: Sql,
  { universe, sessionDate, by, why }: MissedSession & { by: string; why: string },
): Promise<void> {
  await sql.begin(async (tx) => {
    const left = {
      kind: MISSED_EVENT,
      subject: universe,
      sessionDate,
      details: { left: true },
      taskRunId: null,
    };
    await insertEvents(tx, [left]);
    const open = await tx<{ eventId: number }[]>`
      select event_id from ops.events
      where kind = ${MISSED_EVENT} and subject = ${universe} and session_date = ${sessionDate} and handled_at is null`;
    await markEventsHandled(tx, { eventIds: open.map(({ eventId }) => eventId), handledBy: by });
    const subject = `${universe} ${sessionDate}`;
    await insertAudit(tx, { actor: by, action: 'session.leave', subject, why });
  });
}
