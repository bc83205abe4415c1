import type { FC } from 'hono/jsx';
import type { RunLog } from '../../api/run-log.ts';
import type { TimelineAnswer } from '../../api/routes/timelines.ts';
import { activityName, pendingState } from '../../temporal/progress-words.ts';
import type { LivePart } from '../../temporal/run-live.ts';
import type { Chrome } from '../deps.ts';
import { count, sentence, words } from '../format.ts';
import { Badge, Table, Time } from './parts.tsx';

type Live = NonNullable<LivePart['live']>;

/** The steps that are not over: who has them, how far they are, why they were retried, when they are tried next. */
export const Pending: FC<{ live: Live; chrome: Chrome }> = ({ live, chrome }) =>
  live.pending.length === 0 ? null : (
    <section class="panel">
      <h2>Pending</h2>
      <Table
        caption="Steps that are not over, as of the load of this page"
        columns={[
          { head: 'Step' },
          { head: 'State' },
          { head: 'Attempt', numeric: true },
          { head: 'Progress' },
          { head: 'Next attempt' },
          { head: 'Why the attempt before failed' },
        ]}
        rows={live.pending.map((activity) => {
          const { activityType, subject, attempt, maxAttempts, phase, done, total } = activity;
          const state = pendingState(activity);
          const far = total > 0 ? `${count(done)} of ${count(total)}` : '';
          return [
            sentence(activityName(activityType, subject)),
            <Badge state={state === 'running' ? 'running' : 'waiting'} label={PENDING_WORDS[state]} />,
            maxAttempts === 0 ? String(attempt) : `${attempt} of ${maxAttempts}`,
            [phase, far].filter((part) => part !== '').join(' ') || '–',
            state === 'waiting' ? <Time at={activity.nextAttemptAt} zone={chrome} seconds /> : '–',
            sentence(activity.failureChain.join('; because: ')),
          ];
        })}
      />
    </section>
  );

const PENDING_WORDS: Readonly<Record<ReturnType<typeof pendingState>, string>> = {
  running: 'running',
  queued: 'waits for a worker',
  waiting: 'waits for its next attempt',
  paused: 'paused in Temporal',
};

/** What happened, entry by entry, a page at a time. */
export const Timeline: FC<{ page: TimelineAnswer; path: string; isFirst: boolean; chrome: Chrome }> = (
  props,
) => {
  const { page, path, isFirst, chrome } = props;
  const { items, note, nextPageToken } = page;
  return (
    <section class="panel" id="timeline" aria-labelledby="timeline-head">
      <h2 id="timeline-head">Timeline</h2>
      {note === null ? null : <p class="muted">{note}.</p>}
      {items.length === 0 ? <p class="muted">Nothing more so far.</p> : null}
      {items.length === 0 ? null : (
        <Table
          caption="What happened, oldest first"
          columns={[{ head: 'At' }, { head: 'Attempt', numeric: true }, { head: 'What' }]}
          rows={items.map(({ at, attempt, kind, text }) => [
            <Time at={at} zone={chrome} seconds />,
            attempt === null ? '' : String(attempt),
            kind === 'failure' ? <strong>{sentence(text)}</strong> : sentence(text),
          ])}
        />
      )}
      <p class="buttons">
        {isFirst ? null : <a href={`${path}#timeline`}>From the beginning</a>}
        {nextPageToken === null ? null : (
          <a href={`${path}?timeline=${encodeURIComponent(nextPageToken)}#timeline`}>Further entries</a>
        )}
      </p>
    </section>
  );
};

/** The last lines of its log. */
export const Log: FC<{ log: RunLog; chrome: Chrome }> = ({ log, chrome }) => (
  <section class="panel">
    <h2>Log</h2>
    {log.note === null ? null : <p class="muted">{log.note}</p>}
    {log.entries.length === 0 ? null : (
      <Table
        caption="The last lines about this run, oldest first"
        columns={[{ head: 'At' }, { head: 'Level' }, { head: 'Message' }, { head: 'More', wide: true }]}
        rows={log.entries.map(({ timestamp, level, message, fields }) => [
          <Time at={timestamp} zone={chrome} seconds />,
          words(level.toLowerCase()),
          message,
          <span class="small">{shown(fields)}</span>,
        ])}
      />
    )}
  </section>
);

/** Fields that are not the same on every line. */
const SAME = new Set([
  'taskRunId',
  'workflowId',
  'runId',
  'sessionDate',
  'namespace',
  'taskToken',
  'taskQueue',
]);

function shown(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .filter(([name]) => !SAME.has(name))
    .map(([name, value]) => `${name} ${value.slice(0, 200)}`)
    .join(', ');
}
