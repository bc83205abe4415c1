import { Problem } from '../api/problems.ts';
import { dateSchema } from '../api/routes/schemas.ts';
import type { Task } from '../contracts/wire/names.ts';
import type { Queryable } from '../db/client.ts';
import { readNightUniverses } from '../db/queries/dashboard-history.ts';
import { readResultSessions } from '../db/queries/task-results.ts';
import type { PageContext } from './deps.ts';

/** Offered beside the one that is shown: a quarter of them, half as many later ones. */
const UP_TO = 60;
const LATER = 30;

export type ChosenNight = {
  universe: string;
  universes: string[];
  /** Whose results are shown: the one that was asked for, else the newest; null: it has none, or nothing has. */
  session: string | null;
  /** The one that was asked for and has none. */
  missing: string | null;
  /** Those around it that have some, newest first. */
  sessions: string[];
  earlier: string | null;
  later: string | null;
  newest: string | null;
};

/** The universe that a page was asked for, else that of the newest night. Throws a Problem for one without nights. */
export async function whichUniverse(
  c: PageContext,
  sql: Queryable,
): Promise<{ universe: string; universes: string[]; isAsked: boolean }> {
  const universes = await readNightUniverses(sql);
  const [newest = ''] = universes;
  const asked = c.req.query('universe') ?? '';
  if (asked === '' || universes.length === 0) return { universe: newest, universes, isAsked: false };
  if (universes.includes(asked)) return { universe: asked, universes, isAsked: true };
  const known = universes.join(', ');
  throw new Problem(
    'not-found',
    `no night of a universe “${asked.slice(0, 64)}” has begun here, only of ${known}`,
  );
}

/** The universe and session whose results of a task a page shows. Throws a Problem for what is no universe or date. */
export async function whichNight(c: PageContext, sql: Queryable, task: Task): Promise<ChosenNight> {
  const { universe: first, universes, isAsked } = await whichUniverse(c, sql);
  const asked = c.req.query('session') ?? '';
  if (asked !== '' && !dateSchema.safeParse(asked).success)
    throw new Problem('invalid-input', 'a session is a date like 2018-02-07');
  const around = asked === '' ? null : asked;
  const resultsOf = (universe: string) =>
    readResultSessions(sql, { task, universe, around, later: LATER, upTo: UP_TO });
  let universe = first;
  let found = await resultsOf(universe);
  if (!isAsked && around === null && found.newest === null) {
    // The newest night has left nothing of the kind: one of another universe may have.
    for (const other of universes) {
      const results = await resultsOf(other);
      if (results.newest === null) continue;
      [universe, found] = [other, results];
      break;
    }
  }
  const { sessions, newest } = found;
  const session = around === null ? newest : (sessions.find((date) => date === around) ?? null);
  const place = around ?? session ?? '';
  return {
    universe,
    universes,
    session,
    missing: session === null ? around : null,
    sessions,
    earlier: sessions.find((date) => date < place) ?? null,
    later: sessions.findLast((date) => date > place) ?? null,
    newest,
  };
}
