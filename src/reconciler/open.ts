import { join } from 'node:path';

import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createDatabase } from '../db/client.ts';
import { readCalendarOverrides } from '../db/queries/sessions.ts';
import { createCalendar } from '../domain/calendar.ts';
import { createProviders } from '../providers/by-name.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import { readUniverse } from '../providers/universe-file.ts';
import { archiveFolder } from '../runtime/env.ts';
import { type ClientTarget, connectClient } from '../temporal/connection.ts';
import { type ReconcilerLog, startReconciler } from './start.ts';
import { missedNights, type MissedNight, type WatchDeps } from './watchdog.ts';

export type ReconcilerHouse = {
  /** Postgres as the pipeline role. */
  pipelineUrl: string;
  temporal: ClientTarget;
  sampleDataDir?: string;
  /** End of the commands for missed sessions: ` --data-dir DIR` where it is not the default folder. */
  folderOption?: string;
};

/** Reconciler, watchdog and alerts with connections of their own, for the process that hosts them (`up`, the API). */
export function openReconciler(house: ReconcilerHouse & { log: ReconcilerLog }): { stop(): Promise<void> } {
  const { deps, close } = connect(house);
  const running = startReconciler({ ...deps, log: house.log });
  return {
    stop: async () => {
      await running.stop();
      await close();
    },
  };
}

/** Missed sessions with the command that runs each, for `up` and `status`. */
export async function readMissedNights(house: ReconcilerHouse): Promise<MissedNight[]> {
  const { deps, close } = connect(house);
  try {
    return await missedNights(deps);
  } finally {
    await close();
  }
}

function connect(house: ReconcilerHouse): { deps: WatchDeps; close: () => Promise<void> } {
  const sampleDataDir = house.sampleDataDir ?? archiveFolder();
  const database = createDatabase(house.pipelineUrl, { max: 5, applicationName: 'nightshift-reconciler' });
  const temporal = connectClient(house.temporal);
  const provider = createProviders({ sampleDataDir });
  const deps: WatchDeps = {
    ...(house.folderOption === undefined ? {} : { folderOption: house.folderOption }),
    client: temporal.client,
    sql: database.sql,
    calendar: async () =>
      createCalendar({
        exchange: 'XNYS',
        timeZone: XNYS_TIME_ZONE,
        sessions: await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
        overrides: await readCalendarOverrides(database.sql),
      }),
    coverage: (chain) => provider(chain).coverage(),
    universeName: async (nameOrFile) =>
      (await readUniverse({ nameOrFile, bundledFolder: join(sampleDataDir, 'universes') })).name,
  };
  return {
    deps,
    close: async () => {
      await temporal.close();
      await database.close();
    },
  };
}
