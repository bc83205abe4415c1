import type { Queryable } from '../db/client.ts';
import { readCalendarOverrides } from '../db/queries/sessions.ts';
import { createCalendar, type ExchangeCalendar, type ExchangeSession } from '../domain/calendar.ts';

/** The last calendar made of a table of sessions: 13,000 of them are put in order again only for other corrections. */
const made = new WeakMap<readonly ExchangeSession[], { key: string; calendar: ExchangeCalendar }>();

/** The calendar of XNYS: the sessions of the committed file with the corrections people made, as they stand now. */
export async function readExchangeCalendar(input: {
  sql: Queryable;
  sessions: () => Promise<readonly ExchangeSession[]>;
  timeZone: string;
}): Promise<ExchangeCalendar> {
  const { sql, timeZone } = input;
  const sessions = await input.sessions();
  const overrides = await readCalendarOverrides(sql);
  const key = JSON.stringify([timeZone, overrides]);
  const known = made.get(sessions);
  if (known?.key === key) return known.calendar;
  const calendar = createCalendar({ exchange: 'XNYS', timeZone, sessions, overrides });
  made.set(sessions, { key, calendar });
  return calendar;
}
