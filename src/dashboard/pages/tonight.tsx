import { randomUUID } from 'node:crypto';
import type { FC } from 'hono/jsx';
import { TASKS, taskIdOf } from '../../contracts/wire/names.ts';
import { Board } from '../components/board.tsx';
import { Act, PageHead, Why } from '../components/parts.tsx';
import { Force } from '../components/run-acts.tsx';
import { UniverseField } from '../components/universes.tsx';
import type { Chrome } from '../deps.ts';
import { sentence, words } from '../format.ts';
import { offeredUniverses, type Settings, type TonightView } from '../tonight.ts';

/** The running or the last night, live, with what a person can do about it. */
export const TonightPage: FC<{ view: TonightView; settings: Settings; chrome: Chrome }> = (props) => {
  const { view, settings, chrome } = props;
  return (
    <>
      <PageHead
        title="Tonight"
        aside={
          <p class="live-line small muted">
            <span id="live-state" role="status">
              as of the load of this page
            </span>
            <a href="/">Reload</a>
          </p>
        }
      />
      <p id="announcer" class="hidden-words" role="status" aria-live="polite" />
      <div id="board" data-live="/live">
        <Board view={view} chrome={chrome} />
      </div>
      {chrome.mayAct ? <RunForms view={view} settings={settings} chrome={chrome} /> : null}
    </>
  );
};

const RunForms: FC<{ view: TonightView; settings: Settings; chrome: Chrome }> = ({
  view,
  settings,
  chrome,
}) => {
  const universe = view.night?.universe ?? settings.universe;
  const universes = offeredUniverses(settings, view.night);
  return (
    <div class="cols">
      <section class="panel" aria-labelledby="run-night">
        <h2 id="run-night">Run a night now</h2>
        <Act action="/acts/night" chrome={chrome}>
          <Which of="night" universes={universes} universe={universe} session="the newest one there can be" />
          <Why id="why-night" />
          <button type="submit" class="main">
            Run the night
          </button>
        </Act>
      </section>
      <section class="panel" aria-labelledby="run-task">
        <h2 id="run-task">Run one task now</h2>
        <Act action="/acts/task" chrome={chrome} hidden={{ key: randomUUID() }}>
          <div class="field">
            <label for="task">Task</label>
            <select id="task" name="task">
              {TASKS.map((task) => (
                <option value={task}>{`${taskIdOf(task)} ${sentence(words(task))}`}</option>
              ))}
            </select>
          </div>
          <Which of="task" universes={universes} universe={universe} session="the newest one there can be" />
          <Force id="force" />
          <Why id="why-task" />
          <button type="submit">Run the task</button>
        </Act>
      </section>
    </div>
  );
};

const Which: FC<{ of: string; universes: readonly string[]; universe: string; session: string }> = (
  props,
) => {
  const { of, universes, universe, session } = props;
  return (
    <div class="row">
      <div class="field">
        <label for={`session-${of}`}>Session</label>
        <input
          type="text"
          id={`session-${of}`}
          name="sessionDate"
          inputmode="numeric"
          pattern="\d{4}-\d{2}-\d{2}"
          placeholder="YYYY-MM-DD"
          autocomplete="off"
          aria-describedby={`session-${of}-help`}
        />
        <p class="small muted" id={`session-${of}-help`}>
          Empty: {session}
        </p>
      </div>
      <UniverseField id={`universe-${of}`} universes={universes} universe={universe} />
    </div>
  );
};
