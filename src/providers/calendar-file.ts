import { readFile } from 'node:fs/promises';
import { type ExchangeSession, parseSessionTable } from '../domain/calendar.ts';

/** The committed export of XNYS, relative to the project root (which the caller knows, bundled or not). */
export const XNYS_CALENDAR_FILE = 'data/calendar/xnys.csv';

export const XNYS_TIME_ZONE = 'America/New_York';

/** Tables read so far: the file is part of an installation, and 12,833 sessions take 10 to 35 ms to parse. */
const tables = new Map<string, Promise<readonly ExchangeSession[]>>();

/**
 * Sessions of a calendar file, for `createCalendar` and for loading `market.sessions`. Read once per process and
 * location; a failed reading is tried again by the next call.
 */
export function readSessionTable(location: URL | string): Promise<readonly ExchangeSession[]> {
  const key = String(location);
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = readFile(location, 'utf8').then(parseSessionTable);
  tables.set(key, table);
  table.catch(() => tables.delete(key));
  return table;
}
