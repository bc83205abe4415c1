import type { FC } from 'hono/jsx';
import { taskIdOf } from '../../contracts/wire/names.ts';
import type { AttemptRow } from '../../db/queries/attempts.ts';
import { isRetryableState } from '../../db/queries/nights.ts';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import { progressLine, retryLine } from '../../temporal/progress-words.ts';
import type { TaskProgress } from '../../temporal/progress.ts';
import type { Chrome } from '../deps.ts';
import { limit, sentence, words } from '../format.ts';
import { Badge, Time, Took } from './parts.tsx';

type CardInput = {
  run: TaskRunRow;
  attempts: readonly AttemptRow[];
  progress: TaskProgress | undefined;
  chrome: Pick<Chrome, 'timezone' | 'nowMs' | 'mayAct'>;
};

const CLASSES: Partial<Record<TaskRunRow['state'], string>> = {
  running: 'is-now',
  awaiting_review: 'is-waiting',
  failed: 'is-failed',
};

/** One task of the night: state, attempts, time against its timeout, what it works on, what it needs. */
export const TaskCard: FC<CardInput> = ({ run, attempts, progress, chrome }) => {
  const { task, state, reason, failure, dependsOn, notBefore, startedAt, completedAt, maxAttempts } = run;
  const begun = attempts.at(-1);
  const isRunning = state === 'running' && begun !== undefined;
  const why = reason ?? (state === 'succeeded' ? null : failure?.message) ?? null;
  return (
    <li class={`task ${CLASSES[state] ?? ''}`} data-part={`task-${task}`}>
      <header>
        <h3>
          <span class="muted">{taskIdOf(task)}</span>{' '}
          <a id={`task-${task}`} href={`/runs/${encodeURIComponent(run.taskRunId)}`}>
            {sentence(words(task))}
          </a>
        </h3>
        <Badge state={state} />
      </header>
      {isRunning ? (
        <>
          <p class="small">
            Attempt {begun.attempt} of {Math.max(begun.attempt, maxAttempts)}:{' '}
            <Took from={begun.startedAt} to={null} nowMs={chrome.nowMs} /> of at most {limit(run.timeoutMs)}
          </p>
          <progress
            max={run.timeoutMs}
            value={Math.min(run.timeoutMs, Math.max(0, chrome.nowMs - Date.parse(begun.startedAt)))}
            data-from={begun.startedAt}
            aria-label={`${words(task)}: time used of its timeout`}
          />
        </>
      ) : (
        <p class="small muted">
          {startedAt === null ? (
            dependsOn.length === 0 ? (
              'needs nothing before'
            ) : (
              `after ${dependsOn.map(words).join(' and ')}`
            )
          ) : (
            <>
              <Time at={startedAt} zone={chrome} short seconds /> for{' '}
              <Took
                from={startedAt}
                to={completedAt ?? begun?.completedAt ?? startedAt}
                nowMs={chrome.nowMs}
              />
              , {run.attempts === 1 ? '1 attempt' : `${run.attempts} attempts`}, timeout{' '}
              {limit(run.timeoutMs)}
            </>
          )}
          {startedAt === null && notBefore !== null ? (
            <>
              , not before <Time at={notBefore} zone={chrome} short />
            </>
          ) : null}
        </p>
      )}
      {progress === undefined ? null : <ProgressLines progress={progress} />}
      {why === null ? null : <p class="small">{sentence(why)}</p>}
      {chrome.mayAct && isRetryableState(state) ? (
        <p class="small">
          <a id={`retry-${task}`} href={`/runs/${encodeURIComponent(run.taskRunId)}#retry`}>
            Retry {words(task)}
          </a>
        </p>
      ) : null}
    </li>
  );
};

const ProgressLines: FC<{ progress: TaskProgress }> = ({ progress }) => {
  const line = progressLine(progress);
  const retries = [
    ...progress.retries,
    ...progress.pending.filter(({ attempt, lastFailure }) => attempt > 1 && lastFailure !== null),
  ];
  return (
    <>
      {line === '' ? null : <p class="small">{sentence(line)}</p>}
      {retries.slice(-3).map((retry) => (
        <p class="small muted">{sentence(retryLine(retry))}</p>
      ))}
    </>
  );
};
