import type { FC } from 'hono/jsx';
import type { TimelineAnswer } from '../../api/routes/timelines.ts';
import type { AttemptRow } from '../../db/queries/attempts.ts';
import { isOpenState, type NightRow } from '../../db/queries/nights.ts';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import { askedBy } from '../../temporal/asked-by.ts';
import { Dag } from '../components/dag.tsx';
import { Badge, Facts, PageHead, Table, Time, Took } from '../components/parts.tsx';
import { EndActs } from '../components/run-acts.tsx';
import { Timeline } from '../components/run-parts.tsx';
import type { Chrome } from '../deps.ts';
import { sentence, words } from '../format.ts';

export type NightView = {
  night: NightRow;
  runs: readonly TaskRunRow[];
  /** Of all its runs, oldest first. */
  attempts: readonly AttemptRow[];
  timeline: TimelineAnswer;
  /** Whether the timeline is shown from its beginning. */
  isFirst: boolean;
  webUi: string | null;
};

/** One night: how it ended, what each task did, what happened when. */
export const NightPage: FC<{ view: NightView; chrome: Chrome }> = ({ view, chrome }) => {
  const { night, runs, timeline, isFirst, webUi } = view;
  return (
    <>
      <PageHead title={`Night of ${night.sessionDate}`} aside={<Badge state={night.state} />}>
        <p class="muted">Universe {night.universe}</p>
      </PageHead>
      {chrome.mayAct && isOpenState(night.state) ? (
        <EndActs of="night" runId={night.runId} chrome={chrome} />
      ) : null}
      <div class="cols">
        <section class="panel">
          <h2>About it</h2>
          <Facts
            rows={[
              ['Started', <Time at={night.startedAt} zone={chrome} seconds />],
              ['Took', <Took from={night.startedAt} to={night.completedAt} nowMs={chrome.nowMs} />],
              ['Asked for', `by ${askedBy(night)}`],
              ...(night.reason === null ? [] : [['Reason', sentence(night.reason)] as const]),
              ['Workflow', <code>{night.workflowId}</code>],
              ['Configuration', <code>{night.configHash.slice(0, 12)}</code>],
            ]}
          />
        </section>
        <section class="panel">
          <h2>More of it</h2>
          <ul>
            {webUi === null ? null : (
              <li>
                <a href={webUi}>This run in the Temporal Web UI</a>
              </li>
            )}
            <li>
              <a href={`/api/v1/nights/${encodeURIComponent(night.runId)}`}>Its report as JSON</a>
            </li>
            {[
              ['signals', 'Signals'],
              ['backtest', 'Backtest'],
              ['drift', 'Drift'],
            ].map(([path, title]) => (
              <li>
                <a
                  href={`/${path}?session=${night.sessionDate}&universe=${encodeURIComponent(night.universe)}`}
                >
                  {title} of session {night.sessionDate}
                </a>
              </li>
            ))}
          </ul>
        </section>
      </div>
      {runs.length === 0 ? null : (
        <section class="panel">
          <h2>Tasks</h2>
          <Dag runs={runs} />
          <Table
            caption="The tasks of the night in their order"
            columns={[
              { head: 'Task' },
              { head: 'State' },
              { head: 'Started' },
              { head: 'Took', numeric: true },
              { head: 'Attempts', numeric: true },
              { head: 'Note' },
            ]}
            rows={runs.map((run) => [
              <a href={`/runs/${encodeURIComponent(run.taskRunId)}`}>{sentence(words(run.task))}</a>,
              <Badge state={run.state} />,
              <Time at={run.startedAt} zone={chrome} short seconds />,
              <Took from={run.startedAt} to={endOf(run, view.attempts)} nowMs={chrome.nowMs} />,
              String(run.attempts),
              sentence(run.reason ?? (run.state === 'succeeded' ? '' : (run.failure?.message ?? ''))),
            ])}
          />
        </section>
      )}
      <Timeline
        page={timeline}
        path={`/nights/${encodeURIComponent(night.runId)}`}
        isFirst={isFirst}
        chrome={chrome}
      />
    </>
  );
};

/** When a task ended, or its last attempt while it waits; null while it runs. */
function endOf(run: TaskRunRow, attempts: readonly AttemptRow[]): string | null {
  if (run.state === 'running') return null;
  const last = attempts.findLast(({ taskRunId }) => taskRunId === run.taskRunId);
  return run.completedAt ?? last?.completedAt ?? run.startedAt;
}
