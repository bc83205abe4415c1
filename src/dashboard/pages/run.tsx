import type { Child, FC } from 'hono/jsx';
import type { TimelineAnswer } from '../../api/routes/timelines.ts';
import type { RunLog } from '../../api/run-log.ts';
import { taskIdOf } from '../../contracts/wire/names.ts';
import type { AttemptRow } from '../../db/queries/attempts.ts';
import { isOpenState, isRetryableState } from '../../db/queries/nights.ts';
import type { ReviewRow, RunRequestRow } from '../../db/queries/requests.ts';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import { retryLine, progressLine } from '../../temporal/progress-words.ts';
import { askedBy } from '../../temporal/asked-by.ts';
import type { LivePart } from '../../temporal/run-live.ts';
import type { WebLink } from '../../temporal/web-links.ts';
import { Badge, Facts, Notice, PageHead, Table, Time, Took } from '../components/parts.tsx';
import { Review } from '../components/review.tsx';
import { EndActs, RetryAct } from '../components/run-acts.tsx';
import { Log, Pending, Timeline } from '../components/run-parts.tsx';
import { Value } from '../components/value.tsx';
import type { Chrome } from '../deps.ts';
import { count, limit, sentence, words } from '../format.ts';

export type RunView = {
  run: TaskRunRow;
  attempts: AttemptRow[];
  reviews: ReviewRow[];
  /** Of the newest attempt. */
  part: LivePart;
  timeline: TimelineAnswer;
  /** Whether the timeline is shown from its beginning. */
  isFirst: boolean;
  log: RunLog;
  webUiOf: WebLink;
};

/** One task run: what it did step by step, each attempt with how it ended, what people decided, its result. */
export const RunPage: FC<{ view: RunView; chrome: Chrome }> = ({ view, chrome }) => {
  const { run, attempts, reviews, part, timeline, isFirst, log } = view;
  const { taskRunId, task, sessionDate, universe, state, reason, failure } = run;
  const chain = part.failureChain ?? [];
  const failed = state === 'failed' || state === 'awaiting_review' || state === 'cancelled';
  return (
    <>
      <PageHead
        title={`${taskIdOf(task)} ${sentence(words(task))} of ${sessionDate}`}
        aside={<Badge state={state} />}
      >
        <p class="muted">
          Universe {universe}
          {run.nightRunId === null ? (
            `, by ${askedBy(run)}`
          ) : (
            <>
              , of <a href={`/nights/${encodeURIComponent(run.nightRunId)}`}>its night</a>
            </>
          )}
        </p>
      </PageHead>
      {state === 'awaiting_review' ? <Review run={run} chrome={chrome} /> : null}
      {failed && state !== 'awaiting_review' && (failure !== null || reason !== null) ? (
        <Notice tone={state === 'cancelled' ? 'skip' : 'fail'}>
          <p>
            {failure === null ? null : (
              <>
                <code>{failure.type}</code>
                {failure.activity === null ? '' : ` in ${words(failure.activity)}`}:{' '}
              </>
            )}
            {failure?.message ?? reason}
          </p>
          {chain.length < 2 ? null : (
            <ol class="small" aria-label="What failed, and because of what">
              {chain.map((line) => (
                <li>{sentence(line)}</li>
              ))}
            </ol>
          )}
        </Notice>
      ) : null}
      {chrome.mayAct && run.nightRunId === null && isOpenState(state) ? (
        <EndActs of="run" runId={taskRunId} chrome={chrome} />
      ) : null}
      <div class="cols">
        <About run={run} chrome={chrome} />
        <Steps part={part} isOpen={state === 'running'} />
      </div>
      {part.live === null ? null : <Pending live={part.live} chrome={chrome} />}
      <section class="panel">
        <h2>Attempts</h2>
        {attempts.length === 0 ? (
          <p class="muted">None has begun{reason === null ? '.' : `: ${reason}.`}</p>
        ) : (
          <Table
            caption={`Attempts, oldest first; each has ${limit(run.timeoutMs)} at most`}
            columns={[
              { head: 'Attempt', numeric: true },
              { head: 'End' },
              { head: 'Started' },
              { head: 'Took', numeric: true },
              { head: 'What went wrong' },
              { head: 'Temporal' },
            ]}
            rows={attempts.map((attempt) => [
              String(attempt.attempt),
              <Badge state={attempt.state} />,
              <Time at={attempt.startedAt} zone={chrome} seconds />,
              <Took from={attempt.startedAt} to={attempt.completedAt} nowMs={chrome.nowMs} />,
              <Wrong attempt={attempt} timeoutMs={run.timeoutMs} />,
              <WebUi href={view.webUiOf(attempt)} attempt={attempt.attempt} />,
            ])}
          />
        )}
      </section>
      {reviews.length === 0 ? null : (
        <section class="panel">
          <h2>Reviews</h2>
          <Table
            caption="What people decided, oldest first"
            columns={['Decision', 'By', 'At', 'Why'].map((head) => ({ head }))}
            rows={reviews.map(({ decision, decidedBy, decidedAt, why }) => [
              decision,
              decidedBy,
              <Time at={decidedAt} zone={chrome} seconds />,
              why,
            ])}
          />
        </section>
      )}
      {run.result === null ? null : (
        <section class="panel">
          <h2>Result</h2>
          <Value value={run.result} />
        </section>
      )}
      {chrome.mayAct && isRetryableState(state) ? <RetryAct runId={taskRunId} chrome={chrome} /> : null}
      <Timeline
        page={timeline}
        path={`/runs/${encodeURIComponent(taskRunId)}`}
        isFirst={isFirst}
        chrome={chrome}
      />
      <Log log={log} chrome={chrome} />
    </>
  );
};

