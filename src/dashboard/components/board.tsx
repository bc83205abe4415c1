import type { FC } from 'hono/jsx';
import { SCHEDULE_IDS, TASKS, taskIdOf } from '../../contracts/wire/names.ts';
import { isOpenState } from '../../db/queries/nights.ts';
import { askedBy } from '../../temporal/asked-by.ts';
import type { ScheduleSummary } from '../../temporal/schedules.ts';
import type { Chrome } from '../deps.ts';
import { count, sentence, words } from '../format.ts';
import type { TonightView } from '../tonight.ts';
import { Dag } from './dag.tsx';
import { Act, Ago, Badge, Empty, Facts, Notice, Table, Time, Took, Until, Why } from './parts.tsx';
import { Review } from './review.tsx';
import { EndActs } from './run-acts.tsx';
import { lookOf } from './states.ts';
import { TaskCard } from './task-card.tsx';

type BoardInput = { view: TonightView; chrome: Chrome };

/** All of the first page that changes while a night runs; a `data-part` is found again whatever comes before it. */
export const Board: FC<BoardInput> = ({ view, chrome }) => (
  <>
    {view.waiting.map((run) => (
      <Review run={run} chrome={chrome} />
    ))}
    <Trouble view={view} chrome={chrome} />
    <NightHead view={view} chrome={chrome} />
    {view.runs.length === 0 ? null : (
      <>
        <div class="panel dag-figure" data-part="dag">
          <Dag runs={view.runs} />
        </div>
        <ol class="tasks" aria-label="Tasks of the night">
          {inOrder(view.runs).map((run) => (
            <TaskCard
              run={run}
              attempts={view.attempts.filter(({ taskRunId }) => taskRunId === run.taskRunId)}
              progress={view.progress.find(([task]) => task === run.task)?.[1]}
              chrome={chrome}
            />
          ))}
        </ol>
      </>
    )}
    <Others view={view} chrome={chrome} />
    <Schedules schedules={view.schedules} chrome={chrome} />
  </>
);

function inOrder(runs: TonightView['runs']): TonightView['runs'] {
  return runs.toSorted((a, b) => TASKS.indexOf(a.task) - TASKS.indexOf(b.task));
}

/** What a person should know before reading on: something is away, or what is shown is old. */
const Trouble: FC<BoardInput> = ({ view, chrome }) => {
  const { schedules, silent, data } = view;
  return (
    <div data-part="trouble">
      {schedules === null ? (
        <Notice tone="fail" title="Temporal does not answer">
          <p>
            What is shown comes from the database and is as new as that. Nothing can be started, decided or
            paused until it is back; this page sees that by itself.
          </p>
        </Notice>
      ) : null}
      {silent.length === 0 ? null : (
        <Notice tone="wait" title={`No ${silent.map(({ process }) => process).join(' and no ')} runs`}>
          <p>
            {silent.map(({ process, since }, index) => (
              <>
                {index === 0 ? '' : '; '}
                {since === null ? (
                  `No ${process} was ever heard here`
                ) : (
                  <>
                    {process} was last heard <Ago at={since} chrome={chrome} />
                  </>
                )}
              </>
            ))}
            . What is asked for waits until it is back: <code>nightshift up</code> starts it.
          </p>
        </Notice>
      )}
      {data.newestBar !== null && data.sessionsBehind > 0 ? (
        <Notice tone="skip">
          <p>
            The newest data is of session {data.newestBar}. The exchange has held {count(data.sessionsBehind)}{' '}
            {data.sessionsBehind === 1 ? 'session' : 'sessions'} since then, the last on {data.lastSession}:
            nothing here is about today.
          </p>
        </Notice>
      ) : null}
    </div>
  );
};

const NightHead: FC<BoardInput> = ({ view, chrome }) => {
  const { night, runs, waiting } = view;
  const decisions = waiting.map(
    ({ task, sessionDate }) => `${words(task)} of ${sessionDate} waits for your decision`,
  );
  if (night === null) {
    return (
      <div data-part="head" data-announce={[...decisions, 'no night has run'].join(', ')}>
        <Empty title="No night yet">
          <p>
            The first night brings in the data, trains, scans, backtests and watches for drift.{' '}
            {chrome.mayAct ? 'Run one below, or wait for the schedule.' : 'An operator can run one.'}
          </p>
        </Empty>
      </div>
    );
  }
  const { sessionDate, universe, state, reason, startedAt, completedAt, runId } = night;
  const isOpen = isOpenState(state);
  const busy = runs.filter((run) => run.state === 'running').map(({ task }) => words(task));
  const over = runs.filter((run) => !isOpenState(run.state)).length;
  const announce = [
    ...decisions,
    `night of ${sessionDate}: ${lookOf(state).label}`,
    ...(busy.length > 0 ? [`${busy.join(' and ')} running`] : []),
    `${over} of ${runs.length} tasks over`,
  ].join(', ');
  return (
    <section class="panel" data-part="head" data-announce={announce} aria-labelledby="night-head">
      <div class="page-head">
        <div>
          <h2 id="night-head">
            <a id="night-link" href={`/nights/${encodeURIComponent(runId)}`}>
              {isOpen ? 'The night' : 'Last night'} of session {sessionDate}
            </a>
          </h2>
          <p class="muted">
            Universe {universe}; by {askedBy(night)}, <Time at={startedAt} zone={chrome} seconds />{' '}
            {isOpen ? 'for' : 'in'} <Took from={startedAt} to={completedAt} nowMs={chrome.nowMs} />
          </p>
        </div>
        <Badge state={state} />
      </div>
      {reason === null ? null : <p>{sentence(reason)}</p>}
      {view.acts.length === 0 ? null : (
        <ul class="small">
          {view.acts.map(({ at, actor, action, why }) => (
            <li>
              <Time at={at} zone={chrome} short seconds /> {actor}: {action.replace('.', ' ')}
              {why === null ? '' : `, ${why}`}
            </li>
          ))}
        </ul>
      )}
      {isOpen && chrome.mayAct ? <EndActs of="night" runId={runId} chrome={chrome} /> : null}
    </section>
  );
};

