import { readNightUniverses } from '../db/queries/dashboard-history.ts';
import type { Queryable } from '../db/client.ts';
import type { PageContext } from './deps.ts';

export type ChosenNight = {
  universe: string;
  universes: string[];
  session: string | null;
  sessions: string[];
};

/** The universe and session whose results a page shows: those asked for, else the newest that has any. */
export async function whichNight(
  c: PageContext,
  sql: Queryable,
  sessionsOf: (universe: string) => Promise<string[]>,
): Promise<ChosenNight> {
  const universes = await readNightUniverses(sql);
  const asked = universes.find((name) => name === c.req.query('universe'));
  let universe = asked ?? universes[0] ?? '';
  let sessions = await sessionsOf(universe);
  if (asked === undefined && sessions.length === 0) {
    // The newest night has left nothing of the kind: one of another universe may have.
    for (const other of universes) {
      const found = await sessionsOf(other);
      if (found.length === 0) continue;
      [universe, sessions] = [other, found];
      break;
    }
  }
  const wanted = c.req.query('session');
  const session = sessions.find((date) => date === wanted) ?? sessions[0] ?? null;
  return { universe, universes, session, sessions };
}
