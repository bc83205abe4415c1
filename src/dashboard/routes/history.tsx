import { Hono } from 'hono';
import { Problem } from '../../api/problems.ts';
import { chaptersOfNight, timelinePage } from '../../api/routes/timelines.ts';
import { requireNight } from '../../api/run-acts.ts';
import { readRunLog } from '../../api/run-log.ts';
import { attemptsOf } from '../../db/queries/attempts.ts';
import { readHistory, readNightSpan } from '../../db/queries/dashboard-history.ts';
import { findRunRequest, reviewsOf } from '../../db/queries/requests.ts';
import { findTaskRun, taskRunsOfNight } from '../../db/queries/task-runs.ts';
import { runChapters } from '../../temporal/run-chapters.ts';
import { createLiveReader, NOT_BEGUN } from '../../temporal/run-live.ts';
import type { Chapter } from '../../temporal/timeline.ts';
import { webLinks } from '../../temporal/web-links.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { addMonths, datesOf, isMonth } from '../months.ts';
import { HistoryPage } from '../pages/history.tsx';
import { NightPage } from '../pages/night.tsx';
import { RequestPage, RunPage } from '../pages/run.tsx';
import { whichUniverse } from '../which-night.ts';

const MONTHS = 8;
const CALL_MS = 2_500;
const TIMELINE_ROWS = 50;
const LOG_LINES = 50;

/** Nights over months, one night, one run. */
export function historyRoutes(deps: PageDeps, guard: PageRoute): Hono<PageEnv> {
  const { sql, client, workflowsUrl, times, logDir } = deps;
  const webUiOf = webLinks(workflowsUrl);
  const readLive = createLiveReader({ client, callMs: CALL_MS, freshMs: times.freshMs });
  const readTimeline = (input: { runId: string; chapters: Chapter[]; pageToken: string | undefined }) =>
    timelinePage({ client, times: { ...times, callMs: CALL_MS } }, { ...input, limit: TIMELINE_ROWS });

  return new Hono<PageEnv>()
    .get('/history', ...guard, async (c) => {
      const { universe, universes } = await whichUniverse(c, sql);
      const span = await readNightSpan(sql, universe);
      const to = c.req.query('to') ?? '';
      const newest = isMonth(to) ? to : (span?.last.slice(0, 7) ?? '2000-01');
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
      const night = await requireNight(sql, c.req.param('runId'));
      const { runId } = night;
      const pageToken = c.req.query('timeline');
      const [runs, chapters] = await Promise.all([taskRunsOfNight(sql, night), chaptersOfNight(sql, runId)]);
      const [timeline, attempts] = await Promise.all([
        readTimeline({ runId, chapters, pageToken }),
        attemptsOf(
          sql,
          runs.map(({ taskRunId }) => taskRunId),
        ),
      ]);
      const chrome = c.get('chrome');
      const view = {
        night,
        runs,
        attempts,
        timeline,
        isFirst: pageToken === undefined,
        webUi: webUiOf(night),
      };
      const body = <NightPage view={view} chrome={chrome} />;
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
      const { task, createdAt: since } = run;
      const pageToken = c.req.query('timeline');
      const [attempts, reviews] = await Promise.all([attemptsOf(sql, [runId]), reviewsOf(sql, runId)]);
      const newest = attempts.at(-1);
      const [part, timeline, log] = await Promise.all([
        newest === undefined ? NOT_BEGUN : readLive(newest, newest.failure?.activity),
        readTimeline({ runId, chapters: runChapters({ run, attempts, reviews }), pageToken }),
        readRunLog({ logDir, task, taskRunId: runId, since, lines: LOG_LINES }),
      ]);
      const isFirst = pageToken === undefined;
      const view = { run, attempts, reviews, part, timeline, isFirst, log, webUiOf };
      const body = <RunPage view={view} chrome={chrome} />;
      return c.html(
        await renderPage({ title: `${run.task} of ${run.sessionDate}`, at: '/history', chrome, body }),
      );
    });
}
