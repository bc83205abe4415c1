import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { nightWorkflowId } from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { listNights } from '../db/queries/nights.ts';
import { CalendarRangeError, createCalendar, type ExchangeCalendar } from '../domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import { isRunClosed, listRunningNights, type RunHandle } from '../temporal/verbs.ts';

/** What a command line asks for; no session: the newest one. */
export type NightWish = {
  sessions: readonly (string | undefined)[];
  universe: string;
  settleDelayMs: number;
};

/** A night that began and has not ended. */
export type OpenNight = RunHandle & {
  startedAt: string;
  /** Which one, in words: session and universe, as far as it is planned. */
  name: string;
};

/** The exchange's sessions as the product ships them. */
export async function readShippedCalendar(): Promise<ExchangeCalendar> {
  const sessions = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  return createCalendar({ exchange: 'XNYS', timeZone: XNYS_TIME_ZONE, sessions });
}

/**
 * Nights that began and have not ended, oldest first, apart: `same` are those the command line asks for anyway, so
 * starting them goes on with them; `others` are of another session or universe.
 */
export async function findOpenNights(
  { client, sql }: { client: Client; sql: Sql },
  wish: NightWish,
): Promise<{ same: OpenNight[]; others: OpenNight[] }> {
  const calendar = await readShippedCalendar();
  const found: { same: OpenNight[]; others: OpenNight[] } = { same: [], others: [] };
  const nights: OpenNight[] = [];
  const planned = await listNights(sql, { open: true });
  for (const night of planned) {
    const { sessionDate, universe } = night;
    if (!(await isRunClosed(client, night))) nights.push({ ...night, name: `${sessionDate}, ${universe}` });
  }
  // One that was interrupted before its plan has no row yet: only the server knows it.
  for (const run of await listRunningNights(client)) {
    if (planned.some(({ runId }) => runId === run.runId)) continue;
    nights.push({ ...run, name: nameOf(run.workflowId) });
  }
  for (const night of nights.toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt))) {
    found[isAskedFor(night, { ...wish, calendar, nowMs: Date.now() }) ? 'same' : 'others'].push(night);
  }
  return found;
}

/** Ids of nights that people started name what they asked for; a schedule's run has its instant instead. */
function nameOf(workflowId: string): string {
  const [, session, universe] = /^nightly\/([^/]+)\/(.+)$/.exec(workflowId) ?? [];
  if (session === undefined || universe === undefined) return `the schedule (${workflowId})`;
  return `${session === 'newest' ? 'the newest session' : session}, ${universe}`;
}

/**
 * Whether starting what is asked for finds this open night. One that was begun as "the newest session" is still
 * that, unless another session has closed since.
 */
export function isAskedFor(
  night: Pick<OpenNight, 'workflowId' | 'startedAt'>,
  wish: NightWish & { calendar: ExchangeCalendar; nowMs: number },
): boolean {
  const { sessions, universe, settleDelayMs, calendar, nowMs } = wish;
  const asked = sessions.find(
    (session) => nightWorkflowId(session ?? 'newest', universe) === night.workflowId,
  );
  const isNewest = nightWorkflowId('newest', universe) === night.workflowId;
  if (!isNewest) return asked !== undefined;
  if (!sessions.includes(undefined)) return false;
  const newestAt = (ms: number) => newestClosed(calendar, { ms, settleDelayMs });
  return newestAt(Date.parse(night.startedAt)) === newestAt(nowMs);
}

/** Null past the end of the calendar: then only the source of the data knows what is newest. */
function newestClosed(
  calendar: ExchangeCalendar,
  { ms, settleDelayMs }: { ms: number; settleDelayMs: number },
): string | null {
  try {
    return calendar.newestClosedSession(ms, settleDelayMs);
  } catch (error) {
    if (error instanceof CalendarRangeError) return null;
    throw error;
  }
}
