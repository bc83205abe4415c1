import type { FC } from 'hono/jsx';
import { UniverseField } from './universes.tsx';

/** Which session's results are shown; works without a script. */
export const ChooseNight: FC<{
  action: string;
  sessions: readonly string[];
  session: string;
  universes: readonly string[];
  universe: string;
}> = ({ action, sessions, session, universes, universe }) => (
  <form method="get" action={action} class="row">
    <div class="field">
      <label for="session">Session</label>
      <select id="session" name="session">
        {sessions.map((date) => (
          <option value={date} selected={date === session}>
            {date}
          </option>
        ))}
      </select>
    </div>
    {universes.length > 1 ? (
      <UniverseField id="universe" universes={universes} universe={universe} />
    ) : (
      <input type="hidden" name="universe" value={universe} />
    )}
    <div class="field">
      <button type="submit">Show</button>
    </div>
  </form>
);