const Others: FC<BoardInput> = ({ view, chrome }) => {
  const { otherOpen, manual, requests } = view;
  const rows = [
    ...otherOpen.map((night) => [
      <a href={`/nights/${encodeURIComponent(night.runId)}`}>Night of {night.sessionDate}</a>,
      <Badge state={night.state} />,
      night.universe,
      askedBy(night),
      <Time at={night.startedAt} zone={chrome} />,
      night.reason ?? '',
    ]),
    ...requests.map((request) => [
      `${sentence(words(request.task))} of ${request.sessionDate}`,
      request.refusedReason === null ? (
        <Badge state="pending" label="asked for" />
      ) : (
        <Badge state="failed" label="refused" />
      ),
      request.universe,
      request.requestedBy,
      <Time at={request.requestedAt} zone={chrome} />,
      request.refusedReason ?? 'nobody has taken it yet',
    ]),
    ...manual.map((run) => [
      <a href={`/runs/${encodeURIComponent(run.taskRunId)}`}>
        {sentence(words(run.task))} of {run.sessionDate}
      </a>,
      <Badge state={run.state} />,
      run.universe,
      askedBy(run),
      <Time at={run.createdAt} zone={chrome} />,
      run.reason ?? run.failure?.message ?? (run.forced ? 'forced' : ''),
    ]),
  ];
  return (
    <div data-part="others">
      {rows.length === 0 ? null : (
        <section class="panel">
          <h2>Beside it</h2>
          <Table
            caption="Other nights that are open, and runs of single tasks, newest first"
            columns={['What', 'State', 'Universe', 'Asked by', 'At', 'Note'].map((head) => ({ head }))}
            rows={rows}
          />
        </section>
      )}
    </div>
  );
};

const SCHEDULE_WORDS: Readonly<Record<string, string>> = {
  [SCHEDULE_IDS.nightly]: 'The nightly run',
  [SCHEDULE_IDS.weekly]: `Weekly maintenance (task ${taskIdOf('weeklyMaintenance')})`,
};

const Schedules: FC<{ schedules: ScheduleSummary[] | null; chrome: Chrome }> = ({ schedules, chrome }) => (
  <section class="panel" data-part="schedules" aria-labelledby="next-runs">
    <h2 id="next-runs">Next runs</h2>
    {schedules === null ? <p class="muted">Not known while Temporal does not answer.</p> : null}
    {schedules?.length === 0 ? (
      <p class="muted">
        There is no schedule yet: <code>nightshift up</code> makes them.
      </p>
    ) : null}
    <div class="cols">
      {(schedules ?? []).map((schedule) => (
        <ScheduleCard schedule={schedule} chrome={chrome} />
      ))}
    </div>
  </section>
);

const ScheduleCard: FC<{ schedule: ScheduleSummary; chrome: Chrome }> = ({ schedule, chrome }) => {
  const { scheduleId, paused, note, nextTimes } = schedule;
  const [next = null] = nextTimes;
  return (
    <div>
      <h3>
        {SCHEDULE_WORDS[scheduleId] ?? scheduleId} {paused ? <Badge state="waiting" label="paused" /> : null}
      </h3>
      <Facts
        rows={[
          [
            'Next',
            paused ? (
              'not while it is paused'
            ) : next === null ? (
              'none: its plan names no further time'
            ) : (
              <>
                <Time at={next} zone={chrome} /> (<Until at={next} chrome={chrome} />)
              </>
            ),
          ],
          ...(note === null ? [] : [['Note', note] as const]),
        ]}
      />
      {chrome.mayAct ? (
        <details id={`switch-${scheduleId}`}>
          <summary id={`switch-summary-${scheduleId}`}>{paused ? 'Unpause' : 'Pause'} or start now</summary>
          <Act action="/acts/schedule" chrome={chrome} hidden={{ scheduleId }}>
            <Why id={`why-${scheduleId}`} />
            <div class="buttons">
              <button type="submit" name="verb" value={paused ? 'unpause' : 'pause'}>
                {paused ? 'Unpause' : 'Pause'}
              </button>
              <button type="submit" name="verb" value="trigger">
                Start now
              </button>
            </div>
          </Act>
        </details>
      ) : null}
    </div>
  );
};
