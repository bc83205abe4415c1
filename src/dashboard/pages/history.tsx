import type { FC } from 'hono/jsx';
import { NIGHT_TASKS } from '../../contracts/wire/names.ts';
import type { NightCell, readHistory, TaskCell } from '../../db/queries/dashboard-history.ts';
import { Cell } from '../components/heat-cell.tsx';
import { Mark } from '../components/marks.tsx';
import { Empty, PageHead, Scroll } from '../components/parts.tsx';
import { UniverseNav } from '../components/universes.tsx';
import { lookOf } from '../components/states.ts';
import { sentence, words } from '../format.ts';
import { addMonths, dayName, monthName } from '../months.ts';

const LEGEND = ['succeeded', 'partial', 'failed', 'awaiting_review', 'running', 'skipped', 'cancelled'];

export type HistoryView = {
  universe: string;
  universes: string[];
  /** Newest first. */
  months: string[];
  span: { first: string; last: string } | null;
} & Awaited<ReturnType<typeof readHistory>>;

/** Nights over months: each task of each session a square that leads to its run. */
export const HistoryPage: FC<{ view: HistoryView }> = ({ view }) => {
  const { universe, universes, months, span } = view;
  const [newest = ''] = months;
  const oldest = months.at(-1) ?? newest;
  const link = (to: string): string => `/history?universe=${encodeURIComponent(universe)}&to=${to}`;
  if (span === null) {
    return (
      <>
        <PageHead title="History" />
        <Empty title="No night yet">
          <p>
            Nights appear here as they begin. <a href="/">Run one</a>, or wait for the schedule.
          </p>
        </Empty>
      </>
    );
  }
  return (
    <>
      <PageHead
        title="History"
        aside={
          <nav aria-label="Months" class="buttons">
            {oldest > span.first.slice(0, 7) ? (
              <a class="button" href={link(addMonths(oldest, -1))}>
                <Mark name="left" /> earlier
              </a>
            ) : null}
            {newest < span.last.slice(0, 7) ? (
              <a class="button" href={link(addMonths(newest, months.length))}>
                later <Mark name="right" />
              </a>
            ) : null}
          </nav>
        }
      >
        <p class="muted">
          Universe {universe}, nights of {span.first} to {span.last}
        </p>
      </PageHead>
      <UniverseNav path="/history" universes={universes} universe={universe} />
      <ul class="legend" aria-label="Marks">
        {LEGEND.map((state) => (
          <li>
            <Cell tone={`is-${lookOf(state).tone}`} mark={lookOf(state).mark} words={lookOf(state).label} />
            <span aria-hidden="true">{lookOf(state).label}</span>
          </li>
        ))}
      </ul>
      <div class="months">
        {months.map((month) => (
          <Month month={month} view={view} />
        ))}
      </div>
    </>
  );
};

const Month: FC<{ month: string; view: HistoryView }> = ({ month, view }) => {
  const sessions = [
    ...new Set(
      [...view.sessions, ...view.nights.map(({ sessionDate }) => sessionDate)].filter((date) =>
        date.startsWith(month),
      ),
    ),
  ].toSorted();
  const name = monthName(month);
  return (
    <section class="panel">
      <h2>{name}</h2>
      {sessions.length === 0 ? (
        <p class="muted">No session is known of this month.</p>
      ) : (
        <Scroll label={`Nights of ${name}`}>
          <table class="heat">
            <caption class="hidden-words">Nights of {name}: each session with its tasks</caption>
            <thead>
              <tr>
                <td />
                {['night', ...NIGHT_TASKS].map((name) => (
                  <th scope="col">
                    <span class="upright">{sentence(words(name))}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {sessions.map((date) => (
                <tr>
                  <th scope="row">
                    <time datetime={date} title={date}>
                      {dayName(date)}
                    </time>
                  </th>
                  <td>
                    <Night night={view.nights.find(({ sessionDate }) => sessionDate === date)} date={date} />
                  </td>
                  {NIGHT_TASKS.map((task) => (
                    <td>
                      <Task cell={view.tasks.find((one) => one.task === task && one.sessionDate === date)} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
};

const Night: FC<{ night: NightCell | undefined; date: string }> = ({ night, date }) => {
  if (night === undefined) return <span class="cell" title={`${date}: no night`} />;
  const { tone, mark, label } = lookOf(night.state);
  const more = night.nights > 1 ? `, the last of ${night.nights}` : '';
  const why = night.reason === null ? '' : `: ${night.reason}`;
  return (
    <Cell
      tone={`is-${tone}`}
      mark={mark}
      words={`night of ${date} ${label}${more}${why}`}
      href={`/nights/${encodeURIComponent(night.runId)}`}
    />
  );
};

const Task: FC<{ cell: TaskCell | undefined }> = ({ cell }) => {
  if (cell === undefined) return <span class="cell" />;
  const { tone, mark, label } = lookOf(cell.state);
  const attempts = cell.attempts > 1 ? `, ${cell.attempts} attempts` : '';
  const why = cell.reason === null ? '' : `: ${cell.reason}`;
  return (
    <Cell
      tone={`is-${tone}`}
      mark={mark}
      words={`${words(cell.task)} of ${cell.sessionDate} ${label}${attempts}${why}`}
      href={`/runs/${encodeURIComponent(cell.taskRunId)}`}
    />
  );
};