const About: FC<{ run: TaskRunRow; chrome: Chrome }> = ({ run, chrome }) => (
  <section class="panel">
    <h2>About it</h2>
    <Facts
      rows={[
        ['Asked for', `by ${askedBy(run)}`],
        ['Forced', run.forced ? 'yes: its needs were not looked at' : 'no'],
        ['Needs', run.dependsOn.length === 0 ? 'nothing' : run.dependsOn.map(words).join(', ')],
        ['Started', <Time at={run.startedAt} zone={chrome} seconds />],
        [
          'Took',
          run.startedAt === null ? (
            '–'
          ) : (
            <Took from={run.startedAt} to={run.completedAt} nowMs={chrome.nowMs} />
          ),
        ],
        ['Timeout', limit(run.timeoutMs)],
        ...(run.reason === null ? [] : [['Reason', sentence(run.reason)] as const]),
        ['Run id', <code>{run.taskRunId}</code>],
      ]}
    />
  </section>
);

const Steps: FC<{ part: LivePart; isOpen: boolean }> = ({ part: { live, note }, isOpen }) => (
  <section class="panel">
    <h2>Steps</h2>
    {live === null || live.steps.length === 0 ? (
      <p class="muted">{live === null ? `${sentence(note)}: only the rows are shown.` : 'None has begun.'}</p>
    ) : (
      <>
        {isOpen ? <p>{sentence(progressLine(live))}</p> : null}
        <Table
          caption="Steps of the newest attempt in the order in which they were first asked for"
          columns={[{ head: 'Step' }, { head: 'Done', numeric: true }, { head: 'Asked for', numeric: true }]}
          rows={live.steps.map(({ activityType, done, total }) => [
            sentence(words(activityType)),
            count(done),
            count(total),
          ])}
        />
        {live.retries.length === 0 ? null : (
          <ul class="small">
            {live.retries.map((retry) => (
              <li>{sentence(retryLine(retry))}</li>
            ))}
          </ul>
        )}
      </>
    )}
  </section>
);

const Wrong: FC<{ attempt: AttemptRow; timeoutMs: number }> = ({ attempt, timeoutMs }): Child => {
  const { failure, state } = attempt;
  if (state === 'timed_out') return <>it took longer than {limit(timeoutMs)}</>;
  if (failure === null) return null;
  return (
    <>
      <code>{failure.type}</code>
      {failure.activity === null ? '' : ` in ${words(failure.activity)}`}: {failure.message}
      {failure.nonRetryable ? ' (trying again would not help)' : ''}
    </>
  );
};

const WebUi: FC<{ href: string | null; attempt: number }> = ({ href, attempt }): Child =>
  href === null ? '–' : <a href={href}>history of attempt {attempt}</a>;

/** A run by hand that the queue has not begun, or has refused. */
export const RequestPage: FC<{ request: RunRequestRow; chrome: Chrome }> = ({ request, chrome }) => (
  <>
    <PageHead
      title={`${taskIdOf(request.task)} ${sentence(words(request.task))} of ${request.sessionDate}`}
      aside={
        request.refusedReason === null ? (
          <Badge state="pending" label="asked for" />
        ) : (
          <Badge state="failed" label="refused" />
        )
      }
    />
    <section class="panel">
      <Facts
        rows={[
          ['Asked for', `by ${askedBy(request)}`],
          ['At', <Time at={request.requestedAt} zone={chrome} seconds />],
          ['Answer', request.refusedReason ?? 'nobody has taken it yet'],
        ]}
      />
    </section>
    {!chrome.mayAct ? null : request.refusedReason === null ? (
      <EndActs of="run" runId={request.requestId} chrome={chrome} />
    ) : (
      <RetryAct runId={request.requestId} chrome={chrome} />
    )}
  </>
);
