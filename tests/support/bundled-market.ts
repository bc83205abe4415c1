import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createCalendar } from '../../src/domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../../src/providers/calendar-file.ts';
import type { WatchDeps } from '../../src/reconciler/watchdog.ts';

/** What the reconciler asks about the market, answered of the bundled data; nobody has corrected its calendar. */
export const bundledMarket: Pick<WatchDeps, 'calendar' | 'coverage' | 'universeName'> = {
  calendar: async () =>
    createCalendar({
      exchange: 'XNYS',
      timeZone: XNYS_TIME_ZONE,
      sessions: await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
    }),
  coverage: async () => ({ firstSession: '2013-02-08', lastSession: '2018-02-07' }),
  universeName: async (name) => name,
};
