import type { Child, FC } from 'hono/jsx';
import type { ChosenNight } from '../which-night.ts';
import { Mark } from './marks.tsx';
import { Empty, PageHead } from './parts.tsx';
import { UniverseField } from './universes.tsx';

/** `keep`: what else the page was asked for. */
type Choice = { action: string; chosen: ChosenNight; keep?: Record<string, string> };

/** Which session's results are shown; works without a script. */
export const ChooseNight: FC<Choice> = ({ action, chosen, keep = {} }) => {
  const { session, sessions, universe, universes } = chosen;
  return (
    <div>
      <form method="get" action={action} class="row">
        {Object.entries(keep).map(([name, value]) => (
          <input type="hidden" name={name} value={value} />
        ))}
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
      <SessionLinks action={action} chosen={chosen} keep={keep} />
    </div>
  );
};

/** From one session with results to the next. */
export const SessionLinks: FC<Choice> = ({ action, chosen, keep = {} }) => {
  const { session, universe, earlier, later, newest } = chosen;
  const link = (date: string): string => linkTo(action, { session: date, universe, ...keep });
  return (
    <nav aria-label="Sessions" class="buttons">
      {earlier === null ? null : (
        <a class="button slim" href={link(earlier)} aria-label={`earlier: ${earlier}`}>
          <Mark name="left" /> earlier
        </a>
      )}
      {later === null ? null : (
        <a class="button slim" href={link(later)} aria-label={`later: ${later}`}>
          later <Mark name="right" />
        </a>
      )}
      {newest === null || newest === session || newest === later ? null : (
        <a class="button slim" href={link(newest)}>
          newest
        </a>
      )}
    </nav>
  );
};

/** What stands where there are no results: of the session that was asked for, with those that there are, or of any. */
export const NoResults: FC<{
  action: string;
  chosen: ChosenNight;
  /** Of the page. */
  title: string;
  /** What there is none of, before "yet" and "of 2018-02-07". */
  none: string;
  /** What would make them. */
  children?: Child;
}> = ({ action, chosen, title, none, children }) => {
  const { missing, universe, universes, earlier, later, newest } = chosen;
  const around = [...new Set([newest, later, earlier])].filter((date) => date !== null);
  return (
    <>
      <PageHead title={title} />
      {missing === null ? (
        <Empty title={`${none} yet`}>{children}</Empty>
      ) : (
        <Empty title={`${none} of ${missing}`}>
          <p>
            Nothing of the kind has succeeded for session {missing} in universe {universe}.{' '}
            <a href={linkTo('/history', { universe, to: missing.slice(0, 7) })}>History</a> shows what has
            run.
          </p>
          {around.length === 0 ? null : (
            <ul class="legend">
              {around.map((date) => (
                <li>
                  <a href={linkTo(action, { session: date, universe })}>
                    {date === newest ? 'The newest' : date === later ? 'The next one' : 'The one before'}:{' '}
                    {date}
                  </a>
                </li>
              ))}
            </ul>
          )}
        </Empty>
      )}
      {newest !== null || universes.length < 2 ? null : (
        <p class="muted">
          Other universes:{' '}
          {universes
            .filter((name) => name !== universe)
            .map((name) => (
              <>
                <a href={linkTo(action, { universe: name })}>{name}</a>{' '}
              </>
            ))}
        </p>
      )}
    </>
  );
};

function linkTo(path: string, query: Record<string, string>): string {
  return `${path}?${new URLSearchParams(query).toString()}`;
}
