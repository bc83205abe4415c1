import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { nightWorkflowId } from '../contracts/wire/names.ts';
import { listNights, type NightRow } from '../db/queries/nights.ts';
import { CalendarRangeError, createCalendar, type ExchangeCalendar } from '../domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import { isRunClosed } from '../temporal/verbs.ts';
import type { App } from './app.ts';

/** What a command line asks for; no session: the newest one. */
export type NightWish = {
  sessions: readonly (string | undefined)[];
  universe: string;
  settleDelayMs: number;
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
  app: App,
  wish: NightWish,
): Promise<{ same: NightRow[]; others: NightRow[] }> {
  const calendar = await readShippedCalendar();
  const found: { same: NightRow[]; others: NightRow[] } = { same: [], others: [] };
  for (const night of (await listNights(app.database.sql, { open: true })).toReversed()) {
    if (await isRunClosed(app.client, night)) continue;
    found[isAskedFor(night, { ...wish, calendar, nowMs: Date.now() }) ? 'same' : 'others'].push(night);
  }
  return found;
}

/**
 * Whether starting what is asked for finds this open night. One that was begun as "the newest session" is still
 * that, unless another session has closed since.
 */
export function isAskedFor(
  night: Pick<NightRow, 'workflowId' | 'startedAt'>,
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
