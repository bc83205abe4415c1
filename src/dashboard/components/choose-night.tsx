import type { FC } from 'hono/jsx';

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
      <div class="field">
        <label for="universe">Universe</label>
        <select id="universe" name="universe">
          {universes.map((name) => (
            <option value={name} selected={name === universe}>
              {name}
            </option>
          ))}
        </select>
      </div>
    ) : (
      <input type="hidden" name="universe" value={universe} />
    )}
    <div class="field">
      <button type="submit">Show</button>
    </div>
  </form>
);
