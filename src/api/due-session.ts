import { effectiveConfig } from '../contracts/schemas/config.ts';
import { SCHEDULE_IDS } from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { CURRENT_FILE, currentConfigHash } from '../db/queries/configs.ts';
import { findLastClosedSession } from '../db/queries/result-data.ts';
import { onSince } from '../db/queries/schedule-state.ts';
import { readCalendarDates } from '../db/queries/sessions.ts';
import { newestExpected } from '../domain/missed-sessions.ts';
import { addDays, localDate } from '../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import { configurationInForce } from './configuration.ts';

/** As far back as nights are expected. */
const DAYS_BACK = 16;

/**
 * The newest session whose data should be here: while the nightly schedule is on, the one that it has started a night
 * of and given time for ingestion; else the newest that is over and settled. Null where no session is stored, and
 * before a configuration is applied.
 */
export async function readDueSession(sql: Sql, nowMs = Date.now()): Promise<string | null> {
  const hash = await currentConfigHash(sql, CURRENT_FILE);
  if (hash === null) return null;
  const config = effectiveConfig(await configurationInForce(sql));
  const { ingestion } = config.tasks;
  if ((await onSince(sql, SCHEDULE_IDS.nightly)) !== null) {
    const today = localDate(nowMs, XNYS_TIME_ZONE);
    const [first, last] = [addDays(today, -DAYS_BACK), addDays(today, 1)];
    const dates = new Set(await readCalendarDates(sql, { from: first, through: last }));
    const expected = newestExpected({
      calendar: { first, last, timeZone: XNYS_TIME_ZONE, isSession: (date) => dates.has(date) },
      schedule: ingestion,
      timezone: config.timezone,
      graceMs: config.misfireGraceTimeMs + ingestion.timeoutMs,
      nowMs,
    });
    if (expected !== null) return expected;
  }
  const settledAt = new Date(nowMs - config.settleDelayMinutes * 60_000).toISOString();
  return (await findLastClosedSession(sql, settledAt))?.sessionDate ?? null;
}
