import { Hono } from 'hono';
import { Problem } from '../../api/problems.ts';
import { taskWorkflowId } from '../../contracts/wire/names.ts';
import { attemptsOf } from '../../db/queries/attempts.ts';
import { readHistory, readNightSpan, readNightUniverses } from '../../db/queries/dashboard-history.ts';
import { findRunRequest, reviewsOf } from '../../db/queries/requests.ts';
import { findNightByRun } from '../../db/queries/run-pages.ts';
import { findTaskRun, type TaskRunRow, taskRunsOfNight } from '../../db/queries/task-runs.ts';
import { createProgressReader, type TaskProgress } from '../../temporal/progress.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { addMonths, datesOf } from '../months.ts';
import { HistoryPage } from '../pages/history.tsx';
import { NightPage } from '../pages/night.tsx';
import { RequestPage, RunPage } from '../pages/run.tsx';

const MONTHS = 8;
const CALL_MS = 2_500;

/** Nights over months, one night, one run. */
export function historyRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql, client, workflowsUrl } = deps;
  const readProgress = createProgressReader(client);
  const webUiOf = ({ workflowId, runId }: { workflowId: string; runId: string }): string | null =>
    workflowsUrl === undefined
      ? null
      : `${workflowsUrl}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
  const progressOf = async (
    run: TaskRunRow,
    newestRunId: string | undefined,
  ): Promise<TaskProgress | null> => {
    const workflowId = taskWorkflowId(run.task, run.sessionDate, run.universe);
    try {
      const progress = await client.withDeadline(Date.now() + CALL_MS, () => readProgress(workflowId));
      // Another run of the same task and session has the same workflow id.
      return progress.runId === newestRunId ? progress : null;
    } catch {
      return null;
    }
  };

  return new Hono<PageEnv>()
    .get('/history', ...guard, async (c) => {
      const universes = await readNightUniverses(sql);
      const asked = c.req.query('universe');
      const universe = universes.find((name) => name === asked) ?? universes[0] ?? '';
      const span = await readNightSpan(sql, universe);
      const to = c.req.query('to') ?? '';
      const newest = /^\d{4}-(0\d|1[0-2])$/.test(to) ? to : (span?.last.slice(0, 7) ?? '2000-01');
      const months = Array.from({ length: MONTHS }, (_, index) => addMonths(newest, -index));
      const range = { from: datesOf(months.at(-1) ?? newest).from, to: datesOf(newest).to };
      const history = await readHistory(sql, { universe, ...range });
      const first = span?.first.slice(0, 7) ?? newest;
      const shown = months.filter((month) => month >= first);
      const body = (
        <HistoryPage
          view={{ universe, universes, span, months: shown.length === 0 ? [newest] : shown, ...history }}
        />
      );
      return c.html(await renderPage({ title: 'History', at: '/history', chrome: c.get('chrome'), body }));
    })
    .get('/nights/:runId', ...guard, async (c) => {
      const night = await findNightByRun(sql, c.req.param('runId'));
      if (night === null) throw new Problem('not-found', 'there is no such night');
      const runs = await taskRunsOfNight(sql, night);
      const chrome = c.get('chrome');
      const body = <NightPage night={night} runs={runs} webUi={webUiOf(night)} chrome={chrome} />;
      return c.html(
        await renderPage({ title: `Night of ${night.sessionDate}`, at: '/history', chrome, body }),
      );
    })
    .get('/runs/:runId', ...guard, async (c) => {
      const runId = c.req.param('runId');
      const chrome = c.get('chrome');
      const run = await findTaskRun(sql, runId);
      if (run === null) {
        const request = await findRunRequest(sql, runId);
        if (request === null) throw new Problem('not-found', 'there is no such run');
        const body = <RequestPage request={request} chrome={chrome} />;
        return c.html(await renderPage({ title: 'A run that was asked for', at: '/history', chrome, body }));
      }
      const [attempts, reviews] = await Promise.all([attemptsOf(sql, [runId]), reviewsOf(sql, runId)]);
      const progress = await progressOf(run, attempts.at(-1)?.runId);
      const body = <RunPage view={{ run, attempts, reviews, progress, webUiOf }} chrome={chrome} />;
      return c.html(
        await renderPage({ title: `${run.task} of ${run.sessionDate}`, at: '/history', chrome, body }),
      );
    });
}
