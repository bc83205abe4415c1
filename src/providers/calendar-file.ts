import { readFile } from 'node:fs/promises';
import { type ExchangeSession, parseSessionTable } from '../domain/calendar.ts';

/** The committed export of XNYS, relative to the project root (which the caller knows, bundled or not). */
export const XNYS_CALENDAR_FILE = 'data/calendar/xnys.csv';

export const XNYS_TIME_ZONE = 'America/New_York';

/** Sessions of a calendar file, for `createCalendar` and for loading `market.sessions`. */
export async function readSessionTable(location: URL | string): Promise<readonly ExchangeSession[]> {
  return parseSessionTable(await readFile(location, 'utf8'));
}
