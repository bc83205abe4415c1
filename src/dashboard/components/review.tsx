import type { FC } from 'hono/jsx';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import type { Chrome } from '../deps.ts';
import { sentence, words } from '../format.ts';
import { Mark } from './marks.tsx';
import { Act, Time, Until, Why } from './parts.tsx';

const CHOICES = [
  { decision: 'retry', title: 'Retry', words: 'Run the task anew. What is done already is found again.' },
  {
    decision: 'skip',
    title: 'Skip',
    words: 'It counts as failed; tasks that need it are skipped, others go on.',
  },
  { decision: 'abort', title: 'Abort the night', words: 'Nothing more is started tonight.' },
] as const;

/** A task that waits for a person: what happened, until when, and the three ways on. */
export const Review: FC<{ run: TaskRunRow; chrome: Chrome }> = ({ run, chrome }) => {
  const { taskRunId, task, failure, reason, reviewDeadline, sessionDate, universe, nightRunId } = run;
  return (
    <section class="review" data-part={`review-${taskRunId}`} aria-labelledby={`review-${taskRunId}`}>
      <h2 id={`review-${taskRunId}`}>
        <Mark name="alarm" size={22} />
        {sentence(words(task))} failed and waits for your decision
      </h2>
      <p>
        {failure === null ? null : (
          <>
            <code>{failure.type}</code>:{' '}
          </>
        )}
        {failure?.message ?? reason ?? 'no reason was given'} (
        <a href={`/runs/${encodeURIComponent(taskRunId)}`}>the run</a>, session {sessionDate}, {universe})
      </p>
      {reviewDeadline === null ? null : (
        <p>
          Decide until <Time at={reviewDeadline} zone={chrome} /> (
          <Until at={reviewDeadline} chrome={chrome} />
          ); after that the task has failed.
        </p>
      )}
      {chrome.mayAct ? (
        <Act
          action="/acts/review"
          chrome={chrome}
          hidden={{ runId: taskRunId, attempts: String(run.attempts) }}
        >
          <Why id={`why-${taskRunId}`} placeholder="what you looked at" />
          <div class="choices">
            {CHOICES.filter(({ decision }) => decision !== 'abort' || nightRunId !== null).map(
              ({ decision, title, words: told }) => (
                <button
                  type="submit"
                  id={`${decision}-${taskRunId}`}
                  name="decision"
                  value={decision}
                  class={decision === 'retry' ? 'main' : decision === 'abort' ? 'danger' : undefined}
                >
                  {title} <span>{told}</span>
                </button>
              ),
            )}
          </div>
        </Act>
      ) : (
        <p>You are logged in as a viewer: an operator has to decide.</p>
      )}
    </section>
  );
};
